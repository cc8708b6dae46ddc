"""What restoring does to lesions: inserted ones of known size and contrast, and labelled ones of real scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...degradation.ct import dose_noise
from ...restoration.engine import RestorationOptions, Restorer
from ...restoration.tasks import Task, task_named
from ..classical_denoisers import ClassicalDenoiser
from ..ct_quality import load_slices, restore_slice
from ..interpolators import interpolators
from ..mr_quality import TEST_SCANS, DegradedScan, ReferenceScan, degrade_scan, load_scans, restore_scan
from ..quality import OURS, JudgedSlice
from .labelled_lesions import labelled_lesions
from .lesion_figures import detection_figure, lesion_picture
from .lesion_insertion import Grid
from .lesion_study import CLEAN, Study, judge, plan_study
from .lesion_tables import lesion_lines
from .places import edge_blur_pixels

__all__ = ["ct_studies", "evaluate_lesions", "lesion_lines"]

CT_CONTRASTS_HU = (10.0, 20.0, 40.0, 80.0)
CT_TISSUE_HU = (-30.0, 200.0)
MR_CONTRASTS = (0.05, 0.1, 0.2, 0.3)
MR_TISSUE = (0.15, 0.85)
"""Of the foreground's range: neither air and fluid nor the brightest vessels, so that there is room for a lesion."""
MR_SLICES_A_SCAN = 2
INPUT = "degraded input"
Images = list[list[np.ndarray]]
"""For each study the versions of its slice."""


def evaluate_lesions(
    data: Path,
    pictures: Path,
    options: RestorationOptions,
    peers: Sequence[ClassicalDenoiser] = (),
    dose: float = 0.25,
    kernel: str = "standard",
    layouts: int = 4,
    most_slices: int | None = None,
) -> dict:
    """What one task's restoration does to lesions on ``data/test``.

    CT slices get lesions before the dose is lowered, MR slices before k-space is cut or artifacts are mixed in.  The
    version without lesions gets the same noise, so that their difference is what became of the lesions.

    Args:
        pictures: a folder for the PNG files.
        options: ``options.task`` decides; not "auto".
        peers: classical filters at their setting; for super-resolution the interpolators are added.
        dose, kernel: of CT.
        layouts: versions of each slice with lesions at the same places, each with other sizes and contrasts.
        most_slices: CT slices or MR scans to take; None for all.

    Returns:
        {"task", "degradation", "unit", "contrasts", "slices", "blur_mm", "methods": see :func:`.lesion_study.judge`,
        "labelled": see :func:`.labelled_lesions.labelled_lesions`, "pictures": names in ``pictures``}.

    Raises:
        UserError: the scans are missing, or no weights ship for the task.
    """
    task, restorer = task_named(options.task), Restorer()
    if task.modality == "CT":
        studies, images, degradation = _ct(Path(data), restorer, options, peers, dose, kernel, layouts, most_slices)
    else:
        studies, images, degradation = _mr(Path(data), restorer, options, task, peers, layouts, most_slices)
    methods = judge(studies, images)
    names = [f"lesions-{task.name}.png", f"lesion-detection-{task.name}.png"]
    shown = max(range(len(studies)), key=lambda place: len(studies[place].layouts[-1]))
    last = {name: versions[shown][-1] for name, versions in images.items()}
    lesion_picture(studies[shown], last, task, pictures / names[0])
    detection_figure(methods, task, pictures / names[1])
    return {
        "task": task.name,
        "degradation": degradation,
        "prior": f"{options.prior}, T = {options.samples}",
        "unit": task.unit,
        "contrasts": list(CT_CONTRASTS_HU if task.modality == "CT" else MR_CONTRASTS),
        "slices": [study.name for study in studies],
        "lesions": sum(len(layout) for study in studies for layout in study.layouts),
        "blur_mm": [round(study.grid.blur_mm, 2) for study in studies],
        "settings": {peer.method: peer.setting for peer in peers},
        "methods": methods,
        "labelled": labelled_lesions(Path(data), restorer, options, peers, dose, kernel),
        "pictures": names,
    }


def _ct(
    data: Path,
    restorer: Restorer,
    options: RestorationOptions,
    peers: Sequence[ClassicalDenoiser],
    dose: float,
    kernel: str,
    layouts: int,
    most: int | None,
) -> tuple[list[Study], dict[str, Images], str]:
    studies: list[Study] = []
    images: dict[str, Images] = {name: [] for name in (CLEAN, INPUT, OURS, *(peer.method for peer in peers))}
    for study, degraded, like in islice(ct_studies(data / "test", dose, kernel, layouts), most):
        studies.append(study)
        images[CLEAN].append([version.reference for version in degraded])
        images[INPUT].append([version.degraded for version in degraded])
        images[OURS].append([restore_slice(restorer, version, like, options) for version in degraded])
        for peer in peers:
            images[peer.method].append([peer.denoise(version.degraded, version.reference) for version in degraded])
    return studies, images, f"{dose:g} of full dose, {kernel} kernel"


def ct_studies(
    folder: Path, dose: float, kernel: str, layouts: int, step: int = 1
) -> Iterator[tuple[Study, list[JudgedSlice], sitk.Image]]:
    """Every ``step``-th CT slice of a folder: its lesions, its degraded versions without and with them, geometry."""
    for seed, (one, like) in enumerate(load_slices(folder, dose, kernel)):
        if seed % step:
            continue
        pixel_mm = like.GetSpacing()[0]
        grid = Grid(pixel_mm, edge_blur_pixels(one.reference) * pixel_mm)
        study = plan_study(one.name, one.reference, one.body, grid, CT_CONTRASTS_HU, layouts, seed, CT_TISSUE_HU)
        # Photons are drawn one by one, so that the slightest lesion would change all noise behind it.  The noise of
        # the slice without lesions is added to every version; its variance would change by less than 2 %.
        noise = dose_noise(one.reference, pixel_mm, dose, seed, kernel)
        versions = [replace(one, reference=version, degraded=version + noise) for version in study.versions()]
        yield study, versions, like


def _mr(
    data: Path,
    restorer: Restorer,
    options: RestorationOptions,
    task: Task,
    peers: Sequence[ClassicalDenoiser],
    layouts: int,
    most: int | None,
) -> tuple[list[Study], dict[str, Images], str]:
    if task.scale > 1:
        peers, degradation = interpolators(task.scale), f"{task.scale} times fewer k-space samples along both axes"
    else:
        degradation = "random mixtures of artifacts"
    names = (CLEAN, OURS, *(peer.method for peer in peers), *((INPUT,) if task.scale == 1 else ()))
    studies: list[Study] = []
    images: dict[str, Images] = {name: [] for name in names}
    for seed, scan in enumerate(load_scans(data / "test", TEST_SCANS[:most], MR_SLICES_A_SCAN, task.scale)):
        own = _mr_studies(scan, layouts, seed * MR_SLICES_A_SCAN)
        studies += own
        shown = _mr_versions(scan, own, task, seed)
        restored = [restore_scan(restorer, version, options, task.scale) for version in shown]
        judged = [version.judged() for version in shown]
        for place in range(len(own)):
            images[OURS].append([version[place] for version in restored])
            for name, show in _shows(peers, task).items():
                images[name].append([show(version[place]) for version in judged])
    return studies, images, degradation


def _shows(peers: Sequence[ClassicalDenoiser], task: Task) -> dict[str, Callable[[JudgedSlice], np.ndarray]]:
    """How each method but ours shows a judged slice."""
    shows: dict[str, Callable[[JudgedSlice], np.ndarray]] = {CLEAN: lambda one: one.reference}
    if task.scale == 1:
        shows[INPUT] = lambda one: one.degraded
    for peer in peers:
        shows[peer.method] = lambda one, peer=peer: peer.denoise(one.degraded, one.reference)
    return shows


def _mr_studies(scan: ReferenceScan, layouts: int, seed: int) -> list[Study]:
    pixel_mm = float(np.sqrt(np.prod(scan.pixel_size_mm)))
    studies = []
    for place, (name, pixels, body) in enumerate(zip(scan.names, scan.slices, scan.bodies, strict=True)):
        clean = scan.intensity.normalise(pixels)
        grid = Grid(pixel_mm, edge_blur_pixels(clean) * pixel_mm)
        studies.append(plan_study(name, clean, body, grid, MR_CONTRASTS, layouts, seed + place, MR_TISSUE))
    return studies


def _mr_versions(scan: ReferenceScan, studies: list[Study], task: Task, seed: int) -> list[DegradedScan]:
    """The scan without lesions, then with each layout's, degraded alike."""
    versions = zip(*(study.versions() for study in studies), strict=True)
    degraded = []
    for slices in versions:
        pixels = scan.intensity.restore(np.stack(slices)).astype(np.float32)
        degraded += degrade_scan(replace(scan, slices=pixels), task, seed, mixtures=1)
    return degraded

"""How well the MR tasks do on held-out scans, beside interpolators or filters at their best setting on the train set.

Every scan is judged in a few of its slices, which make a small volume of their own: it is degraded slice by slice and
restored by the whole engine, as a user's volume is.  Values are normalised by the reference's foreground, 0 to 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..degradation.mr.mixture import ArtifactMixture, random_mixture
from ..degradation.mr.resolution import NOISE_SHARE, truncate_kspace
from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.engine import RestorationOptions, Restorer
from ..restoration.intensity import Intensity, mr_intensity
from ..restoration.kspace.correction import Correction, without_kspace_artifacts
from ..restoration.tasks import Task, task_named
from ..restoration.volume import check_volume
from ..restoration.volume_io import read_volume
from .classical_denoisers import ClassicalDenoiser, required_candidates
from .interpolators import interpolators
from .quality import (
    OURS,
    Answer,
    JudgedSlice,
    Look,
    answers_of,
    best_settings,
    bootstrap_interval,
    compare,
    ignore,
    middle_indices,
    score,
)

# Of ../shared/data: those with little noise of their own.  mr_stroke_* are one patient.
TEST_SCANS = (
    "mr_haste_abdomen_tcga",
    "mr_stroke_flair",
    "mr_stroke_t1",
    "mr_stroke_t2",
    "mr_t1_cptac03728",
    "mr_t1gd_tumour_brain2",
    "mr_t1gd_vsseg",
)
TRAIN_SCANS = ("mr_flair_fernando", "mr_t1_fnndsc", "mr_t1_studyforrest", "mr_t1gd_cptac", "mr_t2star_ubermuda")
SLICES_A_SCAN = {"test": 4, "train": 1}
MIXTURES_A_SCAN = {"test": 2, "train": 3}
MIDDLE_SHARE = 0.6  # of a volume: slices are taken from there, where there is something to see
KSPACE_ALONE = "undone in k-space, without the network"
THICKNESS_MM = 50.0  # between slices of the small volumes, so that they are taken for what they are


@dataclass(frozen=True)
class ReferenceScan:
    """A few slices of a clean scan.

    Attributes:
        name: of its file.
        slices: (N, rows, columns) float32 in the scan's units; sides divisible by the task's scale.
        names: of the slices.
        bodies: (N, rows, columns) bool.
        pixel_size_mm: along rows' and columns' index.
        intensity: from the foreground of these slices.
    """

    name: str
    slices: np.ndarray
    names: list[str]
    bodies: np.ndarray
    pixel_size_mm: tuple[float, float]
    intensity: Intensity


@dataclass(frozen=True)
class DegradedScan:
    """A small volume of degraded slices, (N, rows, columns) float32 in the scan's units, and its reference.

    ``mixture`` is what degraded it, where that were artifacts.
    """

    reference: ReferenceScan
    volume: np.ndarray
    label: str
    mixture: ArtifactMixture | None = None

    def judged(self) -> list[JudgedSlice]:
        """Its slices, normalised by the reference's foreground."""
        scan = self.reference
        return [
            JudgedSlice(name + self.label, scan.intensity.normalise(clean), scan.intensity.normalise(degraded), body)
            for name, clean, degraded, body in zip(scan.names, scan.slices, self.volume, scan.bodies, strict=True)
        ]


def load_scans(folder: Path, names: tuple[str, ...], count: int, scale: int) -> list[ReferenceScan]:
    """``count`` slices each of those of the named scans that are in ``folder``.

    Raises:
        UserError: none is there.
    """
    files = [Path(folder) / f"{name}.nii.gz" for name in names]
    files = [file for file in files if file.exists()]
    if not files:
        raise UserError(f"None of the MR scans to judge is in {folder}: name the folder of train/ and test/.")
    return [load_scan(file, count, scale) for file in files]


def load_scan(file: Path, count: int, scale: int) -> ReferenceScan:
    """``count`` slices of the middle of a NIfTI file; UserError where it is no volume that can be restored."""
    name = file.name.removesuffix(".gz").removesuffix(".nii")
    image = read_volume(file)
    volume = check_volume(image)
    slices = volume.slices
    rows, columns = (size // scale * scale for size in slices.shape[1:])
    indices = middle_indices(len(slices), count, MIDDLE_SHARE)
    chosen = np.ascontiguousarray(slices[indices][:, :rows, :columns], dtype=np.float32)
    bodies = body_mask(chosen, "MR")
    names = [f"{name}-{index:03d}" for index in indices]
    return ReferenceScan(name, chosen, names, bodies, volume.pixel_size_mm, mr_intensity(chosen[bodies]))


def degrade_scan(scan: ReferenceScan, task: Task, seed: int, mixtures: int) -> list[DegradedScan]:
    """The scan with fewer samples and 1 % noise, or with ``mixtures`` different mixtures of artifacts."""
    if task.scale > 1:
        coarse = [truncate_kspace(one, task.scale, seed * 1000 + place) for place, one in enumerate(scan.slices)]
        return [DegradedScan(scan, np.stack(coarse), "")]
    degraded = []
    for number in range(mixtures):
        random = np.random.default_rng((seed, number))
        mixture = random_mixture(scan.slices.shape[1:], random, may_be_clean=False)
        slices = [mixture.apply(one, seed * 1000 + number * 100 + place) for place, one in enumerate(scan.slices)]
        degraded.append(DegradedScan(scan, np.stack(slices), f", mixture {number}", mixture))
    return degraded


def restore_scan(restorer: Restorer, scan: DegradedScan, options: RestorationOptions, scale: int) -> list[np.ndarray]:
    """Its slices restored by the whole engine, normalised by the reference's foreground."""
    image = sitk.GetImageFromArray(scan.volume)
    row_mm, column_mm = (size * scale for size in scan.reference.pixel_size_mm)
    image.SetSpacing((column_mm, row_mm, THICKNESS_MM))
    restored = sitk.GetArrayFromImage(restorer.restore(image, options, modality="MR").restored)
    return [scan.reference.intensity.normalise(one) for one in restored]


def evaluate_mr(
    data: Path,
    options: RestorationOptions,
    candidates: Callable[[], Iterable[ClassicalDenoiser]] = required_candidates,
    look: Look = ignore,
) -> dict:
    """Scores of peers and the model for ``options.task`` on ``data/test``; filters are tuned on ``data/train``.

    ``candidates`` gives the filters at all settings to try; they count for mr-artifact alone.  ``look`` is shown the
    answers, the slices and the window.

    Returns:
        {"degradation", "window", "unit", "slices", "methods": see :func:`.quality.compare`}; for mr-artifact also
        "clean_input": how near the model leaves clean slices to themselves, and "found_in_kspace": of each artifact
        that is looked for there, the slices that have it, in how many of these and of the others it was found.
    """
    task = task_named(options.task)
    window, restorer = task.metrics_window, Restorer()
    degraded = _degraded(Path(data) / "test", TEST_SCANS, task, "test")
    test = [one for scan in degraded for one in scan.judged()]
    if task.scale > 1:
        answers = answers_of(interpolators(task.scale), test)
        degradation = f"{task.scale} times fewer k-space samples along both axes, {100 * NOISE_SHARE:g} % noise"
    else:
        train = [one for scan in _degraded(Path(data) / "train", TRAIN_SCANS, task, "train") for one in scan.judged()]
        started = time.perf_counter()
        corrections = [[without_kspace_artifacts(one) for one in scan.volume] for scan in degraded]
        correction_seconds = (time.perf_counter() - started) / len(test)
        answers = {
            "input": Answer("", [one.degraded for one in test]),
            **answers_of(best_settings(candidates(), train, window), test),
            KSPACE_ALONE: Answer(
                "",
                [
                    scan.reference.intensity.normalise(one.pixels)
                    for scan, corrected in zip(degraded, corrections, strict=True)
                    for one in corrected
                ],
                correction_seconds,
            ),
        }
        degradation = "random mixtures of artifacts"
    started = time.perf_counter()
    images = [image for scan in degraded for image in restore_scan(restorer, scan, options, task.scale)]
    seconds = (time.perf_counter() - started) / len(images)
    answers[OURS] = Answer(f"prior {options.prior}, T = {options.samples}", images, seconds)
    look(answers, test, window)
    result = {
        "degradation": degradation,
        "window": list(window),
        "unit": task.unit,
        "slices": [one.name for one in test],
        "methods": compare(answers, test, window),
    }
    if task.scale == 1:
        clean = [DegradedScan(scan, scan.slices, "") for scan in _unique_references(degraded)]
        result["clean_input"] = _clean_scores(restorer, clean, options, window)
        result["found_in_kspace"] = _found_in_kspace(degraded, corrections)
    return result


def _degraded(folder: Path, names: tuple[str, ...], task: Task, part: str) -> list[DegradedScan]:
    scans = load_scans(folder, names, SLICES_A_SCAN[part], task.scale)
    return [
        degraded
        for seed, scan in enumerate(scans)
        for degraded in degrade_scan(scan, task, seed, MIXTURES_A_SCAN[part])
    ]


def _unique_references(degraded: list[DegradedScan]) -> list[ReferenceScan]:
    return list({scan.reference.name: scan.reference for scan in degraded}.values())


def _found_in_kspace(degraded: list[DegradedScan], corrections: list[list[Correction]]) -> dict:
    kinds = {
        "spikes": (lambda mixture: bool(mixture.spikes), lambda one: one.spikes > 0),
        "ghosts": (lambda mixture: mixture.pulsation is not None, lambda one: one.ghosts),
        "missing lines": (lambda mixture: mixture.lacks_lines, lambda one: one.missing_lines > 0),
    }
    table = {}
    for kind, (is_there, is_found) in kinds.items():
        answers = [
            (is_there(scan.mixture), is_found(one))
            for scan, corrected in zip(degraded, corrections, strict=True)
            for one in corrected
        ]
        table[kind] = {
            "slices": sum(there for there, _ in answers),
            "found": sum(there and seen for there, seen in answers),
            "false": sum(seen and not there for there, seen in answers),
        }
    return table


def _clean_scores(
    restorer: Restorer, clean: list[DegradedScan], options: RestorationOptions, window: tuple[float, float]
) -> dict:
    psnr = [
        score(image, one, window)["psnr_db"]
        for scan in clean
        for image, one in zip(restore_scan(restorer, scan, options, 1), scan.judged(), strict=True)
    ]
    return {
        "slices": len(psnr),
        "mean_psnr_db": round(float(np.mean(psnr)), 2),
        "psnr_interval_db": [round(bound, 2) for bound in bootstrap_interval(psnr)],
        "worst_psnr_db": round(min(psnr), 2),
    }

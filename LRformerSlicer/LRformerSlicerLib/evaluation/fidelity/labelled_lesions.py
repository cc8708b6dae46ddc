"""Labelled structures of real scans: what restoring does to their contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ...degradation.ct import simulate_low_dose
from ...errors import UserError
from ...prior.foreground import body_mask
from ...restoration.engine import RestorationOptions, Restorer
from ...restoration.intensity import CT_SOFT_TISSUE_WINDOW_HU, mr_intensity
from ...restoration.tasks import Task, task_named
from ...restoration.volume import check_volume
from ...restoration.volume_io import read_volume
from ..classical_denoisers import ClassicalDenoiser
from ..ct_quality import restore_slice
from ..interpolators import interpolators
from ..mr_quality import ReferenceScan, degrade_scan, restore_scan
from ..quality import OURS, JudgedSlice

LABELLED = {
    "CT": ("ct_liver_dcmqi", "ct_liver_dcmqi_liver-label", "liver"),
    "MR": ("mr_t1gd_tumour_brain2", "mr_t1gd_tumour_brain2_tumour-label", "tumour"),
}
RING_MM = (2.0, 6.0)
"""From the structure's edge outwards, inside the body."""
RING_TISSUE_HU = CT_SOFT_TISSUE_WINDOW_HU
"""Lung beside the liver would make any contrast look large."""
SEED = 40


def labelled_lesions(
    data: Path,
    restorer: Restorer,
    options: RestorationOptions,
    peers: Sequence[ClassicalDenoiser],
    dose: float = 0.25,
    kernel: str = "standard",
) -> dict:
    """Contrast, CNR and RMSE of the labelled structure of ``data/test`` that is of the task's modality.

    Returns:
        {"scan", "structure", "slices", "reference_contrast", "reference_cnr", "reference_noise_sd", "methods": by
        method {"recovery", "contrast", "contrast_per_slice", "cnr", "rmse", "noise_sd"}}, means over slices; contrasts
        and RMSE in the unit of the task's window.

    Raises:
        UserError: the scan or its label is missing.
    """
    task = task_named(options.task)
    scan, label, structure = LABELLED[task.modality]
    files = [Path(data) / "test" / f"{scan}.nii.gz", Path(data) / "test" / f"{label}.nrrd"]
    for file in files:
        if not file.exists():
            raise UserError(f"There is no {file.name} in {file.parent}: name the folder of train/ and test/.")
    image, labels = (read_volume(file) for file in files)
    volume = check_volume(image)
    marked = volume.plane.view(sitk.GetArrayFromImage(labels)) > 0
    indices = np.flatnonzero(marked.any(axis=(1, 2)))
    pixels, marked = np.ascontiguousarray(volume.slices[indices], dtype=np.float32), marked[indices]
    found = _Labelled(pixels, marked, image, volume.pixel_size_mm)
    if task.modality == "CT":
        truth, images = pixels, _ct_images(restorer, options, peers, found, dose, kernel)
    else:
        truth, images, marked = _mr_images(restorer, options, task, peers, found)
    bodies = body_mask(truth, task.modality)
    if task.modality == "CT":
        low, high = RING_TISSUE_HU
        blurred = ndimage.gaussian_filter(truth, (0, 2.0, 2.0))
        bodies &= (blurred > low) & (blurred < high)
    rings = [_ring(mark, body, volume.pixel_size_mm) for mark, body in zip(marked, bodies, strict=True)]
    reference = [_contrast(*one) for one in zip(truth, marked, rings, strict=True)]
    return {
        "scan": scan,
        "structure": structure,
        "slices": len(indices),
        "reference_contrast": round(float(np.mean([contrast for contrast, _, _ in reference])), 4),
        "reference_cnr": round(float(np.mean([cnr for _, cnr, _ in reference])), 3),
        "reference_noise_sd": round(float(np.mean([sd for _, _, sd in reference])), 4),
        "methods": {name: _scores(shown, truth, marked, rings, reference) for name, shown in images.items()},
    }


def _scores(shown: list[np.ndarray], truth: np.ndarray, marked: np.ndarray, rings: list, reference: list) -> dict:
    found = [_contrast(*one) for one in zip(shown, marked, rings, strict=True)]
    squares = np.concatenate([np.square(a[m] - b[m]) for a, b, m in zip(shown, truth, marked, strict=True)])
    contrasts, true = ([contrast for contrast, _, _ in ones] for ones in (found, reference))
    return {
        # Of sums: in a slice whose contrast is next to nothing, a ratio of its own would say nothing.
        "recovery": round(float(np.sum(contrasts) / np.sum(true)), 4),
        "contrast": round(float(np.mean(contrasts)), 4),
        "contrast_per_slice": [round(one, 4) for one in contrasts],
        "cnr": round(float(np.mean([cnr for _, cnr, _ in found])), 3),
        "rmse": round(float(np.sqrt(squares.mean())), 4),
        "noise_sd": round(float(np.mean([sd for _, _, sd in found])), 4),
    }


def _ring(mark: np.ndarray, body: np.ndarray, pixel_size_mm: tuple[float, float]) -> np.ndarray:
    away = ndimage.distance_transform_edt(~mark, sampling=pixel_size_mm)
    return (away >= RING_MM[0]) & (away <= RING_MM[1]) & body


def _contrast(pixels: np.ndarray, mark: np.ndarray, ring: np.ndarray) -> tuple[float, float, float]:
    """Contrast, contrast over the pixels' spread inside the structure, and that spread."""
    contrast, sd = float(pixels[mark].mean() - pixels[ring].mean()), float(pixels[mark].std())
    return contrast, abs(contrast) / max(sd, 1e-9), sd


@dataclass(frozen=True)
class _Labelled:
    """The labelled slices of a scan: pixels (N, H, W) in its units, marked likewise bool, the scan, its pixel size."""

    pixels: np.ndarray
    marked: np.ndarray
    image: sitk.Image
    pixel_size_mm: tuple[float, float]


def _ct_images(
    restorer: Restorer,
    options: RestorationOptions,
    peers: Sequence[ClassicalDenoiser],
    labelled: _Labelled,
    dose: float,
    kernel: str,
) -> dict[str, list[np.ndarray]]:
    pixels, like = labelled.pixels, labelled.image[:, :, :1]
    degraded = [
        simulate_low_dose(one, labelled.pixel_size_mm[0], dose, SEED + place, kernel)
        for place, one in enumerate(pixels)
    ]
    shown = {"degraded input": degraded}
    judged = [JudgedSlice("", clean, one, clean > 0) for clean, one in zip(pixels, degraded, strict=True)]
    shown[OURS] = [restore_slice(restorer, one, like, options) for one in judged]
    shown |= {peer.method: [peer.denoise(one.degraded, one.reference) for one in judged] for peer in peers}
    return shown


def _mr_images(
    restorer: Restorer,
    options: RestorationOptions,
    task: Task,
    peers: Sequence[ClassicalDenoiser],
    labelled: _Labelled,
) -> tuple[np.ndarray, dict[str, list[np.ndarray]], np.ndarray]:
    pixels, marked = labelled.pixels, labelled.marked
    rows, columns = (side // task.scale * task.scale for side in pixels.shape[1:])
    pixels, marked = np.ascontiguousarray(pixels[:, :rows, :columns]), marked[:, :rows, :columns]
    bodies = body_mask(pixels, "MR")
    names = [str(place) for place in range(len(pixels))]
    scan = ReferenceScan("labelled", pixels, names, bodies, labelled.pixel_size_mm, mr_intensity(pixels[bodies]))
    [degraded] = degrade_scan(scan, task, SEED, mixtures=1)
    judged = degraded.judged()
    shown = {} if task.scale > 1 else {"degraded input": [one.degraded for one in judged]}
    shown[OURS] = restore_scan(restorer, degraded, options, task.scale)
    for peer in interpolators(task.scale) if task.scale > 1 else peers:
        shown[peer.method] = [peer.denoise(one.degraded, one.reference) for one in judged]
    return np.stack([one.reference for one in judged]), shown, marked

"""Restored slices with everything that could tell where they are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...degradation.ct import KERNELS, simulate_low_dose
from ...restoration.engine import RestorationOptions, Restorer
from ...restoration.intensity import ct_intensity
from ...restoration.nearby import nearby_mean
from ...restoration.super_resolution import interpolate_slice
from ...restoration.tasks import Task, task_named
from ..ct_quality import load_slices
from ..mr_quality import TEST_SCANS, THICKNESS_MM, TRAIN_SCANS, degrade_scan, load_scans

FIT_DOSES = (0.1, 0.17, 0.25, 0.35, 0.5)
LOCAL_ERROR_MM = 2.5
"""Standard deviation of the neighbourhood whose RMS error is called the local error: about 6 mm across."""
MR_SLICES_A_SCAN = 2
MR_MIXTURES = {"train": 4, "test": 1}
"""Of artifacts, a scan: a fit to one each would be a fit to a handful of mixtures."""
MIRRORS = (2, 1, (1, 2))
"""Axes of (slices, rows, columns) that the self-ensemble mirrors; the first alone is the cheap version."""


@dataclass(frozen=True)
class Sample:
    """One restored slice; every image is (H, W) float32 in normalised intensity, on the restored grid.

    Attributes:
        name: of the slice.
        original: degraded; interpolated for super-resolution.
        reference, restored: the truth, the answer.
        mirrored: the answers to the mirrored slice, mirrored back; empty where not asked for.
        by_prior_sample: the answers under each single sample of the prior; empty where not asked for.
        consistency, discrepancy: C and D.
        body: bool.
        pixel_size_mm: along rows' and columns' index.
    """

    name: str
    original: np.ndarray
    reference: np.ndarray
    restored: np.ndarray
    mirrored: list[np.ndarray]
    by_prior_sample: list[np.ndarray]
    consistency: np.ndarray
    discrepancy: np.ndarray
    body: np.ndarray
    pixel_size_mm: tuple[float, float]

    @property
    def error(self) -> np.ndarray:
        """Absolute error of the body's pixels, flat."""
        return np.abs(self.restored - self.reference)[self.body].astype(np.float64)

    @property
    def local_error(self) -> np.ndarray:
        """RMS error around each of the body's pixels, flat."""
        squares = np.square(self.restored - self.reference).astype(np.float64)
        mean = nearby_mean(squares, self.body, LOCAL_ERROR_MM, self.pixel_size_mm)
        return np.sqrt(np.maximum(mean, 0.0))[self.body]


def samples(
    data: Path,
    part: str,
    options: RestorationOptions,
    dose: float,
    kernel: str,
    most: int | None,
    mirrors: int,
    prior_samples_of: int = 0,
) -> Iterator[Sample]:
    """The slices of ``data/test`` as the quality tables have them, or those of ``data/train`` at doses all over.

    Args:
        part: "train" or "test".
        dose, kernel: of CT in "test".
        most: slices of CT, scans of MR; spread evenly; None for all.
        mirrors: how many mirrored slices are restored as well, 0 to 3.
        prior_samples_of: of so many slices, the answers under single samples of the prior, too.
    """
    task, restorer = task_named(options.task), Restorer()
    degraded = _ct(data, part, dose, kernel, most) if task.modality == "CT" else _mr(data, part, task, most)
    left = prior_samples_of
    for names, volume, references, bodies, pixel_size_mm, intensity in degraded:
        restore = _Restoration(restorer, options, task, pixel_size_mm)
        restored, consistency, discrepancy = restore(volume)
        mirrored = [np.flip(restore(np.flip(volume, axes))[0], axes) for axes in MIRRORS[:mirrors]]
        single = []
        if left > 0 and options.prior != "none":
            ones = [replace(options, samples=1, seed=options.seed + number) for number in range(options.samples)]
            single = [_Restoration(restorer, one, task, pixel_size_mm)(volume)[0] for one in ones]
            left -= len(names)
        for place, name in enumerate(names):
            original = volume[place] if task.scale == 1 else interpolate_slice(volume[place], task.scale)
            yield Sample(
                name,
                intensity.normalise(original),
                intensity.normalise(references[place]),
                intensity.normalise(restored[place]),
                [intensity.normalise(one[place]) for one in mirrored],
                [intensity.normalise(one[place]) for one in single],
                consistency[place],
                discrepancy[place],
                bodies[place],
                tuple(step for step in pixel_size_mm),
            )


class _Restoration:
    """The whole engine on a small volume; arrays (slices, rows, columns) in and out."""

    def __init__(
        self, restorer: Restorer, options: RestorationOptions, task: Task, pixel_size_mm: tuple[float, float]
    ) -> None:
        self._restorer, self._options, self._task, self._pixel_size_mm = restorer, options, task, pixel_size_mm

    def __call__(self, volume: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Restored, C and D, on the restored grid."""
        scale = self._task.scale
        image = sitk.GetImageFromArray(np.ascontiguousarray(volume))
        row_mm, column_mm = (step * scale for step in self._pixel_size_mm)
        image.SetSpacing((column_mm, row_mm, THICKNESS_MM))
        result = self._restorer.restore(image, self._options, modality=self._task.modality)
        maps = (sitk.GetArrayFromImage(one) for one in (result.consistency, result.uncertainty))
        # The prior lies on the input's grid; its maps are shown enlarged, not sharpened.
        fine = (one.repeat(scale, 1).repeat(scale, 2) for one in maps)
        return sitk.GetArrayFromImage(result.restored).astype(np.float32), *fine


def _ct(data: Path, part: str, dose: float, kernel: str, most: int | None) -> Iterator[tuple]:
    if part == "test":
        loaded = load_slices(data / "test", dose, kernel)
    else:
        loaded = load_slices(data / "train", 1.0, kernel)  # at full dose nothing is simulated
    for seed, place in enumerate(_spread(len(loaded), most)):
        one, like = loaded[place]
        column_mm, row_mm, _ = like.GetSpacing()
        degraded = one.degraded
        if part == "train":
            own_dose, own_kernel = FIT_DOSES[seed % len(FIT_DOSES)], list(KERNELS)[seed % len(KERNELS)]
            degraded = simulate_low_dose(one.reference, row_mm, own_dose, seed, own_kernel)
        volume = np.rint(degraded).astype(np.int16)[None]
        yield [one.name], volume, one.reference[None], one.body[None], (row_mm, column_mm), ct_intensity()


def _mr(data: Path, part: str, task: Task, most: int | None) -> Iterator[tuple]:
    names = TEST_SCANS if part == "test" else TRAIN_SCANS
    chosen = tuple(names[place] for place in _spread(len(names), most))
    for seed, scan in enumerate(load_scans(data / part, chosen, MR_SLICES_A_SCAN, task.scale)):
        for one in degrade_scan(scan, task, seed, mixtures=MR_MIXTURES[part]):
            yield scan.names, one.volume, scan.slices, scan.bodies, scan.pixel_size_mm, scan.intensity


def _spread(count: int, most: int | None) -> list[int]:
    if most is None or most >= count:
        return list(range(count))
    return sorted(set(np.linspace(0, count - 1, most).round().astype(int).tolist()))

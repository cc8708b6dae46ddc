"""Degraded versions of whole volumes, slice by slice with the physics of `degradation`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from .intensity import to_voxel_type, value_limits
from .modality import detect_modality
from .nifti_image import POSITION_KEY, moved_position
from .options import Progress, ProgressCallback, ignore
from .super_resolution import place_on_grid
from .volume import SMALLEST_SLICE_PIXELS, Volume, check_volume, fill_non_finite, one_slice

SQUARE_TOLERANCE = 0.01


def lower_dose(
    image: sitk.Image | Volume, dose: float, seed: int = 0, progress: ProgressCallback = ignore, modality: str = "auto"
) -> sitk.Image:
    """A CT volume in HU as if acquired with `dose` (0 to 1) of its tube current; type and grid stay.

    Raises UserError for a volume that is not CT, a dose out of range or pixels that are not square.
    """
    if not 0.0 < dose <= 1.0:
        raise UserError(f"The dose {dose:g} is out of range: choose a share above 0 and up to 1, such as 0.25.")
    volume = _volume_of("CT", image, "a lower dose", modality)
    row_mm, column_mm = volume.pixel_size_mm
    if abs(row_mm - column_mm) > SQUARE_TOLERANCE * row_mm:
        raise UserError(
            f"The pixels measure {row_mm:.3g} x {column_mm:.3g} mm, but square ones are needed: resample first."
        )

    from ..degradation.ct import simulate_low_dose

    def degrade(pixels: np.ndarray, own_seed: int) -> np.ndarray:
        return simulate_low_dose(pixels, row_mm, dose, seed=own_seed)

    return _each_slice(volume, "CT", 1, seed, progress, degrade)


def degrade_mr(
    image: sitk.Image | Volume,
    factor: int = 1,
    motion: bool = False,
    seed: int = 0,
    progress: ProgressCallback = ignore,
    thickness: int = 1,
    modality: str = "auto",
) -> sitk.Image:
    """An MR volume with `thickness` times thicker slices, motion artifacts, `factor` (2, 4) times fewer k-space samples
    in plane, or all of that.

    The grid of fewer samples is coarser and covers the same extent; rows and columns that do not fill a coarse
    pixel are left out, and so are slices that do not fill a thick one. Raises UserError for a volume that is not MR,
    another factor, more than there are slices, or slices too small.
    """
    if factor not in (1, 2, 4):
        raise UserError(f"The factor {factor} is not possible: choose 2 or 4.")
    volume = _divisible(_volume_of("MR", image, "motion" if motion else "lower resolution", modality), factor)
    if thickness != 1:
        volume = _thicker(volume, thickness)
    rows, columns = (side // factor for side in volume.slices.shape[1:])
    if min(rows, columns) < SMALLEST_SLICE_PIXELS:
        raise UserError(f"Slices {factor} times smaller would be {columns} x {rows} pixels: choose a larger volume.")

    from ..degradation.mr import add_motion, truncate_kspace

    def degrade(pixels: np.ndarray, own_seed: int) -> np.ndarray:
        if motion:
            pixels = add_motion(pixels, seed=own_seed)
        return truncate_kspace(pixels, factor, seed=own_seed) if factor > 1 else pixels

    return _each_slice(volume, "MR", factor, seed, progress, degrade)


def _volume_of(modality: str, image: sitk.Image | Volume, what: str, wanted: str) -> Volume:
    volume = image if isinstance(image, Volume) else check_volume(image)
    found = detect_modality(volume.sample, volume.stated_modality, wanted)
    if found.name != modality and found.is_certain:
        raise UserError(
            f"Simulating {what} needs {modality}, but this volume is {found.name} ({found.reason}): "
            f"choose another one, or overrule it with --modality {modality}."
        )
    return volume


def _divisible(volume: Volume, factor: int) -> Volume:
    """The volume without the last rows and columns (in index order) that do not fill a coarse pixel."""
    size = list(volume.image.GetSize())
    for axis in volume.plane.in_plane_axes:
        size[axis] -= size[axis] % factor
    if size == list(volume.image.GetSize()):
        return volume
    cropped = sitk.RegionOfInterest(volume.image, size, [0, 0, 0])
    if position := moved_position(volume.image, [1.0] * 3, [0.0] * 3):
        cropped.SetMetaData(POSITION_KEY, position)
    return replace(volume, image=cropped, slices=volume.plane.view(sitk.GetArrayViewFromImage(cropped)))


def _thicker(volume: Volume, thickness: int) -> Volume:
    """The volume with its slices, along the acquisition's own axis, averaged to thicker ones."""
    from ..degradation.mr import thick_slices

    thick = thick_slices(fill_non_finite(volume.slices)[0], thickness)
    shape, across = list(volume.image.GetSize()), volume.plane.across_axis
    shape[across] = len(thick)
    array = np.empty(tuple(reversed(shape)), dtype=volume.dtype)
    limits = value_limits("MR", volume.dtype, volume.lowest, volume.highest)
    volume.plane.view(array)[:] = to_voxel_type(thick, volume.dtype, limits)
    image = sitk.GetImageFromArray(array)
    spacing = list(volume.image.GetSpacing())
    middle = [0.0, 0.0, 0.0]
    middle[across] = (thickness - 1) / 2
    image.SetOrigin(volume.image.TransformContinuousIndexToPhysicalPoint(middle))
    spacing[across] *= thickness
    image.SetSpacing(spacing)
    image.SetDirection(volume.image.GetDirection())
    scale = [float(thickness) if axis == across else 1.0 for axis in range(3)]
    if position := moved_position(volume.image, scale, middle):
        image.SetMetaData(POSITION_KEY, position)
    return replace(volume, image=image, slices=volume.plane.view(sitk.GetArrayViewFromImage(image)))


def _each_slice(
    volume: Volume,
    modality: str,
    factor: int,
    seed: int,
    progress: ProgressCallback,
    degrade: Callable[[np.ndarray, int], np.ndarray],
) -> sitk.Image:
    limits = value_limits(modality, volume.dtype, volume.lowest, volume.highest)
    shape = list(volume.image.GetSize())
    for axis in volume.plane.in_plane_axes:
        shape[axis] //= factor
    array = np.empty(tuple(reversed(shape)), dtype=volume.dtype)
    targets = volume.plane.view(array)
    count, started = volume.slices.shape[0], time.perf_counter()
    for index, source in enumerate(volume.slices):
        pixels, bad = fill_non_finite(source)
        own_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        degraded = degrade(np.ascontiguousarray(pixels, dtype=np.float32), own_seed)
        targets[index] = to_voxel_type(degraded, volume.dtype, limits)
        if bad is not None and factor == 1:
            targets[index][bad] = source[bad]
        done = index + 1
        progress(Progress("simulate", done, count, (time.perf_counter() - started) / done * (count - done)))
    result = sitk.GetImageFromArray(array)
    place_on_grid(result, volume.image, volume.plane, 1.0 / factor)
    return one_slice(result) if volume.was_2d else result

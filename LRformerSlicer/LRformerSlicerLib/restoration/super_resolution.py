"""Finer and coarser in-plane grids over the same physical extent."""

from __future__ import annotations

import numpy as np
import psutil
import SimpleITK as sitk

from ..errors import UserError
from .nifti_image import POSITION_KEY, moved_position
from .slicing import SlicePlane

MEMORY_SHARE = 0.85
_GIB = 2**30


def resized_grid(
    image: sitk.Image, plane: SlicePlane, factor: float
) -> tuple[list[int], list[float], tuple[float, ...]]:
    """Size, spacing in mm and origin in LPS mm of the grid with `factor` times the pixels in the slice plane.

    The outer faces of the grid stay where they are: the first pixel's centre moves by half the difference of
    the spacings. A factor below 1 gives a coarser grid; pixels that do not fill a whole coarse one are left out.
    """
    size, spacing, first = list(image.GetSize()), list(image.GetSpacing()), [0.0, 0.0, 0.0]
    for axis in plane.in_plane_axes:
        size[axis] = int(size[axis] * factor + 1e-9)
        spacing[axis] /= factor
        first[axis] = (1.0 / factor - 1.0) / 2.0
    return size, spacing, image.TransformContinuousIndexToPhysicalPoint(first)


def place_on_grid(image: sitk.Image, like: sitk.Image, plane: SlicePlane, factor: float, first_index: int = 0) -> None:
    """Give `image` the grid of `like` made `factor` times finer in the slice plane.

    `first_index` says that the image holds only the slices from that one on.
    """
    _, spacing, origin = resized_grid(like, plane, factor)
    if first_index:
        step = np.array(like.GetDirection()).reshape(3, 3)[:, plane.across_axis] * spacing[plane.across_axis]
        origin = tuple(float(value) for value in np.array(origin) + first_index * step)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(like.GetDirection())
    scale, first = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
    for axis in plane.in_plane_axes:
        scale[axis], first[axis] = 1.0 / factor, (1.0 / factor - 1.0) / 2.0
    first[plane.across_axis] = first_index
    if position := moved_position(like, scale, first):
        image.SetMetaData(POSITION_KEY, position)


def interpolate_slice(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Cubic B-spline interpolation of a slice (H, W) to (factor * H, factor * W) over the same extent, float32."""
    from scipy.ndimage import zoom

    return zoom(pixels.astype(np.float32), factor, order=3, mode="nearest", grid_mode=True)


def repeated(pixels: np.ndarray, factor: int) -> np.ndarray:
    """A slice (H, W) with each pixel as a block of factor x factor of them."""
    return pixels.repeat(factor, 0).repeat(factor, 1)


def check_memory(image: sitk.Image, plane: SlicePlane, factor: int, voxel_bytes: int) -> None:
    """UserError where the restored volume cannot be held in what memory is free; it says how much it would need."""
    size, _, _ = resized_grid(image, plane, factor)
    # Once as an array and once as an image, and a float map (difference) as image and array after that.
    needed = float(np.prod([float(length) for length in size])) * max(2 * voxel_bytes, voxel_bytes + 8)
    free = psutil.virtual_memory().available
    if needed > MEMORY_SHARE * free:
        grid = " x ".join(str(length) for length in size)
        advice = "crop the volume first or choose a smaller factor" if factor > 1 else "crop the volume first"
        raise UserError(
            f"The restored grid of {grid} voxels needs {needed / _GIB:.1f} GiB of memory, but {free / _GIB:.1f} GiB "
            f"are free: {advice}."
        )

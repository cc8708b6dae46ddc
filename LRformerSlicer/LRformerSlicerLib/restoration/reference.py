"""A reference to measure a restoration against: brought onto the restored grid by its place in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from .super_resolution import resized_grid
from .tasks import Task
from .volume import Volume, check_volume

FARTHEST_OFF_VOXELS = 0.1
"""How far a voxel of the reference may lie from one of the restored grid: headers round their numbers."""


def on_restored_grid(reference: sitk.Image, volume: Volume, task: Task) -> Volume:
    """The reference with axes, directions and extent of the restored volume; its voxels are chosen, not interpolated.

    Its axes may be turned, mirrored and in another order, and it may be larger. Raises UserError where it has several
    values a voxel, or where its voxels do not lie on those of the restored volume or not on all of them.
    """
    if reference.GetNumberOfComponentsPerPixel() > 1:
        raise UserError("The reference is a colour or vector image: choose a scalar volume.")
    if reference.GetDimension() == 2:
        reference = sitk.JoinSeries(reference)
    if reference.GetDimension() != 3:
        raise UserError(f"The reference has {reference.GetDimension()} dimensions: choose one volume.")
    size, spacing, origin = resized_grid(volume.image, volume.plane, task.scale)
    grid = _matrix(volume.image.GetDirection(), spacing, origin)
    there = _matrix(reference.GetDirection(), reference.GetSpacing(), reference.GetOrigin())
    chosen = _chosen_voxels(np.linalg.inv(there) @ grid, size, reference.GetSize())
    if chosen is None:
        raise UserError(_why_not(reference, there, size, spacing, grid))
    order, indices = chosen
    array = sitk.GetArrayViewFromImage(reference)[np.ix_(*reversed(indices))]
    # Image axis a of the result is axis order[a] of the reference; arrays count axes backwards.
    array = np.transpose(array, [2 - order[axis] for axis in (2, 1, 0)])
    placed = sitk.GetImageFromArray(np.ascontiguousarray(array))
    placed.SetSpacing(spacing)
    placed.SetOrigin(origin)
    placed.SetDirection(volume.image.GetDirection())
    return check_volume(placed, slice_axis=volume.plane.across_axis)


def _chosen_voxels(
    index_to_index: np.ndarray, size: Sequence[int], there: Sequence[int]
) -> tuple[list[int], list[np.ndarray]] | None:
    """Which axis of the reference each axis of the grid is, and which indices along each of its axes are wanted.

    None where voxel centres do not fall on voxel centres, or some lie outside.
    """
    turn = np.zeros((3, 3))
    free = [0, 1, 2]
    # An axis of one voxel has no step that could be compared: the axis that is left is its own.
    for axis in sorted(range(3), key=lambda one: size[one] == 1):
        other = max(free, key=lambda one: abs(index_to_index[one, axis]))
        free.remove(other)
        turn[other, axis] = np.sign(index_to_index[other, axis]) or 1.0
    shift = np.rint(index_to_index[:3, 3])
    for corner in product(*[(0, length - 1) for length in size]):
        exact = index_to_index[:3, :3] @ corner + index_to_index[:3, 3]
        if np.abs(exact - (turn @ corner + shift)).max() > FARTHEST_OFF_VOXELS:
            return None
    order, indices = [0, 0, 0], [np.empty(0, dtype=int)] * 3
    for axis in range(3):
        other = int(np.flatnonzero(turn[:, axis])[0])
        wanted = (turn[other, axis] * np.arange(size[axis]) + shift[other]).astype(int)
        if wanted.min() < 0 or wanted.max() >= there[other]:
            return None
        order[axis], indices[other] = other, wanted
    return order, indices


def _matrix(direction: Sequence[float], spacing: Sequence[float], origin: Sequence[float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(direction).reshape(3, 3) * np.array(spacing)
    matrix[:3, 3] = origin
    return matrix


def _why_not(
    reference: sitk.Image, there: np.ndarray, size: Sequence[int], spacing: Sequence[float], grid: np.ndarray
) -> str:
    sizes = [np.array([*one, 1.0]) for one in (size, reference.GetSize())]
    middles = [
        (matrix @ np.append((one[:3] - 1) / 2, 1.0))[:3] for matrix, one in zip((grid, there), sizes, strict=True)
    ]
    apart = float(np.linalg.norm(middles[0] - middles[1]))
    said, wanted = _grid(reference.GetSize(), reference.GetSpacing()), _grid(size, spacing)
    if said == wanted:
        return (
            f"The reference does not lie on the voxels of the restored volume (middles {apart:.3g} mm apart): choose a "
            "reference on that grid."
        )
    return (
        f"The reference has {said}, but the restored volume will have {wanted}, {apart:.3g} mm away: choose a "
        "reference on that grid."
    )


def _grid(size: Sequence[int], spacing_mm: Sequence[float]) -> str:
    return f"{' x '.join(map(str, size))} voxels of {' x '.join(f'{step:.3g}' for step in spacing_mm)} mm"

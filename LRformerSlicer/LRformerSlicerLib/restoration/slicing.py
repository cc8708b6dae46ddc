"""Slices along the acquisition's own plane, seen the way a reader sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

ISOTROPIC_TOLERANCE = 0.02
SQUARE_PIXEL_TOLERANCE = 0.001
MOST_OBLONG = 1.15
"""Of the sides of a field of view that counts as square."""
SLICE_AXIS_KEY = "slice axis"
"""Metadata entry of an image whose source states the axis across the slices: 0, 1 or 2."""


def acquisition_axis(image: sitk.Image) -> int:
    """The image axis (0, 1, 2 = i, j, k) across the slices of a 3-D image.

    Scanners make square pixels: the one pair of axes with equal spacing is the plane, unless they are pixels that are
    longer one way and slices as thick as these are long. Where that does not decide, the axis of the thickest spacing
    runs across the slices; an isotropic volume is cut axially; of two equally thick axes the one with fewer voxels (the
    larger in-plane matrix).
    """
    size, spacing = image.GetSize(), image.GetSpacing()
    single = [axis for axis in range(3) if size[axis] == 1]
    if single:
        return max(single, key=lambda axis: spacing[axis])
    if max(spacing) <= min(spacing) * (1 + ISOTROPIC_TOLERANCE):
        towards_the_head = np.abs(np.array(image.GetDirection()).reshape(3, 3)[2])
        return int(np.argmax(towards_the_head))
    square = [
        across
        for across in range(3)
        if np.isclose(*(spacing[axis] for axis in range(3) if axis != across), rtol=SQUARE_PIXEL_TOLERANCE, atol=0)
    ]
    if len(square) == 1:
        long_pixels = _axis_across_long_pixels(square[0], size, spacing)
        return square[0] if long_pixels is None else long_pixels
    thickest = max(spacing)
    candidates = [axis for axis in range(3) if np.isclose(spacing[axis], thickest, rtol=SQUARE_PIXEL_TOLERANCE)]
    return min(candidates, key=lambda axis: size[axis])


def _axis_across_long_pixels(thin: int, size: tuple[int, ...], spacing: tuple[float, ...]) -> int | None:
    """The slice axis where pixels are a x b and slices b apart (a < b, along `thin`), or None where they are b x b.

    The slices then are the fewest, and they are stored along the third axis or have a square field of view.
    """
    pair = [axis for axis in range(3) if axis != thin]
    if spacing[thin] >= min(spacing[axis] for axis in pair):
        return None
    across, other = sorted(pair, key=lambda axis: (size[axis], -axis))
    if size[across] >= min(size[thin], size[other]):
        return None
    fields = size[thin] * spacing[thin], size[other] * spacing[other]
    return across if across == 2 or max(fields) <= MOST_OBLONG * min(fields) else None


@dataclass(frozen=True)
class SlicePlane:
    """How a K, J, I array becomes (slices, rows, columns).

    `order` are the numpy axes taken as slices, rows, columns; `flips` says which of rows and columns run
    backwards, so that rows go down (towards feet or back) and columns go to the patient's left or back, as
    slices are displayed and as MedSAM has seen them.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool]

    @classmethod
    def of(cls, image: sitk.Image, across: int | None = None) -> SlicePlane:
        """The acquisition plane of a 3-D image; `across` is the axis through the slices where it is known."""
        across = acquisition_axis(image) if across is None else across
        direction = np.array(image.GetDirection()).reshape(3, 3)
        in_plane = [axis for axis in range(3) if axis != across]
        # Patient axis (L, P, S) that each image axis mostly runs along; rows take the later of S, P, L.
        along = {axis: int(np.argmax(np.abs(direction[:, axis]))) for axis in in_plane}
        column_axis, row_axis = sorted(in_plane, key=lambda axis: along[axis])
        row_sign = direction[along[row_axis], row_axis]
        column_sign = direction[along[column_axis], column_axis]
        rows_backwards = row_sign > 0 if along[row_axis] == 2 else row_sign < 0
        return cls((2 - across, 2 - row_axis, 2 - column_axis), (bool(rows_backwards), bool(column_sign < 0)))

    @property
    def across_axis(self) -> int:
        """The image axis (i, j, k) that counts the slices."""
        return 2 - self.order[0]

    @property
    def in_plane_axes(self) -> tuple[int, int]:
        """The image axes (i, j, k) of rows and columns."""
        return 2 - self.order[1], 2 - self.order[2]

    def view(self, array: np.ndarray) -> np.ndarray:
        """`array` (K, J, I) seen as (slices, rows, columns); no copy, so that writing to it writes the volume."""
        row_step, column_step = (-1 if flip else 1 for flip in self.flips)
        return np.transpose(array, self.order)[:, ::row_step, ::column_step]

    def index_of(self, row: np.ndarray, column: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Image indices along the row axis and the column axis for rows and columns of the view."""
        row_axis, column_axis = self.in_plane_axes
        if self.flips[0]:
            row = size[row_axis] - 1 - row
        if self.flips[1]:
            column = size[column_axis] - 1 - column
        return row, column


def neighbour_indices(count: int, index: int, context: int) -> list[int]:
    """Slice `index` of `count` with `context` neighbours each side; ends repeat."""
    return np.clip(np.arange(index - context, index + context + 1), 0, count - 1).tolist()


def neighbour_stack(view: np.ndarray, index: int, context: int) -> np.ndarray:
    """Slice `index` with `context` neighbours each side, (1 + 2 * context, rows, columns); ends repeat."""
    return np.stack([view[position] for position in neighbour_indices(view.shape[0], index, context)])

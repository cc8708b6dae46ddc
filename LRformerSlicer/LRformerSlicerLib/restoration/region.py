"""The region of interest: a box in patient space, as a prompt and as the only region changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from .slicing import SlicePlane

BLEND_PIXELS = 4
LARGEST_BLEND = 0.25


@dataclass(frozen=True)
class Region:
    """An axis-aligned LPS box in mm laid over the slices of a volume.

    The box need not follow the image axes: membership is decided for every pixel in patient space.
    """

    low_mm: np.ndarray
    high_mm: np.ndarray
    image: sitk.Image
    plane: SlicePlane

    @classmethod
    def of(cls, roi_lps_mm: tuple[float, ...], image: sitk.Image, plane: SlicePlane) -> Region:
        """The region of x0, x1, y0, y1, z0, z1; UserError where it is malformed or touches no voxel."""
        if len(roi_lps_mm) != 6 or not np.all(np.isfinite(roi_lps_mm)):
            raise UserError("The ROI needs six numbers in LPS mm: x0,x1,y0,y1,z0,z1.")
        bounds = np.sort(np.asarray(roi_lps_mm, dtype=np.float64).reshape(3, 2), axis=1)
        region = cls(bounds[:, 0], bounds[:, 1], image, plane)
        if not any(region.box(index) is not None for index in region.candidate_slices()):
            low, high = _physical_bounds(image)
            extent = ", ".join(f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in zip("xyz", low, high, strict=True))
            raise UserError(
                f"The ROI lies outside the volume, which covers {extent} mm in LPS: move the ROI onto the volume."
            )
        return region

    def candidate_slices(self) -> range:
        """The slices that the box may touch: those between its corners."""
        across = self.plane.across_axis
        corners = [
            self.image.TransformPhysicalPointToContinuousIndex(
                [float((self.high_mm if bit >> axis & 1 else self.low_mm)[axis]) for axis in range(3)]
            )[across]
            for bit in range(8)
        ]
        first, last = int(np.floor(min(corners))), int(np.ceil(max(corners)))
        return range(max(first, 0), min(last + 1, self.image.GetSize()[across]))

    def inside(self, index: int) -> np.ndarray:
        """Which pixels of slice `index` lie in the box, bool (rows, columns); a slice has its full thickness."""
        depth = self._depth_mm(index)
        return np.all(depth >= 0, axis=0)

    def box(self, index: int) -> tuple[float, float, float, float] | None:
        """The box prompt on slice `index`: x0, y0, x1, y1 in pixels, or None where the slice misses the region."""
        rows, columns = np.nonzero(self.inside(index))
        if rows.size == 0:
            return None
        return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)

    def weight(self, index: int) -> np.ndarray:
        """How much of the restoration slice `index` takes: 0 outside, rising smoothly to 1 inside the edge."""
        spacing = self.image.GetSpacing()
        blend_mm = BLEND_PIXELS * max(spacing[axis] for axis in self.plane.in_plane_axes)
        blend_mm = np.minimum(blend_mm, LARGEST_BLEND * np.maximum(self.high_mm - self.low_mm, 1e-6))
        depth = self._depth_mm(index) / blend_mm[:, None, None]
        depth[self._across_patient_axis()] = np.where(depth[self._across_patient_axis()] >= 0, 1.0, 0.0)
        ramp = np.clip(depth, 0.0, 1.0)
        return np.prod(ramp * ramp * (3.0 - 2.0 * ramp), axis=0).astype(np.float32)

    def _across_patient_axis(self) -> int:
        direction = np.array(self.image.GetDirection()).reshape(3, 3)
        return int(np.argmax(np.abs(direction[:, self.plane.across_axis])))

    def _depth_mm(self, index: int) -> np.ndarray:
        """How deep each pixel lies inside the box along x, y and z, (3, rows, columns); negative outside."""
        image, plane = self.image, self.plane
        size, spacing = image.GetSize(), np.array(image.GetSpacing())
        row_axis, column_axis = plane.in_plane_axes
        row, column = plane.index_of(np.arange(size[row_axis])[:, None], np.arange(size[column_axis])[None, :], size)
        steps = np.array(image.GetDirection()).reshape(3, 3) * spacing
        across = plane.across_axis
        position = (
            np.array(image.GetOrigin())[:, None, None]
            + steps[:, row_axis, None, None] * row
            + steps[:, column_axis, None, None] * column
            + steps[:, across, None, None] * index
        )
        # A pixel belongs to the box where its centre does, but a slice is as thick as its spacing: a box that
        # lies between two slice centres still means the slice it cuts.
        slack = np.full(3, 1e-6)
        slack[self._across_patient_axis()] += spacing[across] / 2
        low, high = (self.low_mm - slack)[:, None, None], (self.high_mm + slack)[:, None, None]
        return np.minimum(position - low, high - position)


def _physical_bounds(image: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    last = np.array(image.GetSize()) - 0.5
    corners = []
    for bit in range(8):
        index = [float(last[axis]) if bit >> axis & 1 else -0.5 for axis in range(3)]
        corners.append(image.TransformContinuousIndexToPhysicalPoint(index))
    return np.min(corners, axis=0), np.max(corners, axis=0)

"""What a job shows the networks and its statistics of each slice, and which voxels it leaves as they are.

Voxels that tell nothing of the tissue around them would spread into it: NaN, padding, single numbers far outside the
range that the networks were trained on. They are replaced by the nearest others before anything else looks at the
slice, and come out unchanged. Metal in CT is a real thing beyond that range: it is shown as bright as the range goes,
and comes out unchanged, too; so it is with voxels at the end of the range, where scanners of 12 bits cut metal off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .intensity import CT_HIGHEST_HU, CT_LOWEST_HU, MR_TRAINED_RANGE, Intensity
from .padding import background_range, find_padding_values, flat_areas
from .volume import Volume, filled

LONE_CONTRAST = 1.0
"""Of the foreground's range: a pixel of MR that much brighter than all its neighbours is no tissue, for no scanner
resolves it."""


@dataclass(frozen=True)
class ShownSlice:
    """One slice as it is shown.

    Attributes:
        pixels: (H, W), finite, of the volume's type.
        kept: (H, W) bool, which pixels come out as they went in; None where all may change.
        padding: (H, W) bool, which of them were not measured, and so are no part of the body; None for none.
    """

    pixels: np.ndarray
    kept: np.ndarray | None = None
    padding: np.ndarray | None = None


class ShownSlices:
    """The slices of a volume as a job shows them; values from its padding are left out of `sample`."""

    def __init__(self, volume: Volume, modality: str) -> None:
        self._volume, self._modality = volume, modality
        self._intensity: Intensity | None = None
        self.padding_values = find_padding_values(volume.slices, volume.sample, modality)
        sample = volume.sample if volume.padding is None else _measured_sample(volume)
        self.sample = sample[~np.isin(sample, self.padding_values)] if self.padding_values else sample
        if not self.sample.size:
            self.sample = volume.sample
        self._background_range = background_range(self.sample, modality)
        all_measured = volume.padding is None and not self.padding_values
        self.lowest = volume.lowest if all_measured else float(self.sample.min())
        self.highest = volume.highest if all_measured else float(self.sample.max())
        if modality == "CT":
            self.lowest, self.highest = max(self.lowest, CT_LOWEST_HU), min(self.highest, CT_HIGHEST_HU)

    def leave_out_no_tissue(self, intensity: Intensity) -> None:
        """From now on hide what is no tissue in MR, once the intensity of the volume is known."""
        self._intensity = intensity

    def __len__(self) -> int:
        return self._volume.slices.shape[0]

    def __getitem__(self, index: int) -> ShownSlice:
        stated = self._volume.padding
        return self.shown(self._volume.slices[index], None if stated is None else stated[index])

    def shown(self, pixels: np.ndarray, stated_padding: np.ndarray | None = None) -> ShownSlice:
        """A slice (H, W) as it is shown, with what its source states as padding."""
        padding = np.zeros(pixels.shape, dtype=bool) if stated_padding is None else stated_padding.copy()
        for value in self.padding_values:
            padding |= flat_areas(pixels, value)
        low, high = self._background_range
        with np.errstate(invalid="ignore"):
            hidden = padding & ~((pixels >= low) & (pixels <= high))
        if np.issubdtype(pixels.dtype, np.floating):
            hidden |= ~np.isfinite(pixels)
        beyond = np.zeros_like(hidden)
        if self._modality == "CT":
            with np.errstate(invalid="ignore"):
                beyond = ~hidden & ((pixels < CT_LOWEST_HU) | (pixels >= CT_HIGHEST_HU))
        if self._intensity is not None:
            hidden |= self._no_tissue(pixels, hidden)
        kept = padding | hidden | beyond
        if not kept.any():
            return ShownSlice(pixels)
        shown = filled(pixels, hidden, self._darkest) if hidden.any() else pixels
        if beyond.any():
            shown = np.where(beyond, np.where(pixels > 0, CT_HIGHEST_HU, CT_LOWEST_HU).astype(pixels.dtype), shown)
        return ShownSlice(shown, kept, padding if padding.any() else None)

    @property
    def _darkest(self) -> float:
        """For slices that show nothing."""
        return CT_LOWEST_HU if self._modality == "CT" else float(np.percentile(self.sample, 1.0))

    def _no_tissue(self, pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """MR: what lies outside the trained range, and single pixels that no scanner could have resolved."""
        zero, unit = self._intensity.zero, self._intensity.unit
        low, high = (zero + unit * end for end in MR_TRAINED_RANGE)
        with np.errstate(invalid="ignore"):
            outside = (pixels < low) | (pixels > high)
            bright = (pixels > zero + unit * LONE_CONTRAST) & ~outside & ~hidden
            if bright.any():
                ring = np.ones((3, 3), dtype=bool)
                ring[1, 1] = False
                finite = np.where(outside | hidden, zero, pixels).astype(np.float32)
                around = ndimage.maximum_filter(finite, footprint=ring, mode="reflect")
                outside |= bright & (finite - around > unit * LONE_CONTRAST)
        return outside


def _measured_sample(volume: Volume) -> np.ndarray:
    """Finite values of voxels that are no stated padding, taken evenly."""
    chosen = np.unique(np.linspace(0, len(volume.slices) - 1, 64).astype(int))
    values = np.concatenate([volume.slices[index][~volume.padding[index]] for index in chosen])
    if not values.size:
        values = volume.slices[~volume.padding]
    return values[np.isfinite(values)]

"""Physical intensities to the networks' numbers and exactly back (numpy only)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError

CT_LOWEST_HU = -1024
CT_HIGHEST_HU = 3071
CT_SOFT_TISSUE_WINDOW_HU = (-160.0, 240.0)
MR_PERCENTILES = (0.5, 99.5)
MR_TRAINED_RANGE = (-1.0, 4.0)
"""Normalised MR that networks were trained on: pairs are stored up to 4, and the darkest training voxel has -0.2."""


@dataclass(frozen=True)
class Intensity:
    """A linear map: normalised = (value - zero) / unit, clipped below at 0 where `clips_below`.

    `window` is the normalised range shown to MedSAM and used by the metrics.
    """

    zero: float
    unit: float
    window: tuple[float, float]
    clips_below: bool

    def normalise(self, values: np.ndarray) -> np.ndarray:
        """Network numbers, float32 of the same shape."""
        normalised = (np.asarray(values, dtype=np.float32) - np.float32(self.zero)) / np.float32(self.unit)
        return np.maximum(normalised, 0.0) if self.clips_below else normalised

    def restore(self, normalised: np.ndarray) -> np.ndarray:
        """Physical values, float64 of the same shape: the inverse of `normalise` where that did not clip."""
        return np.asarray(normalised, dtype=np.float64) * self.unit + self.zero

    def to_window(self, values: np.ndarray) -> np.ndarray:
        """Physical values mapped to [0, 1] over the window and clipped, float32."""
        low, high = self.window
        normalised = (np.asarray(values, dtype=np.float32) - np.float32(self.zero)) / np.float32(self.unit)
        return np.clip((normalised - low) / (high - low), 0.0, 1.0).astype(np.float32)


def ct_intensity() -> Intensity:
    """HU / 1000 + 1, so that -1000 HU is 0 and water is 1; the window is the soft-tissue one."""
    low, high = CT_SOFT_TISSUE_WINDOW_HU
    return Intensity(-1000.0, 1000.0, (low / 1000.0 + 1.0, high / 1000.0 + 1.0), clips_below=True)


def mr_intensity(foreground_values: np.ndarray) -> Intensity:
    """Robust scaling by the 0.5 and 99.5 percentiles of a volume's foreground; not clipped.

    Raises UserError when the foreground holds one value only.
    """
    low, high = np.percentile(foreground_values, MR_PERCENTILES)
    if not high > low:
        raise UserError("The volume is constant where the body should be: choose a volume that shows something.")
    return Intensity(float(low), float(high - low), (0.0, 1.0), clips_below=False)


def value_limits(modality: str, dtype: np.dtype, lowest: float, highest: float) -> tuple[float, float]:
    """What a restored voxel may be: inside the type's range and inside what the modality can hold.

    `lowest` and `highest` are the input's own extremes, always allowed. Float MR is bounded below only where
    the input is a magnitude (not negative).
    """
    if modality == "CT":
        low, high = min(lowest, CT_LOWEST_HU), max(highest, CT_HIGHEST_HU)
    else:
        low, high = (0.0 if lowest >= 0 else -np.inf), np.inf
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        low, high = max(low, limits.min), min(high, limits.max)
    return float(low), float(high)


def to_voxel_type(values: np.ndarray, dtype: np.dtype, limits: tuple[float, float]) -> np.ndarray:
    """`values` clipped to `limits`, rounded where `dtype` is an integer type, and cast to it."""
    clipped = np.clip(values, *limits)
    return np.rint(clipped).astype(dtype) if np.issubdtype(dtype, np.integer) else clipped.astype(dtype)

"""Intensities of MR training slices, found as the engine finds those of a volume."""

from __future__ import annotations

import numpy as np

from ..prior.foreground import body_mask
from ..restoration.intensity import Intensity, mr_intensity

# Pairs are stored normalised, in steps of 1/8192: int16 reaches four times the foreground's range.
STORED_MR_INTENSITY = Intensity(0.0, 8192.0, (0.0, 1.0), clips_below=False)


def intensity_of_slices(slices: list[np.ndarray]) -> Intensity:
    """Robust scaling by the percentiles of the foreground of degraded slices (rows, columns) of one volume.

    Raises:
        UserError: the foreground holds one value only.
    """
    return mr_intensity(np.concatenate([pixels[body_mask(pixels, "MR")] for pixels in slices]))

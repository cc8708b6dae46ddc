"""What a restoration may not change: the brightness of anything much wider than the noise's grain.

The noise of filtered back-projection has little of low frequencies, for the ramp filter takes them away (Riederer, Pelc
and Chesler, Physics in Medicine and Biology 23 (1978) 446).  A network trained on squared or absolute errors shrinks
faint lesions towards their surroundings all the same; the low frequencies of the input, which are good, put them right.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SMALLEST_WEIGHT = 1e-3


def without_slow_part(
    change: np.ndarray, body: np.ndarray, blur_mm: float, pixel_size_mm: tuple[float, float]
) -> np.ndarray:
    """A change without its low frequencies, so that means over anything wide stay what they were.

    Args:
        change: restored minus original, (H, W).
        body: (H, W) bool; what lies outside neither counts nor is touched.
        blur_mm: standard deviation of the Gaussian that says what is slow.
        pixel_size_mm: along rows' and columns' index.

    Returns:
        (H, W) float32.
    """
    sd = [blur_mm / size for size in pixel_size_mm]
    weight = body.astype(np.float32)
    inside = change.astype(np.float32) * weight
    slow = gaussian_filter(inside, sd) / np.maximum(gaussian_filter(weight, sd), SMALLEST_WEIGHT)
    return np.where(body, change - slow, change).astype(np.float32)

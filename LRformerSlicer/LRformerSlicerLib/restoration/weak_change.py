"""What a restoration leaves alone because there is next to nothing to restore: noise that any good scan has.

A network trained on real scans, whose noise is in the input and the target alike, is not told how much noise a good
scan has, and takes some away from every one.  Where all it would change is as weak as that, the scan stays.
"""

from __future__ import annotations

import numpy as np

from .nearby import nearby_mean

NEIGHBOURHOOD_MM = 8.0


def without_weak_change(
    change: np.ndarray, body: np.ndarray, weak: float, pixel_size_mm: tuple[float, float]
) -> np.ndarray:
    """A change of which half is left where its local RMS is ``weak``, hardly any where it is a third, nearly all at 3.

    The share is r^2 / (r^2 + weak^2) of the RMS r in a Gaussian neighbourhood of SD 8 mm.

    Args:
        change: restored minus original, (H, W).
        body: (H, W) bool; what lies outside neither counts nor is touched.
        weak: in the unit of the change; 0 leaves it as it is.
        pixel_size_mm: along rows' and columns' index.

    Returns:
        (H, W) float32.
    """
    if weak == 0.0:
        return change.astype(np.float32)
    power = np.maximum(nearby_mean(change.astype(np.float32) ** 2, body, NEIGHBOURHOOD_MM, pixel_size_mm), 0.0)
    return np.where(body, change * (power / (power + weak**2)), change).astype(np.float32)

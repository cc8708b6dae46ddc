"""What a restoration may not change: the brightness of anything much wider than the noise's grain.

The noise of filtered back-projection has little of low frequencies, for the ramp filter takes them away (Riederer, Pelc
and Chesler, Physics in Medicine and Biology 23 (1978) 446).  A network trained on squared or absolute errors shrinks
faint lesions towards their surroundings all the same; the low frequencies of the input, which are good, put them right.
Where the noise is so strong that even its small share of low frequencies is worse than what the network makes of them,
as in the streaks between the shoulders, the network's are taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .nearby import nearby_mean

NOISE_NEIGHBOURHOOD_MM = 8.0
NOISE_POWER = 4


@dataclass(frozen=True)
class SlowPart:
    """What of a slice's low frequencies is left alone.

    Attributes:
        blur_mm: standard deviation of the Gaussian that says what is slow.
        noise_sd: of the noise taken nearby (Gaussian neighbourhood of SD 8 mm), in the unit of the change; where it is
            so strong, half of the slow part is left alone; hardly any where it is twice as strong, nearly all where it
            is half.  Infinite for all of it everywhere.
    """

    blur_mm: float
    noise_sd: float = math.inf


def without_slow_part(
    change: np.ndarray, body: np.ndarray, part: SlowPart, pixel_size_mm: tuple[float, float]
) -> np.ndarray:
    """A change without its low frequencies, so that means over anything wide stay what they were.

    Args:
        change: restored minus original, (H, W).
        body: (H, W) bool; what lies outside neither counts nor is touched.
        part: of the low frequencies to take out.
        pixel_size_mm: along rows' and columns' index.

    Returns:
        (H, W) float32.
    """

    slow = nearby_mean(change.astype(np.float32), body, part.blur_mm, pixel_size_mm)
    if math.isfinite(part.noise_sd):
        variance = nearby_mean((change - slow) ** 2, body, NOISE_NEIGHBOURHOOD_MM, pixel_size_mm)
        slow /= 1.0 + (np.maximum(variance, 0.0) / part.noise_sd**2) ** (NOISE_POWER / 2)
    return np.where(body, change - slow, change).astype(np.float32)

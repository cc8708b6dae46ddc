"""Other contrasts of an MR scan, so that few scans of few sequences teach more than their own.

Which tissue is bright is the sequence's choice; where tissues meet is the patient's.  A curve through the scan's values
changes the first and keeps the second.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

# Values over the bright tissue's: where the curve is drawn anew, and between which values there.
KNOTS = (0.25, 0.5, 0.75, 1.0, 1.5)
LOWEST, HIGHEST = 0.05, 1.2
STEEPEST = 2.5  # between two knots; a steeper curve would make structures of noise


def random_contrast(bright: float, random: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A smooth curve that keeps air dark and gives tissues other values, in the scan's own units.

    Args:
        bright: value of the bright tissue, as ``degradation.mr.kspace.bright_tissue`` finds it.
        random: to draw with.
    """
    places, values = [0.0], [0.0]
    for place in KNOTS:
        reach = STEEPEST * (place - places[-1])
        values.append(float(random.uniform(max(LOWEST, values[-1] - reach), min(HIGHEST, values[-1] + reach))))
        places.append(place)
    curve = PchipInterpolator(
        places, values
    )  # without overshoot, so never below zero; in places about twice as steep as drawn

    def other_contrast(pixels: np.ndarray) -> np.ndarray:
        return (bright * curve(np.clip(pixels / bright, 0.0, KNOTS[-1]))).astype(np.float32)

    return other_contrast

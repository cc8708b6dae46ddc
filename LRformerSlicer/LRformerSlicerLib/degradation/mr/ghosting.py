"""Ghosts: copies of the object along phase encoding, from a signal that pulsates while line after line is measured.

Breathing and blood flow make every p-th line stronger.  Multiplying the spectrum by 1 + a cos(2 pi j / p + phase), j
being the line counted from the centre, adds two copies of amplitude a / 2, shifted by n / p pixels either way (the
modulation theorem of the Fourier transform).
Source: Wood and Henkelman, Medical Physics 12 (1985) 143.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .kspace import frequencies

DEPTH_RANGE = (0.05, 0.4)
PERIOD_RANGE_LINES = (2.0, 9.0)


@dataclass(frozen=True)
class Pulsation:
    """A periodic change of the signal during the acquisition.

    Attributes:
        depth: a, relative to the mean signal.
        period_lines: p, in phase-encoding lines; need not be a whole number.
        phase: at the central line, in radians.
    """

    depth: float
    period_lines: float
    phase: float


def random_pulsation(random: np.random.Generator) -> Pulsation:
    """Ghosts of 2.5 to 20 % of the object's brightness, up to half a field of view away."""
    return Pulsation(
        float(random.uniform(*DEPTH_RANGE)),
        float(random.uniform(*PERIOD_RANGE_LINES)),
        float(random.uniform(0.0, 2.0 * np.pi)),
    )


def pulsating(spectrum: np.ndarray, pulsation: Pulsation) -> np.ndarray:
    """A centred (rows, columns) spectrum measured while the signal pulsates; rows are phase-encoding lines."""
    line = frequencies(spectrum.shape[0])
    signal = 1.0 + pulsation.depth * np.cos(2.0 * np.pi * line / pulsation.period_lines + pulsation.phase)
    return spectrum * signal[:, None]

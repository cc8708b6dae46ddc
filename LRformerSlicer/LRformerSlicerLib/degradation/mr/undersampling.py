"""Cartesian undersampling: some phase-encoding lines are left out and stay zero.

The centre is sampled fully.  The others are drawn at random, so that what folds over looks like noise along phase
encoding (Lustig, Donoho and Pauly, Magnetic Resonance in Medicine 58 (2007) 1182).
"""

from __future__ import annotations

import numpy as np

from .kspace import frequencies

ACCELERATION_RANGE = (1.2, 2.5)
CENTRE_SHARE_RANGE = (0.12, 0.3)


def measured_lines(lines: int, acceleration: float, centre_share: float, random: np.random.Generator) -> np.ndarray:
    """Which of the phase-encoding lines are measured: (lines,) bool, centred as a spectrum's rows.

    Args:
        lines: in all.
        acceleration: lines in all over lines measured, at least 1.
        centre_share: share of the lines, around the centre, that are all measured.
        random: draws the others.

    Raises:
        ValueError: an acceleration below 1.
    """
    if acceleration < 1.0:
        raise ValueError(f"an acceleration is at least 1, not {acceleration:g}")
    measured = np.abs(frequencies(lines)) <= centre_share * lines / 2
    missing = round(lines / acceleration) - int(measured.sum())
    if missing > 0:
        measured[random.choice(np.flatnonzero(~measured), missing, replace=False)] = True
    return measured


def random_lines(lines: int, random: np.random.Generator) -> np.ndarray:
    """Lines of a scan that is accelerated 1.2 to 2.5 times."""
    acceleration, centre_share = random.uniform(*ACCELERATION_RANGE), random.uniform(*CENTRE_SHARE_RANGE)
    return measured_lines(lines, acceleration, centre_share, random)


def undersampled(spectrum: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """The centred (rows, columns) spectrum with the lines that were not measured set to zero."""
    return np.where(measured[:, None], spectrum, 0.0)

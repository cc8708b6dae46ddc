"""Thicker slices: what lies across the slices is averaged over the profile that the excitation pulse selects.

The profile of a thick slice is a box as wide as the slice with soft edges, here an error function, because a pulse of
finite length has no sharp band.  Thick slices lie side by side without a gap.
Source: Bernstein, King and Zhou, Handbook of MRI Pulse Sequences (2004), chapters 2 and 8 (slice profile).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ...errors import UserError

EDGE_SHARE = 0.08
"""Standard deviation of the blur of the profile's edges, as a share of the thick slice."""


def slice_profiles(count: int, factor: int) -> np.ndarray:
    """Weights of ``count`` thin slices in each thick one of ``factor`` thin ones, (count // factor, count).

    Each row sums to 1: tissue that goes on across the slices keeps its value.  Thin slices at the end that do not fill
    a thick one count in the last profile's soft edge alone.

    Raises:
        UserError: a factor below 1, or more than there are slices.
    """
    if not 1 <= factor <= count:
        raise UserError(f"Slices cannot be made {factor} times thicker where there are {count}: choose 1 to {count}.")
    if factor == 1:
        return np.eye(count)
    middles = (np.arange(count // factor) + 0.5) * factor
    faces = np.arange(count + 1) - middles[:, None]  # of the thin slices, as seen from each thick one's middle

    def softened_step_integral(at: np.ndarray) -> np.ndarray:
        sd = EDGE_SHARE * factor
        return at * special.ndtr(at / sd) + sd * np.exp(-((at / sd) ** 2) / 2) / np.sqrt(2 * np.pi)

    rising, falling = (softened_step_integral(faces + side * factor / 2) for side in (1, -1))
    weights = np.diff(rising - falling, axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def thick_slices(slices: np.ndarray, factor: int) -> np.ndarray:
    """The volume as a scan with ``factor`` times thicker slices shows it.

    Args:
        slices: (N, rows, columns) magnitude of thin slices that touch each other.
        factor: thin slices in a thick one.

    Returns:
        (N // factor, rows, columns) float32 in the volume's units.

    Raises:
        UserError: as in :func:`slice_profiles`.
    """
    return np.tensordot(slice_profiles(len(slices), factor), slices.astype(np.float32), axes=1).astype(np.float32)

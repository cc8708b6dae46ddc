"""Bias field: the smooth gain of the receiving coil over the slice.

The logarithm of the gain is a polynomial of the third order in the position, without a constant.
Source: Van Leemput et al., IEEE Transactions on Medical Imaging 18 (1999) 885.
"""

from __future__ import annotations

import numpy as np

ORDER = 3
LARGEST_LOG_GAIN_RANGE = (0.05, 0.3)  # the gain reaches at most 1.35 or its inverse inside the body


def smooth_polynomial(shape: tuple[int, int], coefficients: np.ndarray) -> np.ndarray:
    """Sum of c[p, q] y^p x^q over (rows, columns), y and x from -1 to 1; terms above the third order are left out."""
    y, x = (np.linspace(-1.0, 1.0, size) for size in shape)
    total = np.zeros(shape)
    for power_y in range(ORDER + 1):
        for power_x in range(ORDER + 1 - power_y):
            total += coefficients[power_y, power_x] * y[:, None] ** power_y * x[None, :] ** power_x
    return total


def random_coefficients(random: np.random.Generator) -> np.ndarray:
    """(4, 4) polynomial coefficients from -1 to 1; the constant is 0."""
    coefficients = random.uniform(-1.0, 1.0, (ORDER + 1, ORDER + 1))
    coefficients[0, 0] = 0.0
    return coefficients


def bias_field(body: np.ndarray, coefficients: np.ndarray, largest_log_gain: float) -> np.ndarray:
    """Gain (rows, columns), float64, whose geometric mean over the body is 1: the brightness as a whole stays.

    Args:
        body: (rows, columns) bool; where it is empty the whole slice counts.
        coefficients: of :func:`random_coefficients`.
        largest_log_gain: largest absolute logarithm of the gain inside the body.
    """
    inside = body if body.any() else np.ones_like(body)
    log_gain = smooth_polynomial(body.shape, coefficients)
    log_gain -= log_gain[inside].mean()
    highest = np.abs(log_gain[inside]).max()
    if highest > 0:
        log_gain *= largest_log_gain / highest
    # Outside the body the polynomial runs away; coils do not.
    return np.exp(np.clip(log_gain, -2 * largest_log_gain, 2 * largest_log_gain))

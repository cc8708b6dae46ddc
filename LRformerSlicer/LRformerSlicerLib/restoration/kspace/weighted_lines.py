"""Slices whose lines of k-space were weighted: by zero where they were not measured, unevenly if the signal pulsated.

Along phase encoding every line k has a real weight w(k).  Where the phase of the magnetisation changes little, the
magnitude shows the real part of the image in the frame of that phase, and the spectrum of a real image is symmetric:
what acts on it is (w(k) + w(-k)) / 2.  This holds inside the body.  In the air around it the magnitude has lost the
sign of whatever folded there, so the air is not used but for one thing: nothing is there.  That the body ends somewhere
is what makes the lines that are missing follow from the others.
Source of the latter: Plevritis and Macovski, Spectral extrapolation of spatially bounded images, IEEE Transactions on
Medical Imaging 14 (1995) 487.  Solved by FISTA (Beck and Teboulle, SIAM Journal on Imaging Sciences 2 (2009) 183) with
total variation (Chambolle, Journal of Mathematical Imaging and Vision 20 (2004) 89) as the weak further prior.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

DUAL_STEP = 0.25
DUAL_ITERATIONS = 4  # a step; the dual variable is kept from step to step
FIRST_WEIGHT = 5.0  # of the total variation at the first step, over that at the last ones
FALLING_SHARE = 0.6  # of the steps


def half_spectrum_length(rows: int) -> int:
    """Lines of the spectrum of real columns of this length, that are not mirror images of each other."""
    return rows // 2 + 1


def weighted(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A (rows, columns) real image whose lines 0 to rows // 2 along the rows are multiplied by ``weights``."""
    return fft.irfft(fft.rfft(image, axis=0) * weights[:, None], n=image.shape[0], axis=0)


def unweighted(pixels: np.ndarray, body: np.ndarray, weights: np.ndarray, smoothness: float, steps: int) -> np.ndarray:
    """The image within ``body`` whose weighted version agrees best with ``pixels`` there.

    Args:
        pixels: (rows, columns), in units of the bright tissue.
        body: (rows, columns) bool; outside there is nothing.
        weights: (rows // 2 + 1,) real, at most about 1.
        smoothness: weight of the total variation.
        steps: of FISTA.

    Returns:
        (rows, columns) float32, not negative.
    """
    body = body.astype(np.float32)
    inside, weights = pixels.astype(np.float32) * body, weights.astype(np.float32)
    # Ghosts make some weights larger than 1; the step must not exceed the inverse of the largest squared.
    step = np.float32(1.0 / max(1.0, float(np.abs(weights).max()) ** 2))
    image, ahead, momentum = inside, inside, 1.0
    dual = np.zeros((2, *pixels.shape), dtype=np.float32)
    for number in range(steps):
        falling = max(0.0, 1.0 - number / (FALLING_SHARE * steps))
        towards = ahead + step * weighted(inside - body * weighted(ahead, weights), weights)
        smoother = _smoothed(towards, smoothness * (1.0 + (FIRST_WEIGHT - 1.0) * falling), dual)
        following = np.maximum(smoother, 0.0) * body
        next_momentum = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = following + np.float32((momentum - 1.0) / next_momentum) * (following - image)
        image, momentum = following, next_momentum
    return image


def misfit(pixels: np.ndarray, body: np.ndarray, weights: np.ndarray, image: np.ndarray, smoothness: float) -> float:
    """What :func:`unweighted` makes small: half the squared error in the body plus the weighted total variation."""
    error = (pixels - weighted(image, weights))[body]
    return 0.5 * float(np.sum(error**2)) + smoothness * float(np.sum(np.hypot(*_gradient(image))))


def _smoothed(image: np.ndarray, amount: float, dual: np.ndarray) -> np.ndarray:
    """Some steps towards the minimum of |x - image|^2 / 2 + amount TV(x), from ``dual`` on, which is changed."""
    for _ in range(DUAL_ITERATIONS):
        slope = _gradient(_divergence(dual) - image / np.float32(amount))
        dual += DUAL_STEP * slope
        dual /= 1.0 + DUAL_STEP * np.hypot(*slope)
    return image - np.float32(amount) * _divergence(dual)


def _gradient(image: np.ndarray) -> np.ndarray:
    """(2, rows, columns) forward differences, none over the border."""
    slope = np.zeros((2, *image.shape), dtype=image.dtype)
    np.subtract(image[1:], image[:-1], out=slope[0, :-1])
    np.subtract(image[:, 1:], image[:, :-1], out=slope[1, :, :-1])
    return slope


def _divergence(field: np.ndarray) -> np.ndarray:
    """Minus the adjoint of :func:`_gradient`, of a field that is zero in its last row and column."""
    down, right = field
    total = down + right
    total[1:] -= down[:-1]
    total[:, 1:] -= right[:, :-1]
    return total

"""The receiver's noise: complex and Gaussian in k-space, hence Rician in the magnitude image.

In air the magnitude has the mean sd * sqrt(pi / 2) and the standard deviation sd * sqrt(2 - pi / 2).
Source: Gudbjartsson and Patz, Magnetic Resonance in Medicine 34 (1995) 910.
"""

from __future__ import annotations

import numpy as np


def complex_noise(shape: tuple[int, int], sd: float, random: np.random.Generator) -> np.ndarray:
    """White noise whose real and imaginary part each have the standard deviation ``sd``, complex128.

    With unitary transforms it may be added to the image or to k-space alike.
    """
    real, imaginary = random.standard_normal((2, *shape)) * sd
    return real + 1j * imaginary


def rician_magnitude(complex_image: np.ndarray, sd: float, seed: int) -> np.ndarray:
    """Magnitude, float32, of a complex (rows, columns) image with noise of ``sd`` in each channel (image's units)."""
    noise = complex_noise(complex_image.shape, sd, np.random.default_rng(seed))
    return np.abs(complex_image + noise).astype(np.float32)

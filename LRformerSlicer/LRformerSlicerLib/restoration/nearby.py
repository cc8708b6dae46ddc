"""Local means inside a body."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SMALLEST_WEIGHT = 1e-3


def sd_in_pixels(sd_mm: float, pixel_size_mm: tuple[float, float], shape: tuple[int, ...]) -> list[float]:
    """Standard deviation of a Gaussian along rows' and columns' index, at most as long as the plane.

    A longer one changes nothing that could be seen, but its kernel would have millions of pixels where these are tiny.
    """
    return [min(sd_mm / size, float(length)) for size, length in zip(pixel_size_mm, shape, strict=True)]


def nearby_mean(plane: np.ndarray, body: np.ndarray, blur_mm: float, pixel_size_mm: tuple[float, float]) -> np.ndarray:
    """Gaussian-weighted mean over the body alone.

    Args:
        plane: (H, W).
        body: (H, W) bool; what lies outside does not count.
        blur_mm: standard deviation of the Gaussian.
        pixel_size_mm: along rows' and columns' index.

    Returns:
        (H, W) float32; of no meaning far outside the body.
    """
    sd, weight = sd_in_pixels(blur_mm, pixel_size_mm, plane.shape), body.astype(np.float32)
    return gaussian_filter(plane * weight, sd) / np.maximum(gaussian_filter(weight, sd), SMALLEST_WEIGHT)

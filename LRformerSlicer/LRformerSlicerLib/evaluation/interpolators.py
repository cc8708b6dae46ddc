"""What a viewer can do without a network to show a coarse slice on a finer grid, over the same extent."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ..degradation.mr.resolution import enlarge_by_zero_filling
from ..restoration.super_resolution import interpolate_slice
from .classical_denoisers import ClassicalDenoiser


def lanczos(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Lanczos-windowed sinc interpolation (five pixels each way) of (H, W) to (factor * H, factor * W), float32."""
    # ITK takes what lies beyond the outermost pixel centres for outside: mirrored pixels stand there.
    margin = 6
    padded = sitk.GetImageFromArray(np.pad(pixels.astype(np.float32), margin, mode="symmetric"))
    first = margin + (1.0 / factor - 1.0) / 2.0
    fine = sitk.Resample(
        padded,
        [pixels.shape[1] * factor, pixels.shape[0] * factor],
        sitk.Transform(),
        sitk.sitkLanczosWindowedSinc,
        [first, first],
        [1.0 / factor, 1.0 / factor],
    )
    return sitk.GetArrayFromImage(fine)


def interpolators(factor: int) -> list[ClassicalDenoiser]:
    """Cubic B-spline, zero-filled k-space and Lanczos; each gives a slice ``factor`` times finer."""
    return [
        ClassicalDenoiser("Cubic B-spline", "", lambda pixels: interpolate_slice(pixels, factor)),
        ClassicalDenoiser("Zero-filled k-space", "", lambda pixels: enlarge_by_zero_filling(pixels, factor)),
        ClassicalDenoiser("Lanczos", "5 pixels each way", lambda pixels: lanczos(pixels, factor)),
    ]

"""Denoisers that want to know the noise, and are told the truth about it here, as no user could tell them.

What they are told is the standard deviation or the power spectrum of the very noise that was added: the best they can
be.  Sources: Buades et al., CVPR 2005 (non-local means); Dabov et al., IEEE TIP 16 (2007) 2080 and Makinen et al.,
IEEE TIP 29 (2020) 8339 (BM3D for white and for correlated noise).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter

from .classical_denoisers import ClassicalDenoiser

SPECTRUM_SMOOTHING = 4.0  # frequency steps: one slice's periodogram is as noisy as the noise itself


def non_local_means(strength: float, patch_size: int, patch_distance: int) -> ClassicalDenoiser:
    """Non-local means by scikit-image; ``strength`` is its h over the noise's standard deviation, sizes in pixels."""

    def apply(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
        from skimage.restoration import denoise_nl_means

        sd = float(noise.std())
        return denoise_nl_means(
            image.astype(np.float32), patch_size, patch_distance, h=strength * sd, sigma=sd, fast_mode=True
        ).astype(np.float32)

    setting = f"h = {strength:g} SD, patches of {patch_size}, {patch_distance} px each way"
    return ClassicalDenoiser("Non-local means, true SD", setting, apply, is_told_noise=True)


def bm3d_white(strength: float) -> ClassicalDenoiser:
    """BM3D told white noise of ``strength`` times the noise's standard deviation."""

    def apply(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
        import bm3d

        sd = max(float(noise.std()), 1e-9)  # in units of the noise, BM3D's thresholds are where they belong
        return bm3d.bm3d(image / sd / 100.0, sigma_psd=strength / 100.0).astype(np.float32) * sd * 100.0

    return ClassicalDenoiser("BM3D, white, true SD", f"{strength:g} SD", apply, is_told_noise=True)


def bm3d_spectrum(strength: float) -> ClassicalDenoiser:
    """BM3D told the noise's power spectrum, its amplitude multiplied by ``strength``."""

    def apply(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
        import bm3d

        if not hasattr(np, "trapz"):
            np.trapz = np.trapezoid  # bm4d, which does bm3d's work, calls it by the name that numpy 2.4 took away
        sd = max(float(noise.std()), 1e-9)
        periodogram = np.abs(np.fft.fft2(noise / sd / 100.0)) ** 2
        spectrum = gaussian_filter(periodogram, SPECTRUM_SMOOTHING, mode="wrap") * strength**2
        return bm3d.bm3d(image / sd / 100.0, sigma_psd=spectrum).astype(np.float32) * sd * 100.0

    return ClassicalDenoiser("BM3D, true spectrum", f"{strength:g} times its amplitude", apply, is_told_noise=True)


def noise_told_candidates() -> Iterator[ClassicalDenoiser]:
    """Non-local means and both BM3D over the settings that matter."""
    for patch_size, patch_distance in ((5, 7), (7, 11)):
        for strength in (0.6, 0.8, 1.0, 1.3):
            yield non_local_means(strength, patch_size, patch_distance)
    for strength in (1.0, 1.4, 2.0):
        yield bm3d_white(strength)
    for strength in (0.8, 1.0, 1.3):
        yield bm3d_spectrum(strength)

"""The classical denoisers a Slicer user has at hand, with the settings to search, for slices of any unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class ClassicalDenoiser:
    """One filter at one setting.

    Attributes:
        method: the filter's name.
        setting: what was chosen, in words.
        apply: (rows, columns) float32 in, the same out; one that is told the noise takes it as its second argument.
        is_told_noise: whether it is.
    """

    method: str
    setting: str
    apply: Callable[..., np.ndarray]
    is_told_noise: bool = False

    def denoise(self, degraded: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """What it makes of a slice; only a filter that is told the true noise sees the difference of the two."""
        return self.apply(degraded, degraded - reference) if self.is_told_noise else self.apply(degraded)


def _filtered(slice_hu: np.ndarray, image_filter: Callable[[sitk.Image], sitk.Image]) -> np.ndarray:
    return sitk.GetArrayFromImage(image_filter(sitk.GetImageFromArray(slice_hu.astype(np.float32))))


def gaussian(sigma: float) -> ClassicalDenoiser:
    """Gaussian smoothing; sigma in pixels."""

    def apply(image: np.ndarray) -> np.ndarray:
        return _filtered(image, lambda i: sitk.SmoothingRecursiveGaussian(i, sigma))

    return ClassicalDenoiser("Gaussian", f"sigma {sigma:g} px", apply)


def median(radius: int) -> ClassicalDenoiser:
    """Median filter; radius in pixels."""
    return ClassicalDenoiser(
        "Median", f"radius {radius} px", lambda image: _filtered(image, lambda i: sitk.Median(i, [radius] * 2))
    )


def _anisotropic_diffusion(
    name: str, image_filter: Callable[..., sitk.Image], iterations: int, conductance: float
) -> ClassicalDenoiser:
    """Either kind, at the stable time step of two dimensions."""
    return ClassicalDenoiser(
        name,
        f"{iterations} iterations, conductance {conductance:g}",
        lambda image: _filtered(
            image,
            lambda i: image_filter(i, timeStep=0.125, conductanceParameter=conductance, numberOfIterations=iterations),
        ),
    )


def curvature_anisotropic_diffusion(iterations: int, conductance: float) -> ClassicalDenoiser:
    """Curvature anisotropic diffusion."""
    return _anisotropic_diffusion(
        "CurvatureAnisotropicDiffusion", sitk.CurvatureAnisotropicDiffusion, iterations, conductance
    )


def gradient_anisotropic_diffusion(iterations: int, conductance: float) -> ClassicalDenoiser:
    """Slicer's own edge-keeping filter."""
    return _anisotropic_diffusion(
        "GradientAnisotropicDiffusion", sitk.GradientAnisotropicDiffusion, iterations, conductance
    )


def total_variation(weight: float, unit: float) -> ClassicalDenoiser:
    """Chambolle's total variation by scikit-image; ``unit`` is what counts as 1 in the weight, 1000 HU in CT."""

    def apply(image: np.ndarray) -> np.ndarray:
        from skimage.restoration import denoise_tv_chambolle

        return denoise_tv_chambolle(image / np.float32(unit), weight=weight).astype(np.float32) * np.float32(unit)

    return ClassicalDenoiser("Total variation", f"weight {weight:g}", apply)


def required_candidates() -> Iterator[ClassicalDenoiser]:
    """Gaussian, Median and CurvatureAnisotropicDiffusion over the settings a careful user would try."""
    for sigma in (0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0):
        yield gaussian(sigma)
    for radius in (1, 2, 3):
        yield median(radius)
    for iterations in (5, 10, 20, 40):
        for conductance in (1.0, 2.0, 3.0, 5.0, 9.0):
            yield curvature_anisotropic_diffusion(iterations, conductance)


def patch_based_denoising(iterations: int = 1) -> ClassicalDenoiser:
    """SimpleITK's patch-based denoising with its other settings as they come, for the comparison of time."""
    patch_filter = sitk.PatchBasedDenoisingImageFilter()
    patch_filter.SetNumberOfIterations(iterations)
    return ClassicalDenoiser(
        "PatchBasedDenoising", f"{iterations} iteration", lambda image: _filtered(image, patch_filter.Execute)
    )


def bias_field_correction(levels: int, widest_log_gain: float) -> ClassicalDenoiser:
    """N4 (Tustison et al., IEEE TMI 29 (2010) 1310) by SimpleITK, of what an Otsu threshold takes for the foreground.

    ``levels`` are of the B-spline's grid, each twice as fine as the one before; ``widest_log_gain`` is the full width
    at half maximum by which a step sharpens the histogram of log intensities.
    """

    def correct(image: sitk.Image) -> sitk.Image:
        foreground = sitk.OtsuThreshold(image, 0, 1)
        correction = sitk.N4BiasFieldCorrectionImageFilter()
        correction.SetMaximumNumberOfIterations([30] * levels)
        correction.SetBiasFieldFullWidthAtHalfMaximum(widest_log_gain)
        # The field is smooth: found on every fourth pixel, it is applied to all.
        coarse = [sitk.Shrink(one, [4, 4]) for one in (image, foreground)]
        correction.Execute(*coarse)
        return image / sitk.Cast(sitk.Exp(correction.GetLogBiasFieldAsImage(image)), image.GetPixelID())

    def apply(image: np.ndarray) -> np.ndarray:
        # N4 takes logarithms: values are lifted above zero for it, and lowered again.
        lift = np.float32(max(0.0, 1e-3 - float(image.min())))
        return _filtered(image + lift, correct) - lift

    return ClassicalDenoiser("N4", f"{levels} levels, width {widest_log_gain:g}", apply)


def bias_field_candidates() -> Iterator[ClassicalDenoiser]:
    """N4 over its settings, for where a bias field is in play."""
    for levels in (1, 2, 3):
        for widest_log_gain in (0.15, 0.3):
            yield bias_field_correction(levels, widest_log_gain)


def further_candidates(unit: float) -> Iterator[ClassicalDenoiser]:
    """Gradient anisotropic diffusion and total variation over their settings; ``unit`` as in the latter."""
    for iterations in (5, 10, 20):
        for conductance in (1.0, 2.0, 3.0, 5.0):
            yield gradient_anisotropic_diffusion(iterations, conductance)
    for weight in (0.01, 0.02, 0.03, 0.05, 0.08, 0.12):
        yield total_variation(weight, unit)

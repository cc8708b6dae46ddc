"""The classical denoisers a Slicer user has at hand, with the settings to search.  All take and give HU slices."""

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
        apply: (rows, columns) float32 HU in, the same out.
    """

    method: str
    setting: str
    apply: Callable[[np.ndarray], np.ndarray]


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


def curvature_anisotropic_diffusion(iterations: int, conductance: float) -> ClassicalDenoiser:
    """Curvature anisotropic diffusion at the stable time step of two dimensions."""
    return ClassicalDenoiser(
        "CurvatureAnisotropicDiffusion",
        f"{iterations} iterations, conductance {conductance:g}",
        lambda image: _filtered(
            image,
            lambda i: sitk.CurvatureAnisotropicDiffusion(
                i, timeStep=0.125, conductanceParameter=conductance, numberOfIterations=iterations
            ),
        ),
    )


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


def bm3d_white(sigma_hu: float) -> ClassicalDenoiser:
    """BM3D told a white noise standard deviation, for the comparison of time and quality."""

    def apply(image: np.ndarray) -> np.ndarray:
        import bm3d

        return bm3d.bm3d(image / 1000.0, sigma_psd=sigma_hu / 1000.0).astype(np.float32) * 1000.0

    return ClassicalDenoiser("BM3D", f"white noise of {sigma_hu:g} HU", apply)

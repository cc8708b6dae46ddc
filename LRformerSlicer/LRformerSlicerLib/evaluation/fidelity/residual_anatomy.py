"""Is what a restoration took away only noise?  Figures that tell anatomy in a residual, and noise in flat patches."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .places import Place, homogeneous_places
from .reliability_measures import spearman

NEAR_PIXELS = 1.5
"""Standard deviation of the neighbourhood whose residual is compared with ..."""
AROUND_PIXELS = 12.0
"""... the residual further around: noise differs between shoulder and skin, but not between an edge and beside it."""
EDGE_PIXELS = 1.5
DETAIL_PIXELS = 2.0
BORDER_PIXELS = 6
"""At the skin the residual ends; this much of the body is left out there."""
PATCH_RADIUS_PIXELS = 6
PATCHES_A_SLICE = 5


def residual_at_edges(residual: np.ndarray, restored: np.ndarray, body: np.ndarray) -> float:
    """Spearman correlation of the residual's local SD, over that around, with the restored slice's gradient.

    Near 0 for noise, even where its level drifts; above 0 where more was changed at edges than beside them.

    Args:
        residual: (H, W), restored minus input.
        restored: (H, W).
        body: (H, W) bool.
    """
    inner = _inner(body)
    near, around = (_local_sd(residual, body, sd) for sd in (NEAR_PIXELS, AROUND_PIXELS))
    gradient = ndimage.gaussian_gradient_magnitude(restored.astype(np.float64), EDGE_PIXELS)
    return spearman((near / np.maximum(around, 1e-9))[inner], gradient[inner])


def lost_detail(residual: np.ndarray, restored: np.ndarray, body: np.ndarray) -> float:
    """Correlation of what was taken away (input minus restored) with the restored slice's own fine detail.

    Near 0 for noise; above 0 where detail was weakened, below 0 where it was sharpened.  Detail is what a Gaussian of
    2 pixels takes out of the restored slice.  Both are divided by the local SD, so that a few bones do not decide.
    """
    inner = _inner(body)
    pixels = restored.astype(np.float64)
    detail = pixels - ndimage.gaussian_filter(pixels, DETAIL_PIXELS)
    level, around = (_local_sd(one, body, AROUND_PIXELS)[inner] for one in (detail, residual))
    taken = -residual[inner] / np.maximum(around, 1e-9)
    return float(np.corrcoef(taken, detail[inner] / np.maximum(level, 1e-9))[0, 1])


def noise_like(residual: np.ndarray, body: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise (H, W) with the residual's power spectrum and its drifting level, but without its places.

    The Fourier phases of the levelled residual are drawn at random: what of the figures above it shows is chance.
    """
    level = _local_sd(residual, body, AROUND_PIXELS)
    flat = np.where(body, residual / np.maximum(level, 1e-9), 0.0)
    white = np.fft.fft2(np.random.default_rng(seed).standard_normal(residual.shape))
    surrogate = np.fft.ifft2(np.abs(np.fft.fft2(flat)) * white / np.maximum(np.abs(white), 1e-12)).real
    scale = flat[body].std() / max(float(surrogate[body].std()), 1e-12)
    return np.where(body, surrogate * scale * level, 0.0)


def flat_patches(pixels: np.ndarray, body: np.ndarray, value_limits: tuple[float, float]) -> list[Place]:
    """The middles of the flattest squares of 13 x 13 pixels of the input slice (H, W), without overlap."""
    return homogeneous_places(
        pixels, body, PATCH_RADIUS_PIXELS, 2.9 * PATCH_RADIUS_PIXELS, PATCHES_A_SLICE, value_limits
    )


def patch_noise(pixels: np.ndarray, patches: list[Place]) -> list[float]:
    """Standard deviation in each patch about the plane through it: a slow slope is no noise."""
    offset = np.arange(-PATCH_RADIUS_PIXELS, PATCH_RADIUS_PIXELS + 1)
    rows, columns = (axis.ravel() for axis in np.meshgrid(offset, offset, indexing="ij"))
    plane = np.stack([np.ones(rows.size), rows, columns], axis=1)
    found = []
    for patch in patches:
        values = pixels[np.ix_(patch.row + offset, patch.column + offset)].astype(np.float64).ravel()
        rest = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
        found.append(float(np.sqrt(np.square(rest).sum() / (rest.size - 3))))
    return found


def _inner(body: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(body, iterations=BORDER_PIXELS)


def _local_sd(values: np.ndarray, body: np.ndarray, sd_pixels: float) -> np.ndarray:
    """Root mean square over the body's pixels around, (H, W)."""
    weight = body.astype(np.float64)
    squares = ndimage.gaussian_filter(np.square(values.astype(np.float64)) * weight, sd_pixels)
    return np.sqrt(np.maximum(squares / np.maximum(ndimage.gaussian_filter(weight, sd_pixels), 1e-6), 0.0))

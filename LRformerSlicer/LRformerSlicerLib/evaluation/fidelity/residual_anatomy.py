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
EDGE_PIXELS = 2.5
"""Of the gradient: coarser than the noise that is left, finer than organs."""
DETAIL_PIXELS = 2.0
BORDER_PIXELS = 6
"""At the skin the residual ends; this much of the body is left out there."""
PATCH_RADIUS_PIXELS = 6
PATCHES_A_SLICE = 5


def residual_at_edges(residual: np.ndarray, restored: np.ndarray, body: np.ndarray) -> tuple[float, float]:
    """Whether more was changed at edges than in flat places.

    Noise that is left in the restored slice lifts both figures a little: half of it left gave 0.1 and 1.03 on a phantom
    whose residual was nothing but noise, a Gaussian blur of 1.5 pixels 0.5 and 2.2.

    Args:
        residual: (H, W), restored minus input.
        restored: (H, W).
        body: (H, W) bool.

    Returns:
        Spearman correlation of the residual's local SD, over that around, with the restored slice's gradient; and the
        RMS of the former at the steepest tenth of the body's pixels over that in its flatter half.  0 and 1 for noise,
        even where its level drifts.
    """
    inner = _inner(body)
    near, around = (_local_sd(residual, body, sd) for sd in (NEAR_PIXELS, AROUND_PIXELS))
    level = near / np.maximum(around, 1e-9)
    steepness, edges, plains = _steepness(restored, inner)
    ratio = np.sqrt(np.square(level[edges]).mean() / max(float(np.square(level[plains]).mean()), 1e-12))
    return spearman(level[inner], steepness[inner]), float(ratio)


def lost_detail(residual: np.ndarray, restored: np.ndarray, body: np.ndarray) -> float:
    """The share of the detail at edges that was taken away: the slope of input minus restored over the detail.

    Detail is what a Gaussian of 2 pixels takes out of the restored slice; edges are the steepest tenth of the body's
    pixels.  Near 0 for noise; above 0 where edges were weakened, below 0 where they were sharpened.  Detail counts in
    units of the detail around, so that a few bones do not decide.
    """
    pixels = restored.astype(np.float64)
    detail = pixels - ndimage.gaussian_filter(pixels, DETAIL_PIXELS)
    level = np.maximum(_local_sd(detail, body, AROUND_PIXELS), 1e-9)
    _, edges, _ = _steepness(restored, _inner(body))
    taken, detail = (-residual / level)[edges], (detail / level)[edges]
    return float((taken * detail).sum() / max(float(np.square(detail).sum()), 1e-12))


def _steepness(restored: np.ndarray, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient magnitude (H, W), and where of the inner body it is in the highest tenth and in the lower half."""
    steepness = ndimage.gaussian_gradient_magnitude(restored.astype(np.float64), EDGE_PIXELS)
    flat, steep = np.quantile(steepness[inner], [0.5, 0.9])
    return steepness, inner & (steepness >= steep), inner & (steepness <= flat)


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

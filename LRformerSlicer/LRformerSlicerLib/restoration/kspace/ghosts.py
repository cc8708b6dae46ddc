"""Ghosts of a pulsating signal: where in a magnitude image, how far away and how strong.

A signal that pulsates while line after line is measured adds two copies of the slice, shifted either way along phase
encoding (Wood and Henkelman, Medical Physics 12 (1985) 143).  Inside the body the copies show in the autocorrelation of
the slice's fine detail, as a sharp peak at their distance; outside they are seen as they are, brightness and all, and
correlate with the body's detail.  Anatomy hardly has both peaks at one distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter

from .weighted_lines import half_spectrum_length, weighted

LEAST_SHIFT_SHARE, MOST_SHIFT_SHARE = 0.107, 0.5  # of the field of view
STEPS_A_PIXEL = 8
DETAIL_SD_PIXELS = 1.0
EVENNESS_SD_PIXELS = 6.0
FLOOR_SHARE = 0.5  # of the usual detail: what is fainter is not lifted to it
LEAST_OVERLAP = 0.15  # of the body with its copy

# A peak's height over its curve's usual spread.  Anatomy alone reaches 17 inside the body, where halves are alike, and
# 16 outside, but hardly at the same distance: both must be there.
LEAST_INSIDE, LEAST_OUTSIDE = 4.0, 8.0
LEAST_INSIDE_ALONE = 20.0
# A curve is taken to vary at least so much, inside in shares of the detail's energy; outside likewise.
SMALLEST_SPREAD_INSIDE, SMALLEST_SPREAD_OUTSIDE = 0.003, 0.0005
LARGEST_DEPTH, LARGEST_LIKENESS = 0.5, 0.6
NOISE_CYCLES_PER_PIXEL = 0.42  # along both axes: so far out there is hardly anything but noise
RAYLEIGH_VARIANCE = 2.0 - np.pi / 2.0  # of the noise of magnitudes in air, over that in tissue
REFINEMENT_PIXELS = np.linspace(-0.2, 0.2, 9)
SECANT_STEPS = 4
SUBTRACTIONS = 8  # each leaves half of the error, or less


@dataclass(frozen=True)
class Ghosts:
    """Two copies of the slice.

    Attributes:
        shift_pixels: of the copies, along the rows.
        depth: twice their brightness inside the body over the body's own; negative where they darken it.
        evidence: height of the lower peak, inside or outside, over the least that counts.
    """

    shift_pixels: float
    depth: float
    evidence: float

    def weights(self, rows: int) -> np.ndarray:
        """(rows // 2 + 1,) weights of the lines of k-space that make such ghosts."""
        return 1.0 + 0.5 * self.depth * _both_ways(rows, self.shift_pixels)


def find_ghosts(pixels: np.ndarray, body: np.ndarray, air_is_shown: bool = True) -> Ghosts:
    """The likeliest ghosts along the rows of a magnitude slice, with a rough depth.

    Args:
        pixels: (rows, columns).
        body: (rows, columns) bool.
        air_is_shown: whether what lies outside the body is as the scanner made it.
    """
    rows = len(pixels)
    detail = _detail(pixels)
    even = detail * _even_gain(detail, body)
    overlap = np.maximum(_correlation(body, body) / max(1, body.sum()), LEAST_OVERLAP)
    own = _correlation(even, even)
    inside = own / max(own[0], 1e-12) / overlap
    lags = np.arange(len(inside)) / STEPS_A_PIXEL
    looked_at = (lags >= LEAST_SHIFT_SHARE * rows) & (lags <= MOST_SHIFT_SHARE * rows)
    # What is as bright as the body itself is no ghost of it but its like.
    possible = looked_at & (np.abs(inside) <= LARGEST_LIKENESS)
    heights = np.abs(_over_spread(inside, looked_at, SMALLEST_SPREAD_INSIDE))
    if air_is_shown:
        outside = _correlation(detail * ~body, detail * body)
        seen = _correlation(~body, body)
        outside, seen = (curve + np.roll(curve[::-1], 1) for curve in (outside, seen))
        outside /= np.maximum(seen, 0.05 * body.sum()) * max(float(np.mean(detail[body] ** 2)), 1e-12)
        beside = _over_spread(outside, looked_at, SMALLEST_SPREAD_OUTSIDE)
        heights = np.minimum(heights / LEAST_INSIDE, beside / LEAST_OUTSIDE)
    else:
        heights = heights / LEAST_INSIDE_ALONE
    heights = np.where(possible, heights, 0.0)
    best = np.argmax(heights)
    depth = float(np.clip(inside[best], -LARGEST_DEPTH, LARGEST_DEPTH))
    return Ghosts(float(lags[best]), depth, float(heights[best]))


def measured_ghosts(pixels: np.ndarray, body: np.ndarray, rough: Ghosts) -> Ghosts:
    """Ghosts whose shift and depth leave no copy of the body's detail in itself.

    Args:
        pixels: (rows, columns).
        body: (rows, columns) bool.
        rough: as found by :func:`find_ghosts`.
    """
    detail = _detail(pixels)
    gain = _even_gain(detail, body)
    noise = _noise_in_detail(pixels, body) * float(np.mean(gain[body] ** 2))

    def likeness(image: np.ndarray, shift: float, depth: float) -> float:
        even = _detail(image) * gain
        copies = weighted(even, _both_ways(len(even), shift)) * body
        overlap = np.clip(weighted(body.astype(float), _both_ways(len(even), shift)), 0.0, 2.0)
        energy = max(float(np.sum(even**2 * overlap)), 1e-12)
        # Noise has no ghosts; once they are subtracted, it has.
        of_noise = -depth * noise * float(np.sum(overlap * body)) / energy
        return float(np.sum(even * copies)) / energy - of_noise

    shift = max(rough.shift_pixels + REFINEMENT_PIXELS, key=lambda one: abs(likeness(pixels * body, one, 0.0)))
    before, depth = 0.0, rough.depth
    left_before = likeness(pixels * body, shift, 0.0)
    for _ in range(SECANT_STEPS):
        left = likeness(without_ghosts(pixels, body, Ghosts(shift, depth, 1.0)) * body, shift, depth)
        if abs(left - left_before) < 1e-6:
            break
        step = left * (depth - before) / (left - left_before)
        before, left_before = depth, left
        depth = float(np.clip(depth - step, -LARGEST_DEPTH, LARGEST_DEPTH))
    return Ghosts(float(shift), depth, rough.evidence)


def without_ghosts(pixels: np.ndarray, body: np.ndarray, ghosts: Ghosts) -> np.ndarray:
    """The slice (rows, columns) without the copies of its ``body``; noise and all that is no copy stays."""
    copies = ghosts.weights(len(pixels)) - 1.0
    image = pixels
    for _ in range(SUBTRACTIONS):
        image = pixels - weighted(image * body, copies)
    return image


def ghosts_in_air(pixels: np.ndarray, image: np.ndarray, body: np.ndarray, ghosts: Ghosts) -> np.ndarray:
    """What the copies of the body in ``image`` (rows, columns) amount to in the air around it.

    There they are seen with all of their brightness, in the body only with what is in phase with it.
    """
    copies = np.maximum(weighted(image * body, _both_ways(len(image), ghosts.shift_pixels)), 0.0)
    seen = ~body & (copies > 0.5 * np.max(copies, where=~body, initial=0.0))
    share = float(np.median(pixels[seen] / copies[seen])) if seen.any() else 0.0
    return max(share, 0.5 * abs(ghosts.depth)) * copies


def _both_ways(rows: int, shift: float) -> np.ndarray:
    """Weights of the lines 0 to rows // 2 that shift an image both ways and add the two."""
    return 2.0 * np.cos(2.0 * np.pi * np.arange(half_spectrum_length(rows)) * shift / rows)


def _detail(pixels: np.ndarray) -> np.ndarray:
    return pixels - gaussian_filter(pixels, DETAIL_SD_PIXELS)


def _even_gain(detail: np.ndarray, body: np.ndarray) -> np.ndarray:
    """What makes the detail about as strong everywhere in the body, (rows, columns), 0 outside."""
    share = np.maximum(gaussian_filter(body.astype(float), EVENNESS_SD_PIXELS), 1e-3)
    around = np.sqrt(gaussian_filter(detail**2 * body, EVENNESS_SD_PIXELS) / share)
    usual = max(float(np.median(around[body])), 1e-12)
    return body / np.hypot(around, FLOOR_SHARE * usual)


def noise_variance(pixels: np.ndarray, body: np.ndarray) -> float:
    """Variance of the noise in the body of a (rows, columns) magnitude slice, from the corners of k-space."""
    corners = np.ix_(*(np.abs(np.fft.fftfreq(length)) > NOISE_CYCLES_PER_PIXEL for length in pixels.shape))
    power = np.abs(np.fft.fft2(pixels)[corners]) ** 2
    mean = float(np.median(power)) / np.log(2.0) / pixels.size  # power is distributed exponentially
    share = float(body.mean())
    return mean / (share + RAYLEIGH_VARIANCE * (1.0 - share))


def _noise_in_detail(pixels: np.ndarray, body: np.ndarray) -> float:
    """Variance of the noise that is part of the body's detail: white noise less its Gaussian mean."""
    of_a_pixel = 2.0 * np.pi * DETAIL_SD_PIXELS**2
    return noise_variance(pixels, body) * (1.0 - 2.0 / of_a_pixel + 0.5 / of_a_pixel)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Circular correlation along the rows, summed over the columns, at every eighth of a pixel."""
    spectrum = (fft.rfft(one, axis=0) * fft.rfft(other, axis=0).conj()).sum(axis=1)
    rows = len(one)
    if rows % 2 == 0:
        spectrum[-1] /= 2.0
    return fft.irfft(spectrum, n=rows * STEPS_A_PIXEL) * STEPS_A_PIXEL


def _over_spread(curve: np.ndarray, looked_at: np.ndarray, smallest_spread: float) -> np.ndarray:
    """The curve's deviation from its median over the usual one, both taken where ``looked_at``."""
    centre = np.median(curve[looked_at])
    spread = 1.4826 * np.median(np.abs(curve[looked_at] - centre))
    return (curve - centre) / max(float(spread), smallest_spread)

"""Homogeneous places of the body, chosen by the slice alone, and the scan's own sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

NOISE_BLUR_PIXELS = 2.0
"""Places are judged after this blur: choosing by the noise itself would find places that are quiet by chance."""
SHARP_EDGE_PERCENTILE = 25.0
SHORTEST_BLUR_PIXELS, LONGEST_BLUR_PIXELS = 0.4, 2.0
EDGE_REACH_PIXELS = 6
GRADIENT_BLUR_PIXELS = 0.7
STRONG_EDGE_SHARE = 0.5
"""Of the slice's strongest gradient: what counts as a sharp edge between large steps."""


@dataclass(frozen=True)
class Place:
    """The pixel in the middle of a homogeneous square and the range of the blurred values in it."""

    row: int
    column: int
    value_range: float


def homogeneous_places(
    pixels: np.ndarray,
    body: np.ndarray,
    radius_pixels: int,
    separation_pixels: float,
    most: int,
    value_limits: tuple[float, float] = (-np.inf, np.inf),
    largest_range: float = np.inf,
) -> list[Place]:
    """The flattest places of a slice, at least ``separation_pixels`` apart, flattest first.

    Args:
        pixels: (H, W).
        body: (H, W) bool; the squares lie wholly inside.
        radius_pixels: half the side of the square that has to be homogeneous.
        separation_pixels: between the middles of any two places.
        most: number of places.
        value_limits: between which the blurred values in a square have to lie, in the pixels' unit.
        largest_range: of the blurred values in a square, in the pixels' unit.
    """
    blurred = ndimage.gaussian_filter(pixels.astype(np.float32), NOISE_BLUR_PIXELS)
    side = 2 * radius_pixels + 1
    lowest, highest = ndimage.minimum_filter(blurred, side), ndimage.maximum_filter(blurred, side)
    inside = ndimage.minimum_filter(body.astype(np.uint8), side, mode="constant").astype(bool)
    allowed = inside & (lowest >= value_limits[0]) & (highest <= value_limits[1])
    allowed &= highest - lowest <= largest_range
    # A square that reaches over the border of the slice is judged by mirrored pixels only.
    allowed[:radius_pixels], allowed[-radius_pixels or None :] = False, False
    allowed[:, :radius_pixels], allowed[:, -radius_pixels or None :] = False, False
    rows, columns = np.nonzero(allowed)
    ranges = (highest - lowest)[rows, columns]
    free = np.ones(len(rows), dtype=bool)
    places: list[Place] = []
    for candidate in np.argsort(ranges, kind="stable"):
        if not free[candidate]:
            continue
        places.append(Place(int(rows[candidate]), int(columns[candidate]), float(ranges[candidate])))
        if len(places) == most:
            break
        free &= np.hypot(rows - rows[candidate], columns - columns[candidate]) >= separation_pixels
    return places


def edge_blur_pixels(pixels: np.ndarray) -> float:
    """Standard deviation, in pixels, of the Gaussian that blurs the sharpest edges of a slice (H, W).

    An edge of height h under such a blur has the steepest slope h / (sd sqrt(2 pi)).  Heights and slopes are read off
    the strongest gradients; of what they say, the sharp quarter counts, because most edges are blurred by anatomy,
    too.  Clipped to 0.4..2 pixels; 0.4 where the slice has no edge.
    """
    values = pixels.astype(np.float64)
    slope_rows = ndimage.gaussian_filter(values, GRADIENT_BLUR_PIXELS, order=(1, 0))
    slope_columns = ndimage.gaussian_filter(values, GRADIENT_BLUR_PIXELS, order=(0, 1))
    slope = np.hypot(slope_rows, slope_columns)
    # An edge's slope is highest on the edge itself; beside it the height would be right and the slope too small.
    peak = (slope == ndimage.maximum_filter(slope, 5)) & (slope > STRONG_EDGE_SHARE * slope.max()) & (slope > 0)
    rows, columns = np.nonzero(peak)
    if not len(rows):
        return SHORTEST_BLUR_PIXELS
    direction = np.stack([slope_rows[peak], slope_columns[peak]]) / slope[peak]
    reach = np.arange(-EDGE_REACH_PIXELS, EDGE_REACH_PIXELS + 0.5)[:, None]
    along = [start[None] + reach * step[None] for start, step in zip((rows, columns), direction, strict=True)]
    profiles = ndimage.map_coordinates(values, along, order=1, mode="nearest")
    heights = profiles.max(axis=0) - profiles.min(axis=0)
    variances = (heights / (slope[peak] * np.sqrt(2 * np.pi))) ** 2 - GRADIENT_BLUR_PIXELS**2
    sd = np.sqrt(np.maximum(np.percentile(variances, SHARP_EDGE_PERCENTILE), 0.0))
    return float(np.clip(sd, SHORTEST_BLUR_PIXELS, LONGEST_BLUR_PIXELS))

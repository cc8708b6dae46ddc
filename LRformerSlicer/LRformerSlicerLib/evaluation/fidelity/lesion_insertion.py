"""Lesions of known size and contrast put into slices whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize, special

from .places import Place

SUPERSAMPLING = 5
CORE_SHARE = 0.7
"""Of the radius: the part of a lesion that is averaged, away from its edge."""
RING_MM = (2.0, 4.0)
"""From the lesion's edge outwards: the surroundings that it is compared with."""
EDGE_10_90 = 2.0 * 1.2816
"""Distance between 10 % and 90 % of an edge blurred by a Gaussian, in its standard deviations."""


@dataclass(frozen=True)
class Lesion:
    """A disc with a blurred edge.

    Attributes:
        place: of its middle.
        diameter_mm: where the blurred edge has half the height.
        contrast: above its surroundings, in the slice's unit.
    """

    place: Place
    diameter_mm: float
    contrast: float


@dataclass(frozen=True)
class Grid:
    """What turns millimetres into pixels and edges into blurred ones: pixel side and blur (SD), both in mm."""

    pixel_mm: float
    blur_mm: float

    def patch_radius_pixels(self, diameter_mm: float) -> int:
        """Half the side of a square that holds a lesion and its ring."""
        return int(np.ceil((diameter_mm / 2 + RING_MM[1]) / self.pixel_mm))

    def profile(self, diameter_mm: float) -> np.ndarray:
        """A lesion of contrast 1 in the middle of its (2 R + 1, 2 R + 1) square, float64."""
        radius = self.patch_radius_pixels(diameter_mm)
        count = (2 * radius + 1) * SUPERSAMPLING
        step = self.pixel_mm / SUPERSAMPLING
        offset = (np.arange(count) - (count - 1) / 2) * step
        disc = (np.hypot(offset[:, None], offset[None, :]) <= diameter_mm / 2).astype(np.float64)
        blurred = ndimage.gaussian_filter(disc, self.blur_mm / step)
        fold = (2 * radius + 1, SUPERSAMPLING)
        return blurred.reshape(*fold, *fold).mean(axis=(1, 3))

    def distances_mm(self, diameter_mm: float) -> np.ndarray:
        """Of the square's pixels from its middle, (2 R + 1, 2 R + 1)."""
        radius = self.patch_radius_pixels(diameter_mm)
        offset = np.arange(-radius, radius + 1) * self.pixel_mm
        return np.hypot(offset[:, None], offset[None, :])

    def core_and_ring(self, diameter_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """The pixels of a lesion's square that are averaged: of the lesion, of its surroundings."""
        distances = self.distances_mm(diameter_mm)
        core = distances <= max(CORE_SHARE * diameter_mm / 2, self.pixel_mm)
        inner, outer = (diameter_mm / 2 + gap for gap in RING_MM)
        return core, (distances >= inner) & (distances <= outer)


def with_lesions(pixels: np.ndarray, lesions: list[Lesion], grid: Grid) -> np.ndarray:
    """The slice (H, W) with the lesions added, float32."""
    result = pixels.astype(np.float32)
    for lesion in lesions:
        radius = grid.patch_radius_pixels(lesion.diameter_mm)
        rows = slice(lesion.place.row - radius, lesion.place.row + radius + 1)
        columns = slice(lesion.place.column - radius, lesion.place.column + radius + 1)
        result[rows, columns] += (lesion.contrast * grid.profile(lesion.diameter_mm)).astype(np.float32)
    return result


def patches_at(pixels: np.ndarray, places: list[Place], radius: int) -> np.ndarray:
    """Squares (N, 2 radius + 1, 2 radius + 1) of a slice around places, float64."""
    size = 2 * radius + 1
    if not places:
        return np.empty((0, size, size))
    views = np.lib.stride_tricks.sliding_window_view(pixels, (size, size))
    rows, columns = (np.array([getattr(place, name) for place in places]) - radius for name in ("row", "column"))
    return views[rows, columns].astype(np.float64)


def contrast_of(patch: np.ndarray, core: np.ndarray, ring: np.ndarray) -> float:
    """Mean of the core minus mean of the ring of a square, in its unit."""
    return float(patch[core].mean() - patch[ring].mean())


def edge_width_mm(change: np.ndarray, grid: Grid, diameter_mm: float) -> float | None:
    """10-90 % width of a lesion's edge, in mm.

    A disc's edge under a Gaussian blur is fitted to all pixels of the square.

    Args:
        change: (2 R + 1, 2 R + 1), what the lesion adds to the slice, averaged over many lesions of one size.

    Returns:
        None where no edge can be fitted.
    """
    distances, values = grid.distances_mm(diameter_mm).ravel(), change.ravel()

    def edge(distance: np.ndarray, height: float, radius: float, sd: float, floor: float) -> np.ndarray:
        return floor + height * 0.5 * special.erfc((distance - radius) / (np.sqrt(2.0) * sd))

    start = (float(values.max()), diameter_mm / 2, grid.blur_mm, 0.0)
    limits = ((-np.inf, 0.25 * diameter_mm, 0.05, -np.inf), (np.inf, diameter_mm, diameter_mm, np.inf))
    try:
        (_, _, sd, _), _ = optimize.curve_fit(edge, distances, values, start, bounds=limits)
    except (RuntimeError, ValueError):
        return None
    return float(EDGE_10_90 * sd)

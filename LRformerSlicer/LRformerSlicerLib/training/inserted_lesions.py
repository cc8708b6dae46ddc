"""Small lesions put into training patches, so that few pixels of low contrast are worth keeping.

Real scans hold few of them: a network that never saw one learns that a faint spot is noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

CONTRAST_AT_EDGE = 0.5


@dataclass(frozen=True)
class LesionKind:
    """What is drawn.

    Attributes:
        share: of the patches get lesions.
        most: lesions a patch; one at least.
        radius_pixels: half axes of the ellipses are drawn from here.
        edge_pixels: standard deviation of the blur of their edges, likewise.
        contrast: magnitude in the task's stored numbers (HU for CT), its logarithm evenly; the sign is drawn, too.
    """

    share: float
    most: int
    radius_pixels: tuple[float, float]
    edge_pixels: tuple[float, float]
    contrast: tuple[float, float]


def lesion_map(body: np.ndarray, kind: LesionKind, random: np.random.Generator) -> np.ndarray:
    """What lesions add to a patch, (P, P) float32 in the task's stored numbers; zero where no body is.

    Args:
        body: (P, P) bool; the lesions' middles lie in it.
        kind: what to draw.
        random: to draw with.
    """
    added = np.zeros(body.shape, dtype=np.float32)
    rows, columns = body.nonzero()
    if not len(rows):
        return added
    for _ in range(random.integers(1, kind.most + 1)):
        middle = random.integers(len(rows))
        half_axes = random.uniform(*kind.radius_pixels, size=2)
        edge, angle = random.uniform(*kind.edge_pixels), random.uniform(0.0, np.pi)
        contrast = np.exp(random.uniform(*np.log(kind.contrast))) * random.choice((-1.0, 1.0))
        added += contrast * ellipse(body.shape, (rows[middle], columns[middle]), half_axes, angle, edge)
    return added * body


def ellipse(
    shape: tuple[int, int], middle: tuple[float, float], half_axes: np.ndarray, angle: float, edge: float
) -> np.ndarray:
    """An ellipse of height 1 with a blurred edge, (rows, columns) float32.

    Args:
        shape: of the patch.
        middle: row and column.
        half_axes: along the two axes at half its height, in pixels.
        angle: of the first axis against the rows' index, in radians.
        edge: standard deviation of the Gaussian that blurs the edge, in pixels.
    """
    down, right = (np.arange(size) - place for size, place in zip(shape, middle, strict=True))
    down, right = down[:, None], right[None, :]
    along = (down * np.cos(angle) + right * np.sin(angle)) / half_axes[0]
    across = (right * np.cos(angle) - down * np.sin(angle)) / half_axes[1]
    # Near its edge an ellipse looks straight; its distance there is the level over the level's slope.
    radius = np.maximum(np.hypot(along, across), 1e-6)
    slope = np.maximum(np.hypot(along / half_axes[0], across / half_axes[1]) / radius, 1e-6)
    return (CONTRAST_AT_EDGE * special.erfc((radius - 1.0) / slope / (np.sqrt(2.0) * edge))).astype(np.float32)

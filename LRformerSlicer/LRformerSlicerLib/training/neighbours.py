"""Neighbouring slices of training patches: at any distance, with noise of their own or partly shared, or none at all.

What a scan's neighbours are worth depends on how far apart its slices lie, from a fraction of a millimetre to five, and
on how much noise they share, which overlapping slices do.  A network that was shown one distance would trust neighbours
too much or too little at others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NeighbourKind:
    """What is drawn for each patch.

    Attributes:
        missing: share of the patches in whose place of the neighbours the slice itself stands, as the engine has it
            for a single slice.
        one_missing: share of those where that is so on one side, as at the ends of a volume.
        sharing: share of the patches whose neighbours share noise with the slice.
        most_shared: the correlation of their noise is drawn from 0 to this.
    """

    missing: float = 0.3
    one_missing: float = 0.1
    sharing: float = 0.5
    most_shared: float = 0.7


def nearer(clean: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Neighbours moved towards their slice by interpolation, by how much is drawn.

    Args:
        clean: (1 + N, H, W) float32, the slice and its neighbours.
        random: to draw with.
    """
    distance = np.float32(random.random())
    return np.concatenate([clean[:1], clean[:1] + distance * (clean[1:] - clean[:1])])


def sharing_noise(noise: np.ndarray, kind: NeighbourKind, random: np.random.Generator) -> np.ndarray:
    """Noise (1 + N, H, W) of a slice and its neighbours, now and then correlated between them; as strong as before."""
    if random.random() >= kind.sharing:
        return noise
    correlation = np.float32(random.uniform(0.0, kind.most_shared))
    return np.concatenate([noise[:1], correlation * noise[:1] + np.sqrt(1 - correlation**2) * noise[1:]])


def lesions_in_neighbours(added: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """What lesions (H, W) of a slice add to ``count`` neighbours, (count, H, W): they reach into each by another share.

    A lesion that is in one slice alone is one that the neighbours must not take away.
    """
    return random.random((count, 1, 1), dtype=np.float32) * added


def with_missing(planes: np.ndarray, kind: NeighbourKind, random: np.random.Generator) -> np.ndarray:
    """Degraded planes (1 + N, H, W), the slice first, of which some neighbours may be the slice itself."""
    drawn, side = random.random(), random.integers(2)
    if drawn < kind.missing:
        return np.broadcast_to(planes[:1], planes.shape)
    if drawn < kind.missing + (1.0 - kind.missing) * kind.one_missing:
        planes, half = planes.copy(), (len(planes) - 1) // 2
        planes[1 + side * half : 1 + (side + 1) * half] = planes[0]
    return planes


def in_order(planes: np.ndarray) -> np.ndarray:
    """Planes (1 + 2 * context, H, W), the slice first, as a network takes them: the slice in the middle."""
    half = (len(planes) - 1) // 2
    return np.concatenate([planes[1 : 1 + half], planes[:1], planes[1 + half :]])

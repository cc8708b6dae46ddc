"""Restoring a slice and its mirror images: their mean is a little better than each, their difference a hint of doubt.

Source: Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution (2017), section 3.3.  Mirrored
alone, not turned: patients lie, and networks trained on their noise know it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MIRRORED_AXES = ((), (-1,), (-2,), (-2, -1))
"""Of the slices that the ensemble sees: columns, rows, both."""

Network = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""As ``tiling.TiledNetwork``: (B, C, H, W) and (B, 2, H, W) to (B, scale H, scale W)."""


def restored_mirrored(
    network: Network, image: np.ndarray, prior: np.ndarray, axes: tuple[int, ...] = (-1,)
) -> np.ndarray:
    """The network's answer to slices mirrored along ``axes``, mirrored back: one pass of the network."""
    if not axes:
        return network(image, prior)
    return np.flip(network(np.flip(image, axes).copy(), np.flip(prior, axes).copy()), axes)


def restored_by_ensemble(network: Network, image: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The mean of the network's answers to a slice and its three mirror images: four passes of the network."""
    return np.mean([restored_mirrored(network, image, prior, axes) for axes in MIRRORED_AXES], axis=0)

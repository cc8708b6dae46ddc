"""Padding: voxels that were not measured and hold one number instead, around the image or in it (numpy and scipy).

Scanners, registration, resampling and skull stripping write 0, -1024, -2000, 65535 or another number where there is
nothing.  Noise never makes flat areas, so padding shows as areas of exactly one value that reach far along the edge of
the slices, or that lie far outside all other values.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from scipy import ndimage

SLICES_LOOKED_AT = 24
LEAST_SHARE = 1e-4
"""Of the voxels, in flat areas of one value: fewer are not looked into."""
LEAST_EDGE_SHARE = 0.1
"""Of the slices' edges: flat areas that reach less far along them may be anatomy that was cut off."""
LEAST_REST_SHARE = 0.01
"""Of the voxels: where hardly any other value is left, the image is a drawing and has no padding."""
REST_PERCENTILES = (1.0, 99.0)
FAR_OUTSIDE = 0.5
"""Of the range of the other values."""
DARKER = 0.1
"""Of the same range: padding that much darker than everything else still looks like background."""
HIGHEST_CT_SCALE_HU = 31_000
"""Above the extended CT scale of any scanner (30710 HU): no metal is brighter."""
CT_AIR_HU = (-1100.0, -900.0)
_MARGIN = 2


def find_padding_values(slices: np.ndarray, sample: np.ndarray, modality: str) -> tuple[float, ...]:
    """The values that stand for "not measured", in increasing order; none in most volumes.

    Args:
        slices: (slices, rows, columns).
        sample: finite voxel values taken evenly over the volume.
        modality: CT or MR. In CT a flat bright area inside the image is metal.
    """
    chosen = np.unique(np.linspace(0, len(slices) - 1, SLICES_LOOKED_AT).astype(int))
    counts, edge_counts, edges, pixels = Counter(), Counter(), 0, 0
    for index in chosen:
        values, is_edge, edge_length = _flat_values(slices[index])
        counts.update(dict(zip(*np.unique(values, return_counts=True), strict=True)))
        edge_counts.update(dict(zip(*np.unique(values[is_edge], return_counts=True), strict=True)))
        edges, pixels = edges + edge_length, pixels + slices[index].size
    candidates = [value for value, count in counts.items() if count >= LEAST_SHARE * pixels and np.isfinite(value)]
    rest = sample[~np.isin(sample, candidates)]
    if not candidates or rest.size < LEAST_REST_SHARE * sample.size:
        return ()
    low, high = (float(value) for value in np.percentile(rest, REST_PERCENTILES))
    found = []
    for value in candidates:
        at_the_edge = edge_counts[value] >= LEAST_EDGE_SHARE * edges
        if modality == "CT":
            # Air that was cut off at -1024 or -1000 is air.
            is_air = CT_AIR_HU[0] <= value <= CT_AIR_HU[1]
            is_padding = not is_air and (at_the_edge or value > HIGHEST_CT_SCALE_HU or value < CT_AIR_HU[0])
        else:
            far = value < low - FAR_OUTSIDE * (high - low) or value > high + FAR_OUTSIDE * (high - low)
            # Bright and at the edge, but no brighter than other tissue: saturated by a coil near by.
            is_padding = far or (at_the_edge and value < high)
        if is_padding:
            found.append(float(value))
    return tuple(sorted(found))


def background_range(sample: np.ndarray, modality: str) -> tuple[float, float]:
    """Between which padding looks like background to a network: air in CT, no darker than a body without air in MR.

    `sample` are voxel values without the padding.
    """
    if modality == "CT":
        return CT_AIR_HU
    low, high = (float(value) for value in np.percentile(sample, REST_PERCENTILES))
    return low - DARKER * (high - low), high


def flat_areas(pixels: np.ndarray, value: float) -> np.ndarray:
    """Where a slice (H, W) holds `value` over at least 3 x 3 pixels, counted on past its edge; bool (H, W)."""
    same = np.pad(pixels == value, _MARGIN, mode="edge")
    if not same.any():
        return same[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return ndimage.binary_opening(same, np.ones((3, 3), dtype=bool))[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def _flat_values(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Values of the pixels amid 3 x 3 equal ones, which of them lie at the edge, and how long the edge is."""
    wide = np.pad(pixels, _MARGIN, mode="edge")
    across = wide[:, 1:] == wide[:, :-1]
    down = wide[1:] == wide[:-1]
    row = across[:, 1:] & across[:, :-1]
    flat = row[:-2] & row[1:-1] & row[2:] & down[:-1, 1:-1] & down[1:, 1:-1]
    edge = np.zeros(flat.shape, dtype=bool)
    edge[[0, -1], :] = edge[:, [0, -1]] = True
    return wide[1:-1, 1:-1][flat], edge[flat], int(edge.sum())

"""Where the patient is: the body without table and air (CT), the head or body without background (MR)."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

BODY_THRESHOLD_HU = -500.0  # between lung/air and soft tissue; lung is recovered by filling holes
TABLE_THICKNESS_PIXELS = 7  # an opening of this size removes the table top, which is a thin plate in cross-section


def body_mask(intensities: np.ndarray, modality: str) -> np.ndarray:
    """Mask of the patient, slice by slice.

    Args:
        intensities: (rows, columns) or (slices, rows, columns); HU for CT, arbitrary units for MR.
        modality: "CT" or "MR".

    Returns:
        Boolean array of the same shape; all False where there is nothing but background.
    """
    if modality not in ("CT", "MR"):
        raise ValueError(f"modality is 'CT' or 'MR', not {modality!r}")
    if intensities.ndim == 3:
        return np.stack([body_mask(plane, modality) for plane in intensities])
    finite = np.nan_to_num(intensities.astype(np.float32), nan=-1024.0 if modality == "CT" else 0.0)
    smooth = ndimage.uniform_filter(ndimage.median_filter(finite, 3), 3)
    if modality == "CT":
        raw = smooth > BODY_THRESHOLD_HU
        opening = TABLE_THICKNESS_PIXELS
    else:
        raw = smooth > _mr_threshold(smooth)
        opening = 3
    # Fill first: a thin chest wall must not be opened before the lung behind it has become part of the body.
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(raw, iterations=2) | raw)
    solid = ndimage.binary_opening(filled, np.ones((opening, opening), dtype=bool))
    labels, count = ndimage.label(solid)
    if not count:
        return np.zeros(raw.shape, dtype=bool)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    # Arms and legs are bodies too: every part at least a tenth as large as the largest one.  A hollow table top has
    # been filled above; it gives itself away by being mostly air.
    solidity = np.bincount(labels.ravel(), weights=raw.ravel()) / np.maximum(np.bincount(labels.ravel()), 1)
    kept = (sizes >= max(sizes.max() / 10, 64)) & ((solidity > 0.5) | (sizes == sizes.max()))
    kept = kept[labels]
    kept = ndimage.binary_propagation(kept, mask=ndimage.binary_dilation(kept, iterations=opening // 2) & filled)
    return ndimage.binary_fill_holes(kept)


def _mr_threshold(smooth: np.ndarray) -> float:
    """Otsu's threshold of the lower intensities, halved: dark tissue belongs to the patient, noise does not.

    Raises nothing; a constant slice gives its own value, hence an empty mask.
    """
    top = np.percentile(smooth, 99)
    values = smooth[smooth <= top]
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return high
    counts, edges = np.histogram(values, bins=256, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    otsu = float(centres[np.nanargmax(between)])
    return low + (otsu - low) / 2


def body_box(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """Box x0, y0, x1, y1 in pixels (corners of the first and past the last pixel) around a 2-D mask; None if empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)

"""Label maps: segmentations and masks, which look like volumes and must not be restored (numpy only)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import UserError

LABEL_KEY = "is a label map"
"""Metadata entry of an image whose file says that its voxels are labels."""
SEGMENT_KEY_START = "Segment"
"""Of the keys that 3D Slicer writes into a segmentation (.seg.nrrd), such as Segment0_ID."""

FEW_LABELS, MANY_LABELS, LARGEST_LABEL = 16, 512, 65535
LEAST_FLAT = 0.6
"""Share of neighbours inside the labels that are equal; of the real scans at hand none reaches 0.43, nor has one fewer
than 136 values."""
SLICES_LOOKED_AT = 32


class LabelMapError(UserError):
    """The volume is a label map."""


def check_no_label_map(slices: np.ndarray, keys: Iterable[str] = ()) -> None:
    """LabelMapError where an image is a label map: by its file's own words (`keys` of its metadata) or its values.

    slices: (slices, rows, columns).
    """
    if is_said(keys) or has_labels(slices):
        raise LabelMapError(
            "This is a label map (a segmentation or mask), whose numbers are names and no brightness: choose the CT or "
            "MR volume that it belongs to."
        )


def is_said(keys: Iterable[str]) -> bool:
    """Whether the metadata of an image say that it holds labels."""
    return any(key == LABEL_KEY or (key.startswith(SEGMENT_KEY_START) and key.endswith("_ID")) for key in keys)


def has_labels(slices: np.ndarray) -> bool:
    """Whether the values are labels: few whole numbers from 0 on, in areas of one number each, free of noise."""
    step = max(1, len(slices) // SLICES_LOOKED_AT)
    looked_at = np.concatenate([slices[::step], slices[-1:]])
    if looked_at.dtype.kind == "f":
        if not np.isfinite(looked_at).all() or not (looked_at == np.rint(looked_at)).all():
            return False
    elif looked_at.dtype.kind not in "iu":
        return False
    if looked_at.min() < 0 or looked_at.max() > LARGEST_LABEL:
        return False
    values, counts = np.unique(looked_at, return_counts=True)
    if not 2 <= values.size <= MANY_LABELS:
        return False
    if values.size <= FEW_LABELS:
        return True
    background = values[np.argmax(counts)]
    left, right = looked_at[..., :-1], looked_at[..., 1:]
    inside = (left != background) | (right != background)
    return float(np.mean((left == right)[inside])) >= LEAST_FLAT

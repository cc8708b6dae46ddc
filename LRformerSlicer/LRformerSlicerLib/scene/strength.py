"""How much of the restoration is shown: the restored volume recomputed from the original and the network's change.

No network runs: shown = original + strength x change, and the change is a result node, so that this works after the
scene was saved and loaded as well.
"""

from __future__ import annotations

import numpy as np
import slicer

BLOCK_VOXELS = 4_000_000
"""Recomputed at a time: enough to be fast, and small beside a large CT."""

STRENGTH_ATTRIBUTE = "LRformerSlicer.StrengthPercent"
"""On the restored volume: how much of the change it holds, kept with the scene."""


def shownStrength(restoredNode) -> float:
    """The strength, 0 to 1, that the volume shows."""
    return float(restoredNode.GetAttribute(STRENGTH_ATTRIBUTE) or 100) / 100


class StrengthBlend:
    """Recomputes one restored volume.

    inputNode: the original, or None when it was deleted; differenceNode: the network's change at full strength, on the
    grid of the restored volume.  Super-resolution has a finer grid than its input: there the original is what is left
    of the restored volume without the change.
    """

    def __init__(self, inputNode, restoredNode, differenceNode) -> None:
        self._inputNode, self._restoredNode, self._differenceNode = inputNode, restoredNode, differenceNode
        self._interpolated: np.ndarray | None = None

    def fits(self, inputNode, restoredNode, differenceNode) -> bool:
        """Whether this is the blend of these nodes."""
        return (self._inputNode, self._restoredNode, self._differenceNode) == (inputNode, restoredNode, differenceNode)

    def apply(self, strength: float) -> None:
        """Show this strength, 0 (the original) to 1 (the network's answer)."""
        if strength == shownStrength(self._restoredNode):
            return
        target = slicer.util.arrayFromVolume(self._restoredNode)
        change = slicer.util.arrayFromVolume(self._differenceNode)
        original = self._original(target, change)
        limits = np.iinfo(target.dtype) if np.issubdtype(target.dtype, np.integer) else None
        layers = max(1, BLOCK_VOXELS // max(1, target[0].size))
        for first in range(0, target.shape[0], layers):
            block = slice(first, first + layers)
            values = original[block] + np.float32(strength) * change[block]
            if limits is not None:
                np.clip(np.rint(values, out=values), limits.min, limits.max, out=values)
            target[block] = values
        self._restoredNode.SetAttribute(STRENGTH_ATTRIBUTE, f"{100 * strength:g}")
        slicer.util.arrayFromVolumeModified(self._restoredNode)

    def _original(self, target: np.ndarray, change: np.ndarray) -> np.ndarray:
        if self._inputNode is not None:
            voxels = slicer.util.arrayFromVolume(self._inputNode)
            if voxels.shape == target.shape:
                return voxels
        if self._interpolated is None:
            self._interpolated = target - np.float32(shownStrength(self._restoredNode)) * change
        return self._interpolated

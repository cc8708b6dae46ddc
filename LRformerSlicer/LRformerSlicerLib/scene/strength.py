"""How much of the restoration is shown: the restored volume recomputed from the original and the network's change.

No network runs: shown = original + strength x change, and the change is a result node, so that this works after the
scene was saved and loaded as well.
"""

from __future__ import annotations

import numpy as np
import slicer

from LRformerSlicerLib.scene.views import shownSlices

BLOCK_VOXELS = 2_000_000
"""Recomputed at a time: some 10 ms, so that nobody feels it, and small beside a large CT."""

STRENGTH_ATTRIBUTE = "LRformerSlicer.StrengthPercent"
"""On the restored volume: how much of the change it holds, kept with the scene."""


def shownStrength(restoredNode) -> float:
    """The strength, 0 to 1, that the volume shows."""
    return float(restoredNode.GetAttribute(STRENGTH_ATTRIBUTE) or 100) / 100


class StrengthBlend:
    """Recomputes one restored volume.

    inputNode: the original, or None when it was deleted; differenceNode: the network's change at full strength, on the
    grid of the restored volume.  Super-resolution has a finer grid than its input: there the original is what is left
    of the restored volume without the change, and is kept, block by block as it is needed.
    """

    def __init__(self, inputNode, restoredNode, differenceNode) -> None:
        self._inputNode, self._restoredNode, self._differenceNode = inputNode, restoredNode, differenceNode
        self._interpolated: np.ndarray | None = None
        self._isKnown: np.ndarray | None = None
        self._strength = self._firstStrength = shownStrength(restoredNode)
        self._nextLayer: int | None = None

    def fits(self, inputNode, restoredNode, differenceNode) -> bool:
        """Whether this is the blend of these nodes."""
        return (self._inputNode, self._restoredNode, self._differenceNode) == (inputNode, restoredNode, differenceNode)

    @property
    def isPending(self) -> bool:
        """Whether a part of the volume still has another strength than was asked for."""
        return self._nextLayer is not None

    def start(self, strength: float) -> None:
        """Show this strength, 0 (the original) to 1 (the network's answer): a small volume at once, of a large one what
        the views show; `advance` does the rest.
        """
        if strength == self._strength:
            return
        self._strength, self._nextLayer = strength, 0
        if slicer.util.arrayFromVolume(self._restoredNode).size <= BLOCK_VOXELS:
            self.advance()
            return
        for axis, index in shownSlices(self._restoredNode):
            # The neighbours, too: a view between two slices interpolates.
            self._blend((slice(None),) * axis + (slice(max(index - 1, 0), index + 2),))
        slicer.util.arrayFromVolumeModified(self._restoredNode)

    def advance(self) -> None:
        """Recompute the next block; when it was the last one, the volume says that it has changed."""
        if self._nextLayer is None or self._restoredNode.GetScene() is None:
            self._nextLayer = None
            return
        shape = slicer.util.arrayFromVolume(self._restoredNode).shape
        first = self._nextLayer
        self._nextLayer = first + max(1, BLOCK_VOXELS // max(1, shape[1] * shape[2]))
        self._blend((slice(first, self._nextLayer),))
        if self._nextLayer >= shape[0]:
            self._nextLayer = None
            self._restoredNode.SetAttribute(STRENGTH_ATTRIBUTE, f"{100 * self._strength:g}")
            slicer.util.arrayFromVolumeModified(self._restoredNode)

    def finish(self) -> None:
        """Recompute all that is left, before somebody else reads the volume."""
        while self.isPending:
            self.advance()

    def _blend(self, block: tuple[slice, ...]) -> None:
        target = slicer.util.arrayFromVolume(self._restoredNode)
        change = slicer.util.arrayFromVolume(self._differenceNode)
        values = self._original(target, change, block) + np.float32(self._strength) * change[block]
        if np.issubdtype(target.dtype, np.integer):
            limits = np.iinfo(target.dtype)
            np.clip(np.rint(values, out=values), limits.min, limits.max, out=values)
        target[block] = values

    def _original(self, target: np.ndarray, change: np.ndarray, block: tuple[slice, ...]) -> np.ndarray:
        if self._inputNode is not None:
            voxels = slicer.util.arrayFromVolume(self._inputNode)
            if voxels.shape == target.shape:
                return voxels[block]
        if self._interpolated is None:
            self._interpolated = np.empty(target.shape, dtype=np.float32)
            self._isKnown = np.zeros(target.shape, dtype=bool)
        # Computed once, before the block is first changed: from rounded voxels it would drift with every move.
        original, isKnown = self._interpolated[block], self._isKnown[block]
        if not isKnown.all():
            found = target[block] - np.float32(self._firstStrength) * change[block]
            np.copyto(original, found, where=~isKnown)
            isKnown[...] = True
        return original

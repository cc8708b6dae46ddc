"""Which volumes of the scene a restoration has made."""

from __future__ import annotations

import slicer

RESULT_ATTRIBUTE = "LRformerSlicer.Result"
"""On every volume that a restoration made: which of its images it is."""


def isResult(node) -> bool:
    """Whether a restoration made this volume."""
    return bool(node.GetAttribute(RESULT_ATTRIBUTE))


def resultVolumes() -> list:
    """The volumes that restorations made, in the scene's order."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if isResult(node)]

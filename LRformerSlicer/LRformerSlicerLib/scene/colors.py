"""Colour tables of the maps, made once a scene: what Slicer's own files give may be missing, so none is relied upon.

Sequential (prior, consistency, uncertainty): black over violet and orange to light yellow, rising in lightness, so that
more is brighter also for the colour-blind.  Diverging (difference): blue below zero, black at zero, orange above.
"""

from __future__ import annotations

import numpy as np
import slicer
from slicer.i18n import tr as _

STEPS = 256

SEQUENTIAL_ID = "vtkMRMLColorTableNodeLRformerSequential"
DIVERGING_ID = "vtkMRMLColorTableNodeLRformerDiverging"

_ANCHORS = {
    # Position from 0 to 1 -> red, green, blue from 0 to 1.
    SEQUENTIAL_ID: {
        0.0: (0.0, 0.0, 0.02),
        0.25: (0.30, 0.05, 0.45),
        0.5: (0.75, 0.20, 0.35),
        0.75: (0.98, 0.55, 0.10),
        1.0: (0.99, 0.99, 0.65),
    },
    DIVERGING_ID: {
        0.0: (0.65, 0.90, 1.0),
        0.25: (0.10, 0.45, 0.90),
        0.5: (0.0, 0.0, 0.0),
        0.75: (0.90, 0.40, 0.05),
        1.0: (1.0, 0.95, 0.65),
    },
}


def sequentialColors():
    """The colour node for maps from 0 upwards."""
    return _colorNode(SEQUENTIAL_ID, _("LRformer map"))


def divergingColors():
    """The colour node for signed maps, black at the middle of the range."""
    return _colorNode(DIVERGING_ID, _("LRformer difference"))


def _colorNode(singletonTag: str, name: str):
    node = slicer.mrmlScene.GetSingletonNode(singletonTag, "vtkMRMLColorTableNode")
    if node is not None:
        return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(name)
    node.SetSingletonTag(singletonTag)
    node.SetTypeToUser()
    node.SetHideFromEditors(True)
    node.SetNumberOfColors(STEPS)
    anchors = _ANCHORS[singletonTag]
    places = np.linspace(0, 1, STEPS)
    channels = [np.interp(places, list(anchors), [color[part] for color in anchors.values()]) for part in range(3)]
    for index, (red, green, blue) in enumerate(zip(*channels, strict=True)):
        node.SetColor(index, f"{places[index]:.3f}", red, green, blue, 1.0)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)

"""The box that a user draws around a lesion: a Markups ROI, as the region that the restoration wants."""

from __future__ import annotations

import itertools

import numpy as np
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.scene.views import localFromRas

NEW_BOX_SHARE = 0.3
"""Edge of a new box, as a share of the volume's."""


def regionOf(roiNode, volumeNode) -> list[float]:
    """The ROI as x0, x1, y0, y1, z0, z1 in LPS mm of the volume's own grid, the parent transform taken out.

    A turned box is given by the smallest straight one around it.
    """
    bounds = [0.0] * 6
    roiNode.GetRASBounds(bounds)
    corners = itertools.product(bounds[0:2], bounds[2:4], bounds[4:6])
    local = np.array([localFromRas(volumeNode, corner) for corner in corners]) * [-1, -1, 1]
    low, high = local.min(axis=0), local.max(axis=0)
    return [float(value) for pair in zip(low, high, strict=True) for value in pair]


def addRegionBox(volumeNode, centerRas):
    """A new ROI in the middle of what the user looks at (or of the volume where that lies outside of it)."""
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    center = np.array(centerRas) if centerRas is not None else (low + high) / 2
    center = np.where((center >= low) & (center <= high), center, (low + high) / 2)
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", scene.GenerateUniqueName(_("Lesion box")))
    node.SetCenterWorld(*center)
    node.SetSizeWorld(*(NEW_BOX_SHARE * (high - low)))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    # An outline: Slicer's filling and the name in the middle would cover the lesion that is to be judged.
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    return node

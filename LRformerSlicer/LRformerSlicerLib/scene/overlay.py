"""A map drawn over the slice views in colour, with its legend, and taken off again without a trace."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support
from slicer.i18n import tr as _

from LRformerSlicerLib.scene.colors import divergingColors, sequentialColors
from LRformerSlicerLib.scene.legend import hideLegend, showLegend
from LRformerSlicerLib.scene.views import ViewContents, compositeNode, removeWithDisplay


class Overlay:
    """Shows one map at a time over given slice views."""

    def __init__(self) -> None:
        self._before: ViewContents | None = None
        self._mapId: str | None = None
        self._contourId: str | None = None

    @property
    def isShown(self) -> bool:
        """Whether a map is drawn."""
        return self._before is not None

    def show(self, mapNode, title: str, nodes, opacity: float, threshold: float, isContour: bool) -> None:
        """Draw `mapNode`, or its outline where it exceeds the threshold, over the views of the slice `nodes`.

        opacity: 0 to 1; threshold: values below it stay transparent; title: of the colour legend.
        """
        if self._before is None or set(self._before.nodeIds) != {node.GetID() for node in nodes}:
            self.hide()
            self._before = ViewContents(nodes)
        if self._mapId != mapNode.GetID():
            self._before.restoreOverlays()
            self._removeLegend()
            self._removeContour()
            self._mapId = mapNode.GetID()
        display = mapNode.GetDisplayNode()
        display.SetAndObserveColorNodeID(sequentialColors().GetID())
        # Zero is nothing at all and never coloured, whatever the threshold.
        lowest = max(threshold, np.finfo(np.float32).tiny)
        display.SetThreshold(lowest, max(lowest, float(mapNode.GetImageData().GetScalarRange()[1])))
        display.SetApplyThreshold(True)
        contour = self._contour(mapNode, lowest) if isContour else None
        for node in nodes:
            composite = compositeNode(node)
            composite.SetForegroundVolumeID(None if isContour else mapNode.GetID())
            composite.SetForegroundOpacity(opacity)
            composite.SetLabelVolumeID(contour.GetID() if contour else None)
            composite.SetLabelOpacity(opacity if contour else 1.0)
            node.SetUseLabelOutline(bool(contour))
        if isContour:
            self._removeLegend()
        else:
            self._removeContour()
            showLegend(mapNode, title, nodes)

    def hide(self) -> None:
        """The views exactly as they were before the first `show`."""
        if self._before is not None:
            self._before.restoreOverlays()
        self._removeLegend()
        self._removeContour()
        self._before, self._mapId = None, None

    def forget(self) -> None:
        """The scene is closed, with all that there was to restore."""
        self._before = self._mapId = self._contourId = None

    def _removeLegend(self) -> None:
        node = slicer.mrmlScene.GetNodeByID(self._mapId) if self._mapId else None
        if node is not None:
            hideLegend(node)

    def _contour(self, mapNode, threshold: float):
        """A label map of the voxels from the threshold upwards; drawn as outline, it is their contour."""
        contour = slicer.mrmlScene.GetNodeByID(self._contourId) if self._contourId else None
        if contour is None:
            contour = slicer.vtkMRMLLabelMapVolumeNode()
            contour.SetName(_("LRformer contour"))
            contour.SetHideFromEditors(True)
            contour.SetSaveWithScene(False)
            slicer.mrmlScene.AddNode(contour)
            contour.CreateDefaultDisplayNodes()
            contour.GetDisplayNode().SetSaveWithScene(False)
            self._contourId = contour.GetID()
        inside = (slicer.util.arrayFromVolume(mapNode) >= threshold).astype(np.uint8)
        image = vtk.vtkImageData()
        image.SetDimensions(mapNode.GetImageData().GetDimensions())
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())[:] = inside.ravel()
        matrix = vtk.vtkMatrix4x4()
        mapNode.GetIJKToRASMatrix(matrix)
        contour.SetIJKToRASMatrix(matrix)
        contour.SetAndObserveTransformNodeID(mapNode.GetTransformNodeID())
        contour.SetAndObserveImageData(image)
        return contour

    def _removeContour(self) -> None:
        contour = slicer.mrmlScene.GetNodeByID(self._contourId) if self._contourId else None
        if contour is not None:
            removeWithDisplay(contour)
        self._contourId = None


def showDifference(differenceNode, unit: str, nodes) -> None:
    """Colours of a signed map, the same range on both sides of zero, with a legend in `unit`."""
    display = differenceNode.GetDisplayNode()
    display.SetAndObserveColorNodeID(divergingColors().GetID())
    half = max(abs(display.GetWindowLevelMin()), abs(display.GetWindowLevelMax()))
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(-half, half)
    showLegend(differenceNode, _("Change ({unit})").format(unit=unit), nodes)

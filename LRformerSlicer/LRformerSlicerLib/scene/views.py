"""The slice views: which there are, what they show, and all of it back again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError

ALIGNED_VOXELS_PER_MM = 1e-3
"""A view that leaves a slice of the volume by less than that shows this slice over its whole width."""


def layoutNode():
    """The node that says which layout is shown. Raises UserError where Slicer runs without views."""
    manager = slicer.app.layoutManager()
    if manager is None:
        raise UserError(_("There are no views to show this in: start Slicer with its main window."))
    return manager.layoutLogic().GetLayoutNode()


def hasViews() -> bool:
    """Whether Slicer runs with a main window and so with views."""
    return slicer.app.layoutManager() is not None


def sliceNodes(isShown: bool = True) -> list:
    """The slice nodes in the present layout (or, with isShown=False, all of them)."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [node for node in nodes if not isShown or node.IsMappedInLayout()]


def compositeNode(sliceNode):
    """The node that says which volumes a slice view shows, or None before the view was ever built."""
    logic = slicer.app.applicationLogic().GetSliceLogic(sliceNode)
    return logic.GetSliceCompositeNode() if logic is not None else None


def rasCenter(sliceNode) -> tuple[float, float, float]:
    """Where the middle of the view lies, RAS mm."""
    matrix = sliceNode.GetSliceToRAS()
    return tuple(matrix.GetElement(row, 3) for row in range(3))


def jumpTo(ras) -> None:
    """Show the position (RAS mm) in every slice view, in the middle where it would else be outside."""
    for node in sliceNodes():
        node.JumpSliceByCentering(*ras)


def activeSliceNode(cursorNode=None):
    """The view the user works in: the one the mouse was last over, else the first of the layout; None without views."""
    shown = sliceNodes()
    if cursorNode is not None and cursorNode in shown:
        return cursorNode
    return shown[0] if shown else None


class CursorFollower:
    """Remembers the slice view that the mouse was last over: to click a button, the mouse must leave it."""

    def __init__(self) -> None:
        self._crosshair = None
        self._tag = None
        self._sliceNodeId: str | None = None

    def start(self) -> None:
        """Follow this scene's crosshair."""
        self.stop()
        self._crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if self._crosshair is not None:
            event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
            self._tag = self._crosshair.AddObserver(event, self._onMoved)

    def stop(self) -> None:
        """Follow no more."""
        if self._crosshair is not None:
            self._crosshair.RemoveObserver(self._tag)
            self._crosshair = None

    def sliceNode(self):
        """The slice node, or None where the mouse was over none yet."""
        return slicer.mrmlScene.GetNodeByID(self._sliceNodeId) if self._sliceNodeId else None

    def _onMoved(self, caller, event) -> None:
        node = caller.GetCursorPositionXYZ([0.0, 0.0, 0.0])
        if node is not None:
            self._sliceNodeId = node.GetID()


@dataclass(frozen=True)
class _ViewContents:
    backgroundId: str | None
    foregroundId: str | None
    labelId: str | None
    foregroundOpacity: float
    labelOpacity: float
    isLabelOutlined: int


class ViewContents:
    """What the slice views show at one moment, to be put back exactly.

    Field of view and position are the user's and left alone: he may scroll while an overlay is on.
    """

    def __init__(self, nodes) -> None:
        self._contents = {}
        for node in nodes:
            composite = compositeNode(node)
            if composite is not None:
                self._contents[node.GetID()] = _ViewContents(
                    composite.GetBackgroundVolumeID(),
                    composite.GetForegroundVolumeID(),
                    composite.GetLabelVolumeID(),
                    composite.GetForegroundOpacity(),
                    composite.GetLabelOpacity(),
                    node.GetUseLabelOutline(),
                )

    @property
    def nodeIds(self) -> tuple[str, ...]:
        """The slice nodes remembered."""
        return tuple(self._contents)

    def restoreOverlays(self) -> None:
        """Foreground and label of each view as they were; volumes deleted meanwhile are left out."""
        scene = slicer.mrmlScene
        for nodeId, before in self._contents.items():
            node = scene.GetNodeByID(nodeId)
            composite = compositeNode(node) if node is not None else None
            if composite is None:
                continue
            composite.SetForegroundVolumeID(_ifPresent(before.foregroundId))
            composite.SetForegroundOpacity(before.foregroundOpacity)
            composite.SetLabelVolumeID(_ifPresent(before.labelId))
            composite.SetLabelOpacity(before.labelOpacity)
            node.SetUseLabelOutline(before.isLabelOutlined)


def _ifPresent(nodeId: str | None) -> str | None:
    return nodeId if nodeId and slicer.mrmlScene.GetNodeByID(nodeId) is not None else None


def rasOfVoxel(volumeNode, lpsMillimetres) -> tuple[float, float, float]:
    """A position of a result file (LPS mm, without the parent transform) in the scene's RAS mm."""
    return tuple(_toScene(volumeNode).TransformPoint((-lpsMillimetres[0], -lpsMillimetres[1], lpsMillimetres[2])))


def localFromRas(volumeNode, ras) -> np.ndarray:
    """A position of the scene (RAS mm) in the volume's own RAS mm, its parent transform taken out."""
    return np.array(_toScene(volumeNode).GetInverse().TransformPoint(ras))


def _toScene(volumeNode):
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volumeNode.GetParentTransformNode(), None, transform)
    return transform


def shownSlices(volumeNode) -> list[tuple[int, int]]:
    """The slices of the volume that lie in the shown views, as (array axis, index); oblique views have none.

    The array axes are K, J, I.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(matrix)
    ijkFromRas = slicer.util.arrayFromVTKMatrix(matrix)
    sizes = volumeNode.GetImageData().GetDimensions()
    found = []
    for node in sliceNodes():
        sliceToRas = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
        center = sliceToRas[:3, 3]
        points = [
            localFromRas(volumeNode, point)
            for point in (center, center + sliceToRas[:3, 0], center + sliceToRas[:3, 1])
        ]
        origin, right, up = (ijkFromRas[:3, :3] @ point + ijkFromRas[:3, 3] for point in points)
        for axis in range(3):
            isIn = 0 <= round(origin[axis]) < sizes[axis]
            if isIn and max(abs(right[axis] - origin[axis]), abs(up[axis] - origin[axis])) < ALIGNED_VOXELS_PER_MM:
                found.append((2 - axis, round(origin[axis])))
    return found


def removeWithDisplay(volumeNode) -> None:
    """Remove the volume from the scene, and its display node, which Slicer would leave behind."""
    display = volumeNode.GetDisplayNode()
    slicer.mrmlScene.RemoveNode(volumeNode)
    if display is not None and slicer.mrmlScene.IsNodePresent(display):
        slicer.mrmlScene.RemoveNode(display)

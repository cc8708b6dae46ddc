"""Original and restored volume compared: side by side, in turns, under a swipe line, and their difference.

Each way has a layout of its own with view nodes of its own (they show up in no other layout), so that the views of the
user's layouts keep what they show, and the layout itself comes back when the comparison ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from LRformerSlicerLib.scene.compare_layouts import (
    DIFFERENCE_VIEW,
    ORIGINAL_VIEW,
    RESTORED_VIEW,
    SINGLE_VIEW,
    Mode,
    addCompareLayouts,
    leaveCompareLayout,
    rememberUserLayout,
)
from LRformerSlicerLib.scene.swipe import Swipe
from LRformerSlicerLib.scene.views import compositeNode, layoutNode, rasCenter, sliceNodes


class CompareViews:
    """Shows one comparison at a time. All views of a comparison are linked and have the same zoom and window/level.

    onSwipeDragged(share): the mouse has moved the swipe line, and wants `setSwipe` there.
    """

    def __init__(self, onSwipeDragged: Callable[[float], None] = lambda share: None) -> None:
        self.mode: Mode | None = None
        self._volumes: tuple = (None, None, None)
        self._isOriginalShown = True
        self._observations: list[tuple] = []
        self._swipe = Swipe(onSwipeDragged)

    def show(self, mode: Mode, originalNode, restoredNode, differenceNode, orientation: str) -> None:
        """Start a comparison, or change it. Raises UserError where there are no views.

        orientation: "Axial", "Coronal" or "Sagittal".
        """
        layout = layoutNode()
        seenNode = self._seenSliceNode()
        seenRas = rasCenter(seenNode) if seenNode is not None else None
        rememberUserLayout(layout)
        self._unfollow()
        addCompareLayouts(layout)
        layout.SetViewArrangement(mode.layoutId)
        slicer.app.processEvents()  # the new views get their size now: fitting needs it
        self.mode, self._volumes = mode, (originalNode, restoredNode, differenceNode)
        self._isOriginalShown = False
        for name in mode.viewNames:
            node = self._sliceNode(name)
            composite = compositeNode(node)
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)
            composite.SetBackgroundVolumeID(self._backgroundOf(name).GetID())
            composite.SetLinkedControl(True)
            composite.SetHotLinkedControl(True)
        self._place(orientation, seenRas)
        self._follow()
        self._label()
        if mode is Mode.SWIPE:
            self._swipe.show(SINGLE_VIEW, restoredNode)

    def hide(self) -> None:
        """Back to the layout that the user had, unless he chose another one meanwhile."""
        if self.mode is None:
            return
        self._unfollow()
        self.mode = None
        manager = slicer.app.layoutManager()
        if manager is not None:
            leaveCompareLayout(manager.layoutLogic().GetLayoutNode())
        self._volumes = (None, None, None)

    def flick(self) -> None:
        """In the flicker view, show the other one of the two volumes."""
        if self.mode is Mode.FLICKER:
            self._isOriginalShown = not self._isOriginalShown
            shown = self._volumes[0] if self._isOriginalShown else self._volumes[1]
            compositeNode(self._sliceNode(SINGLE_VIEW)).SetBackgroundVolumeID(shown.GetID())
            self._label()

    @property
    def isOriginalShown(self) -> bool:
        """In the flicker view: whether the original is to be seen."""
        return self._isOriginalShown

    def setSwipe(self, share: float) -> None:
        """Put the swipe line at `share` (0 to 1) of the view's width: original left of it, restored right of it."""
        self._swipe.setShare(share)

    def refreshSwipe(self) -> None:
        """The overlay has changed, which the restored side shows as well."""
        self._swipe.update()

    def shownSliceNodes(self) -> list:
        """The slice nodes of the comparison, left to right."""
        return [self._sliceNode(name) for name in self.mode.viewNames] if self.mode else []

    def overlaySliceNodes(self) -> list:
        """The slice nodes that can have an overlay: all but that of the difference map, which has its own colours."""
        return [node for node in self.shownSliceNodes() if node.GetLayoutName() != DIFFERENCE_VIEW]

    def restoredSliceNodes(self) -> list:
        """The slice nodes that show the restored volume, if only in turns or beside the original."""
        return [node for node in self.overlaySliceNodes() if node.GetLayoutName() != ORIGINAL_VIEW]

    def _backgroundOf(self, name: str):
        original, restored, difference = self._volumes
        if name == SINGLE_VIEW:
            return original if self.mode is Mode.SWIPE else restored
        return {ORIGINAL_VIEW: original, RESTORED_VIEW: restored, DIFFERENCE_VIEW: difference}[name]

    def _sliceNode(self, name: str):
        return slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLSliceNode")

    def _seenSliceNode(self):
        shown = sliceNodes()
        return shown[0] if shown else None

    def _place(self, orientation: str, seenRas) -> None:
        """Fit the first view to its volume, at the position that was seen before, and the others to the first."""
        first, *others = self.shownSliceNodes()
        first.SetOrientation(orientation)
        # As Slicer's own views: an oblique scan is seen slice by slice, not cut across its slices.
        first.RotateToVolumePlane(self._volumes[1])
        applicationLogic = slicer.app.applicationLogic()
        logic = applicationLogic.GetSliceLogic(first)
        logic.FitSliceToBackground()
        if seenRas is not None:
            bounds = [0.0] * 6
            self._volumes[1].GetRASBounds(bounds)
            inside = [low <= value <= high for low, value, high in zip(bounds[::2], seenRas, bounds[1::2], strict=True)]
            # Only the position across the slices: in plane the whole volume is to be seen.
            axis = {"Axial": 2, "Coronal": 1, "Sagittal": 0}[orientation]
            if inside[axis]:
                first.JumpSliceByOffsetting(*seenRas)
        logic.SnapSliceOffsetToIJK()
        for node in others:
            node.SetOrientation(orientation)
            applicationLogic.GetSliceLogic(node).FitSliceToBackground()
            node.GetSliceToRAS().DeepCopy(first.GetSliceToRAS())
            node.UpdateMatrices()
            columns, rows, _depth = node.GetDimensions()
            height = first.GetFieldOfView()[1] * rows / max(first.GetDimensions()[1], 1)
            node.SetFieldOfView(height * columns / max(rows, 1), height, first.GetFieldOfView()[2])
            node.SetXYZOrigin(first.GetXYZOrigin())

    def _follow(self) -> None:
        """Keep window and level of original and restored the same, whichever the user changes."""
        displays = [node.GetDisplayNode() for node in self._volumes[:2]]
        if any(display is None for display in displays):
            return
        for display, other in (displays, displays[::-1]):
            tag = display.AddObserver(
                vtk.vtkCommand.ModifiedEvent, lambda caller, event, other=other: _copyWindow(caller, other)
            )
            self._observations.append((display, tag))
        _copyWindow(*displays)

    def _unfollow(self) -> None:
        for display, tag in self._observations:
            display.RemoveObserver(tag)
        self._observations = []
        self._swipe.hide()

    def _label(self) -> None:
        flicker = _("Original (X changes)") if self._isOriginalShown else _("Restored (X changes)")
        labels = {
            ORIGINAL_VIEW: _("Original"),
            RESTORED_VIEW: _("Restored"),
            DIFFERENCE_VIEW: _("Restored minus original"),
            SINGLE_VIEW: flicker if self.mode is Mode.FLICKER else _("Original | Restored"),
        }
        for name in self.mode.viewNames:
            self._sliceNode(name).SetLayoutLabel(labels[name])


def _copyWindow(display, other) -> None:
    pair = np.array([display.GetWindow(), display.GetLevel()])
    if not np.allclose(pair, [other.GetWindow(), other.GetLevel()]):
        other.AutoWindowLevelOff()
        other.SetWindowLevel(*pair)

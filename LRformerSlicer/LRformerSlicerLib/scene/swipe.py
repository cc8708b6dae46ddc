"""The swipe: one volume drawn over another right of a line, in one slice view.

The view itself shows the original.  A slice layer of our own, of the same slice node, reslices the restored volume,
and a 2-D actor in the view's renderer draws the part of it that lies right of the line; an overlay is blended in as
the view blends its own.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from LRformerSlicerLib.scene.line_drag import LineDrag

LINE_COLOR = (1.0, 0.85, 0.2)


class Swipe:
    """Draws into the slice view that it is told, until it is hidden.

    onDragged(share): the user has moved the line with the mouse; whoever made the swipe then calls setShare.
    """

    def __init__(self, onDragged: Callable[[float], None]) -> None:
        self._share = 0.5
        self._drag = LineDrag(self._linePlace, lambda x: onDragged(min(max(x / self._columns(), 0.0), 1.0)))
        self._view = None
        self._logic = None
        self._layer = None
        self._observations: list[tuple] = []
        self._blend = vtk.vtkImageBlend()
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._mapper.UseCustomExtentsOn()
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._line = vtk.vtkLineSource()
        lineMapper = vtk.vtkPolyDataMapper2D()
        lineMapper.SetInputConnection(self._line.GetOutputPort())
        self._lineActor = vtk.vtkActor2D()
        self._lineActor.SetMapper(lineMapper)
        self._lineActor.GetProperty().SetColor(*LINE_COLOR)
        self._lineActor.GetProperty().SetLineWidth(2)

    def show(self, viewName: str, volumeNode) -> None:
        """Draw `volumeNode` right of the line in the slice view with this layout name."""
        self.hide()
        widget = slicer.app.layoutManager().sliceWidget(viewName)
        self._view, self._logic = widget.sliceView(), widget.sliceLogic()
        self._layer = slicer.vtkMRMLSliceLayerLogic()
        self._layer.SetMRMLScene(slicer.mrmlScene)
        self._layer.SetSliceNode(widget.mrmlSliceNode())
        self._layer.SetVolumeNode(volumeNode)
        renderer = self._renderer()
        renderer.AddViewProp(self._actor)
        renderer.AddViewProp(self._lineActor)
        for caller in (self._logic, self._layer, widget.mrmlSliceNode()):
            tag = caller.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.update())
            self._observations.append((caller, tag))
        self._drag.start(self._view.interactor())
        self.update()

    def hide(self) -> None:
        """Leave nothing in the view."""
        self._drag.stop()
        for caller, tag in self._observations:
            caller.RemoveObserver(tag)
        self._observations = []
        if self._view is not None:
            renderer = self._renderer()
            if renderer is not None:
                renderer.RemoveViewProp(self._actor)
                renderer.RemoveViewProp(self._lineActor)
            self._view.scheduleRender()
        if self._layer is not None:
            self._layer.SetVolumeNode(None)
            self._layer.SetMRMLScene(None)
        self._view = self._logic = self._layer = None

    def setShare(self, share: float) -> None:
        """Where the line stands, 0 (left edge) to 1 (right edge)."""
        self._share = min(max(share, 0.0), 1.0)
        self.update()

    def update(self) -> None:
        """Draw again: line, slice or overlay have changed."""
        if self._view is None:
            return
        self._blend.RemoveAllInputs()
        self._blend.AddInputConnection(self._layer.GetImageDataConnection())
        composite = self._logic.GetSliceCompositeNode()
        overlays = (
            (composite.GetForegroundVolumeID(), self._logic.GetForegroundLayer(), composite.GetForegroundOpacity()),
            (composite.GetLabelVolumeID(), self._logic.GetLabelLayer(), composite.GetLabelOpacity()),
        )
        for volumeId, layer, opacity in overlays:
            if volumeId and layer is not None and layer.GetImageDataConnection() is not None:
                self._blend.AddInputConnection(layer.GetImageDataConnection())
                self._blend.SetOpacity(self._blend.GetNumberOfInputConnections(0) - 1, opacity)
        self._mapper.SetInputConnection(self._blend.GetOutputPort())
        columns, rows, _depth = self._layer.GetSliceNode().GetDimensions()
        left = self._linePlace()
        # The mapper wants the part of the picture, and the actor where that part begins.
        self._mapper.SetCustomDisplayExtents((left, columns - 1, 0, rows - 1))
        self._actor.GetPositionCoordinate().SetCoordinateSystemToDisplay()
        self._actor.SetPosition(left, 0)
        self._line.SetPoint1(left, 0, 0)
        self._line.SetPoint2(left, rows, 0)
        self._view.scheduleRender()

    def _columns(self) -> int:
        return self._layer.GetSliceNode().GetDimensions()[0]

    def _linePlace(self) -> int:
        """The first column of the restored volume's part."""
        return min(max(round(self._share * self._columns()), 0), self._columns() - 1)

    def _renderer(self):
        return self._view.renderWindow().GetRenderers().GetFirstRenderer()

"""Slice views and the layout manager, on Slicer's own logics.

Real: slice logics (reslicing, window/level, blending), the layout logic with its layout descriptions, linked views, the
colour legend.  Emulated: the Qt widgets around them; a slice view is a picture of an off-screen render window.  3-D
views are an empty frame.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support
from PySide6 import QtCore, QtGui, QtWidgets

DISPLAYABLE_MANAGERS = ("vtkMRMLColorLegendDisplayableManager", "vtkMRMLMarkupsDisplayableManager")
BAR_HEIGHT_PIXELS = 22


class SliceView(QtWidgets.QWidget):
    """What the slice widget's ``sliceView()`` gives: the picture of one slice node."""

    def __init__(self, sliceNode, sliceLogic):
        super().__init__()
        self._sliceNode, self._sliceLogic = sliceNode, sliceLogic
        self.setMinimumSize(60, 60)
        self._renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self._renderer)
        # As in Slicer, what displayable managers draw (Markups, legends) lies in a renderer above the slice's picture.
        overlay = vtk.vtkRenderer()
        overlay.SetLayer(1)
        overlay.GetActiveCamera().ParallelProjectionOn()
        self._window.SetNumberOfLayers(2)
        self._window.AddRenderer(overlay)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.SetInteractorStyle(None)  # VTK's own would turn a camera
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self._mapper = mapper
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(mapper)
        self._renderer.AddViewProp(self._actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(sliceLogic.GetMRMLApplicationLogic())
        for name in DISPLAYABLE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers = factory.InstantiateDisplayableManagers(overlay)
        self._managers.SetMRMLDisplayableNode(sliceNode)
        for caller, event in (
            (sliceLogic, vtk.vtkCommand.ModifiedEvent),
            (self._managers, vtk.vtkCommand.UpdateEvent),
        ):
            caller.AddObserver(event, lambda *_: self.update())
        self._fit()

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def scheduleRender(self):
        self.update()

    def forceRender(self):
        self.pixels()

    def pixels(self) -> np.ndarray:
        """What the view shows now, (rows, columns, 3) uint8, first row on top."""
        self._fit()
        # As in Slicer, a view without a volume has no image, and the mapper must not ask for one.
        hasImage = self._sliceLogic.GetImageDataConnection() is not None
        self._actor.SetVisibility(hasImage)
        if hasImage:
            self._mapper.SetInputConnection(self._sliceLogic.GetImageDataConnection())
        self._window.Render()
        width, height = self._window.GetSize()
        values = vtk.vtkUnsignedCharArray()
        self._window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, values)
        picture = vtk.util.numpy_support.vtk_to_numpy(values).reshape(height, width, 4)
        return np.ascontiguousarray(picture[::-1, :, :3])

    def paintEvent(self, _event):
        pixels = self.pixels()
        rows, columns = pixels.shape[:2]
        image = QtGui.QImage(pixels.data, columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888)
        painter = QtGui.QPainter(self)
        painter.drawImage(0, 0, image)
        painter.end()

    def resizeEvent(self, _event):
        self._fit()

    def mousePressEvent(self, event):
        self._passOn(event, "LeftButtonPressEvent")

    def mouseMoveEvent(self, event):
        self._passOn(event, "MouseMoveEvent")

    def mouseReleaseEvent(self, event):
        self._passOn(event, "LeftButtonReleaseEvent")

    def _passOn(self, event, name):
        """To the interactor, whose pixels count from the bottom; no mouse function of Slicer's own listens there."""
        place = event.position().toPoint()
        self._interactor.SetEventPosition(place.x(), self.height - 1 - place.y())
        self._interactor.InvokeEvent(name)

    def _fit(self):
        """The node's pixel dimensions follow the widget's, and its field of view keeps square pixels."""
        columns, rows = max(self.width, 2), max(self.height, 2)
        if self._window.GetSize() != (columns, rows):
            self._window.SetSize(columns, rows)
        if tuple(self._sliceNode.GetDimensions())[:2] != (columns, rows):
            self._sliceLogic.ResizeSliceNode(columns, rows)


class SliceWidget(QtWidgets.QWidget):
    """``qMRMLSliceWidget``: a bar with the view's name and its offset above the view."""

    def __init__(self, sliceNode, applicationLogic):
        super().__init__()
        self._sliceNode = sliceNode
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._logic.SetSliceNode(sliceNode)
        applicationLogic.GetSliceLogics().AddItem(self._logic)
        self._bar = QtWidgets.QLabel()
        self._bar.setFixedHeight(BAR_HEIGHT_PIXELS)
        red, green, blue = (int(255 * part) for part in sliceNode.GetLayoutColor())
        self._bar.setStyleSheet(f"background: rgb({red},{green},{blue}); color: black; padding-left: 6px;")
        self._view = SliceView(sliceNode, self._logic)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._bar)
        layout.addWidget(self._view)
        sliceNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._showOffset())
        self._showOffset()

    def sliceLogic(self):
        return self._logic

    def sliceView(self):
        return self._view

    def mrmlSliceNode(self):
        return self._sliceNode

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def _showOffset(self):
        node = self._sliceNode
        offset = self._logic.GetSliceOffset()
        name = node.GetLayoutLabel() or node.GetLayoutName()
        self._bar.text = f"{name}   {node.GetOrientation()}   {offset:.1f} mm"
        self._view.update()


class LayoutManager(QtCore.QObject):
    """``slicer.app.layoutManager()``: builds what the layout node's description says."""

    def __init__(self, applicationLogic, parentWidget):
        super().__init__()
        self._applicationLogic = applicationLogic
        self._parent = parentWidget
        self._box = QtWidgets.QVBoxLayout(parentWidget)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._root = None
        self._sliceWidgets = {}
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        node = self._logic.GetLayoutNode()
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._build())
        self._built = None
        self._build()

    @property
    def layout(self):
        return self._logic.GetLayoutNode().GetViewArrangement()

    @layout.setter
    def layout(self, number):
        self.setLayout(number)

    def setLayout(self, number):
        self._logic.GetLayoutNode().SetViewArrangement(number)

    def layoutLogic(self):
        return self._logic

    def sliceViewNames(self):
        return tuple(self._sliceWidgets)

    def sliceWidget(self, name):
        return self._sliceWidgets.get(name)

    def _build(self):
        node = self._logic.GetLayoutNode()
        if self._built == node.GetViewArrangement() or node.GetLayoutRootElement() is None:
            return  # the second: while the scene is closed
        self._built = node.GetViewArrangement()
        for widget in self._sliceWidgets.values():
            widget.setParent(None)
            widget.mrmlSliceNode().SetMappedInLayout(False)
        if self._root is not None:
            self._root.setParent(None)
            self._root.deleteLater()
        self._root = self._widgetOf(node.GetLayoutRootElement())
        self._box.addWidget(self._root)

    def _widgetOf(self, element):
        if element.GetName() == "view":
            return self._viewOf(element)
        isVertical = (element.GetAttribute("type") or "vertical") == "vertical"
        splitter = QtWidgets.QSplitter(
            QtCore.Qt.Orientation.Vertical if isVertical else QtCore.Qt.Orientation.Horizontal
        )
        for index in range(element.GetNumberOfNestedElements()):
            item = element.GetNestedElement(index)
            for child in range(item.GetNumberOfNestedElements()):
                splitter.addWidget(self._widgetOf(item.GetNestedElement(child)))
        splitter.setSizes([10000] * splitter.count())
        return splitter

    def _viewOf(self, element):
        if element.GetAttribute("class") != "vtkMRMLSliceNode":
            frame = QtWidgets.QLabel("3-D view: not in the test host")
            frame.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
            frame.setMinimumSize(60, 60)
            return frame
        node = self._logic.GetViewFromElement(element)
        name = node.GetLayoutName()
        if name not in self._sliceWidgets:
            self._sliceWidgets[name] = SliceWidget(node, self._applicationLogic)
        node.SetMappedInLayout(True)
        return self._sliceWidgets[name]

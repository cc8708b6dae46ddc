"""What holds a panel, the loader of .ui files, and the file dialogs."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import slicer
from PySide6 import QtCore, QtUiTools, QtWidgets

from SlicerHost import ctk_widgets, pythonqt
from SlicerHost.node_combo_box import qMRMLNodeComboBox


class qMRMLWidget(QtWidgets.QWidget):
    """A widget with a scene that it hands on."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


SLICER_CLASSES = (qMRMLWidget, qMRMLNodeComboBox)


class FileDialog:
    """``qt.QFileDialog``: nobody is there to choose a file."""

    @staticmethod
    def getSaveFileName(parent, title, name, filters):
        return ""

    @staticmethod
    def getOpenFileName(parent, title, folder, filters):
        return ""

    @staticmethod
    def getExistingDirectory(parent, title, folder):
        return ""


class UiLoader:
    """``qt.QUiLoader`` that knows Slicer's widgets and makes the scene connections that the .ui file asks for."""

    SCENE_SIGNAL = "mrmlSceneChanged(vtkMRMLScene*)"
    SCENE_SLOT = "setMRMLScene(vtkMRMLScene*)"

    def load(self, file):
        # Qt cannot make connections of MRML types between Python widgets: they are taken out and made here.
        root = ElementTree.fromstring(file.readAll().data())
        connections = root.find("connections")
        wanted = [] if connections is None else list(connections)
        if connections is not None:
            root.remove(connections)
        loader = QtUiTools.QUiLoader()
        for cls in (*SLICER_CLASSES, *ctk_widgets.CLASSES):
            loader.registerCustomWidget(cls)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = loader.load(buffer)
        if widget is None:
            raise RuntimeError(loader.errorString())
        for connection in wanted:
            if (connection.findtext("signal"), connection.findtext("slot")) != (self.SCENE_SIGNAL, self.SCENE_SLOT):
                raise ValueError(f"SlicerHost knows no connection {connection.findtext('signal')}")
            sender, receiver = (_widgetNamed(widget, connection.findtext(end)) for end in ("sender", "receiver"))
            sender.mrmlSceneChanged.connect(receiver.setMRMLScene)
        for child in (widget, *widget.findChildren(QtWidgets.QWidget)):
            pythonqt.wrapToolTip(child)
        return widget


def _widgetNamed(root, name):
    if root.property("objectName") == name:
        return root
    child = root.findChild(QtWidgets.QWidget, name)
    if child is None:
        raise ValueError(f"The .ui file connects {name}, which it does not hold")
    return child


def install(qt) -> None:
    """Add the widgets to ``slicer`` and the loader to ``qt``."""
    for cls in SLICER_CLASSES:
        setattr(slicer, cls.__name__, cls)
    qt.QUiLoader = UiLoader
    qt.QFileDialog = FileDialog

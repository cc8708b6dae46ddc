"""Stand-ins for Slicer's own widgets, bound to the real scene, and the loader that puts them into a .ui file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import slicer
from PySide6 import QtCore, QtUiTools, QtWidgets


class qMRMLWidget(QtWidgets.QWidget):
    """A widget with a scene that it hands on; `isEntered` says whether its module is open."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self.isEntered = False
        self._scene = None

    def setMRMLScene(self, scene):
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """The nodes of some classes in the scene, as a list that follows the scene; has none before setMRMLScene."""

    currentNodeChanged = QtCore.Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._properties = {
            "nodeTypes": [],
            "showChildNodeTypes": True,
            "noneEnabled": False,
            "addEnabled": True,
            "removeEnabled": True,
        }
        self._scene = None
        self._observations = []
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.currentIndexChanged.connect(self._onIndexChanged)
        self._lastEmittedId = None
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._comboBox)

    def _makeProperty(name, qtType):  # noqa: N805  used in the class body only
        def setter(self, value):
            self._properties[name] = list(value) if isinstance(value, (list, tuple)) else value
            self._refill()

        return QtCore.Property(qtType, lambda self: self._properties[name], setter)

    nodeTypes = _makeProperty("nodeTypes", "QStringList")
    showChildNodeTypes = _makeProperty("showChildNodeTypes", bool)
    noneEnabled = _makeProperty("noneEnabled", bool)
    addEnabled = _makeProperty("addEnabled", bool)
    removeEnabled = _makeProperty("removeEnabled", bool)

    def setMRMLScene(self, scene):
        for observation in self._observations:
            self._scene.RemoveObserver(observation)
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent) if scene else ()
        self._observations = [scene.AddObserver(event, lambda caller, event: self._refill()) for event in events]
        self._refill()

    def currentNode(self):
        nodeId = self._comboBox.currentData
        return self._scene.GetNodeByID(nodeId) if self._scene and nodeId else None

    def setCurrentNode(self, node):
        index = self._comboBox.findData(node.GetID()) if node is not None else self._comboBox.findData("")
        self._comboBox.setCurrentIndex(index)

    def nodeCount(self):
        return sum(1 for index in range(self._comboBox.count) if self._comboBox.itemData(index))

    def _refill(self):
        currentId = self._comboBox.currentData
        self._comboBox.blockSignals(True)
        self._comboBox.clear()
        if self._properties["noneEnabled"]:
            self._comboBox.addItem("None", "")
        for node in self._nodes():
            self._comboBox.addItem(node.GetName(), node.GetID())
        index = self._comboBox.findData(currentId) if currentId else -1
        self._comboBox.setCurrentIndex(index if index >= 0 else min(0, self._comboBox.count - 1))
        self._comboBox.blockSignals(False)
        self._onIndexChanged(0)

    def _nodes(self):
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        isChildShown = self._properties["showChildNodeTypes"]
        return [
            node
            for node in nodes
            if not node.GetHideFromEditors()
            and any(
                node.IsA(cls) if isChildShown else node.GetClassName() == cls for cls in self._properties["nodeTypes"]
            )
        ]

    def _onIndexChanged(self, _index):
        nodeId = self._comboBox.currentData or None
        if nodeId != self._lastEmittedId:
            self._lastEmittedId = nodeId
            self.currentNodeChanged.emit(self.currentNode())


WIDGET_CLASSES = (qMRMLWidget, qMRMLNodeComboBox)


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
        for cls in WIDGET_CLASSES:
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
    for cls in WIDGET_CLASSES:
        setattr(slicer, cls.__name__, cls)
    qt.QUiLoader = UiLoader

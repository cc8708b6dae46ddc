"""Stand-ins for Slicer's own widgets, bound to the real scene, and the loader that puts them into a .ui file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import slicer
from PySide6 import QtCore, QtUiTools, QtWidgets


class ConnectsBySignature:
    """``widget.connect("signal(args)", slot)`` for the stand-ins; SIGNATURES are the signals of Slicer's class."""

    SIGNATURES: tuple[str, ...] = ()

    def __getattribute__(self, name):
        # PySide6 finds its own connect before it looks into the class.
        if name in ("connect", "disconnect"):

            def bySignature(signature, slot):
                if signature not in type(self).SIGNATURES:
                    raise ValueError(f"{type(self).__name__} has no signal {signature}")
                getattr(getattr(self, signature[: signature.index("(")]), name)(slot)
                return True

            return bySignature
        return super().__getattribute__(name)


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


class qMRMLSortFilterProxyModel:
    """Which nodes a combo box leaves out; onChanged is called when that changes."""

    def __init__(self, onChanged):
        self._hiddenNodeIDs = ()
        self._onChanged = onChanged

    @property
    def hiddenNodeIDs(self):
        return self._hiddenNodeIDs

    @hiddenNodeIDs.setter
    def hiddenNodeIDs(self, nodeIDs):
        self._hiddenNodeIDs = tuple(nodeIDs)
        self._onChanged()


class qMRMLNodeComboBox(ConnectsBySignature, QtWidgets.QWidget):
    """The nodes of some classes in the scene, as a list that follows the scene; has none before setMRMLScene."""

    currentNodeChanged = QtCore.Signal(object)
    SIGNATURES = ("currentNodeChanged(vtkMRMLNode*)",)

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
        self._filter = qMRMLSortFilterProxyModel(self._refill)
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

    def sortFilterProxyModel(self):
        return self._filter

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
            and node.GetID() not in self._filter.hiddenNodeIDs
            and any(
                node.IsA(cls) if isChildShown else node.GetClassName() == cls for cls in self._properties["nodeTypes"]
            )
        ]

    def _onIndexChanged(self, _index):
        nodeId = self._comboBox.currentData or None
        if nodeId != self._lastEmittedId:
            self._lastEmittedId = nodeId
            self.currentNodeChanged.emit(self.currentNode())


class ctkCollapsibleButton(ConnectsBySignature, QtWidgets.QWidget):
    """A title that shows and hides what lies under it."""

    contentsCollapsed = QtCore.Signal(bool)
    SIGNATURES = ("contentsCollapsed(bool)",)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._title = QtWidgets.QPushButton(self)
        self._title.setObjectName("")
        self._title.setStyleSheet("text-align: left; padding: 3px;")
        self._title.clicked.connect(lambda *_: self._setCollapsed(not self._isCollapsed))
        self._isCollapsed = self._isForcing = False
        self._words = ""
        self.setContentsMargins(0, self._title.sizeHint().height() + 2, 0, 0)

    def resizeEvent(self, event):
        self._title.setGeometry(0, 0, self.width, self._title.sizeHint().height())

    def childEvent(self, event):
        if event.added():
            event.child().installEventFilter(self)

    def eventFilter(self, child, event):
        kinds = {QtCore.QEvent.Type.ShowToParent: True, QtCore.QEvent.Type.HideToParent: False}
        if event.type() in kinds and not self._isForcing:
            child.setProperty("visibilityToParent", kinds[event.type()])
        return False

    def _setCollapsed(self, isCollapsed):
        self._isCollapsed = bool(isCollapsed)
        self._showTitle()
        self._isForcing = True
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly):
            if child is not self._title:
                child.setVisible(not self._isCollapsed and child.property("visibilityToParent") is not False)
        self._isForcing = False
        self.setMaximumHeight(self._title.sizeHint().height() + 2 if self._isCollapsed else 16777215)
        self.contentsCollapsed.emit(self._isCollapsed)

    def showEvent(self, event):
        self._setCollapsed(self._isCollapsed)

    def _setText(self, words):
        self._words = words
        self._showTitle()

    def _showTitle(self):
        self._title.text = f"{chr(0x25B8) if self._isCollapsed else chr(0x25BE)}  {self._words}"

    text = QtCore.Property(str, lambda self: self._words, _setText)
    collapsed = QtCore.Property(bool, lambda self: self._isCollapsed, _setCollapsed)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with its number beside it."""

    valueChanged = QtCore.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        self._number = QtWidgets.QDoubleSpinBox()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._number)
        self._number.setRange(0, 99)
        self._number.valueChanged.connect(self._onNumber)
        self._slider.valueChanged.connect(self._onSlider)

    def _onNumber(self, value):
        low, high = self._number.minimum, self._number.maximum
        self._slider.blockSignals(True)
        self._slider.setValue(round(1000 * (value - low) / max(high - low, 1e-9)))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _onSlider(self, place):
        low, high = self._number.minimum, self._number.maximum
        self._number.setValue(low + place / 1000 * (high - low))

    def _ofNumber(name, qtType):  # noqa: N805  used in the class body only
        return QtCore.Property(
            qtType, lambda self: getattr(self._number, name), lambda self, value: setattr(self._number, name, value)
        )

    value = _ofNumber("value", float)
    minimum = _ofNumber("minimum", float)
    maximum = _ofNumber("maximum", float)
    singleStep = _ofNumber("singleStep", float)
    decimals = _ofNumber("decimals", int)
    suffix = _ofNumber("suffix", str)


WIDGET_CLASSES = (qMRMLWidget, qMRMLNodeComboBox, ctkCollapsibleButton, ctkSliderWidget)


class FileDialog:
    """``qt.QFileDialog``: the functions that ask, answered by what the test put into `answers`."""

    answers: list[str] = []

    @classmethod
    def getSaveFileName(cls, parent, title, name, filters):
        return cls.answers.pop(0) if cls.answers else ""

    @classmethod
    def getOpenFileName(cls, parent, title, folder, filters):
        return cls.answers.pop(0) if cls.answers else ""

    @classmethod
    def getExistingDirectory(cls, parent, title, folder):
        return cls.answers.pop(0) if cls.answers else ""


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
    qt.QFileDialog = FileDialog

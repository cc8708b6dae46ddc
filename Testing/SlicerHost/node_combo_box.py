"""Stand-in for qMRMLNodeComboBox: a real QComboBox on a model that follows the real scene row by row.

Which node is chosen when one is added or deleted is decided by Qt's own combo box, as in Slicer.
"""

from __future__ import annotations

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from SlicerHost.connecting import ConnectsBySignature, Signature

NODE_ID = QtCore.Qt.ItemDataRole.UserRole


class qMRMLSortFilterProxyModel:
    """The filter of a combo box: IDs of nodes that are left out; onChanged is called when that changes."""

    def __init__(self, onChanged):
        self._hiddenNodeIDs = ()
        self._onChanged = onChanged

    def _setHiddenNodeIDs(self, nodeIDs):
        if tuple(nodeIDs) != self._hiddenNodeIDs:
            self._hiddenNodeIDs = tuple(nodeIDs)
            self._onChanged()

    hiddenNodeIDs = property(lambda self: self._hiddenNodeIDs, _setHiddenNodeIDs)


class qMRMLNodeComboBox(ConnectsBySignature, QtWidgets.QWidget):
    """The nodes of some classes in the scene; disabled and empty before setMRMLScene.

    Rows: None (if enabled), the nodes in the scene's order, what creates or deletes nodes (if enabled; shown only).
    """

    currentNodeChanged = QtCore.Signal(object)
    currentNodeValid = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    SIGNATURES = (
        Signature("currentNodeChanged(vtkMRMLNode*)"),
        Signature("currentNodeChanged(bool)", "currentNodeValid"),
        *map(Signature, ("currentNodeIDChanged(QString)", "nodeActivated(vtkMRMLNode*)", "nodeAdded(vtkMRMLNode*)")),
        *map(Signature, ("nodeAddedByUser(vtkMRMLNode*)", "nodeAboutToBeRemoved(vtkMRMLNode*)")),
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._properties = {
            "nodeTypes": (),
            "hideChildNodeTypes": (),
            "showChildNodeTypes": True,
            "showHidden": False,
            "noneEnabled": False,
            "noneDisplay": "None",
            "addEnabled": True,
            "removeEnabled": True,
            "editEnabled": False,
            "renameEnabled": False,
            "selectNodeUponCreation": True,
        }
        self._attributes = {}
        self._filter = qMRMLSortFilterProxyModel(self._refilter)
        self._scene, self._requested, self._isSwitching = None, None, False
        self._observations, self._nodeObservations = [], {}
        self._model = QtGui.QStandardItemModel(self)
        self._comboBox = QtWidgets.QComboBox()
        self._comboBox.setModel(self._model)
        # Of the text: between two nodes of one name Qt 6 tells nothing.
        self._comboBox.currentTextChanged.connect(lambda _text: self._tell())
        self._comboBox.activated.connect(self._onActivated)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._comboBox)
        kinds = QtWidgets.QSizePolicy.Policy, QtWidgets.QSizePolicy.ControlType.ComboBox
        self.setSizePolicy(QtWidgets.QSizePolicy(kinds[0].Preferred, kinds[0].Fixed, kinds[1]))
        self.setEnabled(False)

    def _makeProperty(name, qtType):  # noqa: N805  used in the class body only
        def setter(self, value):
            self._properties[name] = tuple(one for one in value if one) if qtType == "QStringList" else value
            self._refilter()

        return QtCore.Property(qtType, lambda self: self._properties[name], setter)

    nodeTypes = _makeProperty("nodeTypes", "QStringList")
    hideChildNodeTypes = _makeProperty("hideChildNodeTypes", "QStringList")
    showChildNodeTypes = _makeProperty("showChildNodeTypes", bool)
    showHidden = _makeProperty("showHidden", bool)
    noneEnabled = _makeProperty("noneEnabled", bool)
    noneDisplay = _makeProperty("noneDisplay", str)
    addEnabled = _makeProperty("addEnabled", bool)
    removeEnabled = _makeProperty("removeEnabled", bool)
    editEnabled = _makeProperty("editEnabled", bool)
    renameEnabled = _makeProperty("renameEnabled", bool)
    selectNodeUponCreation = _makeProperty("selectNodeUponCreation", bool)

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        for observation in self._observations:
            self._scene.RemoveObserver(observation)
        self._observations = []
        before, hadNodes = self._currentId(), self.nodeCount() > 0
        self._scene = scene
        self._isSwitching = True
        self._fill()
        if scene is not None:
            self._observe(scene)
        # Without None the first node is chosen.
        wanted = before if hadNodes else self._requested or self._idOf(0)
        self._requested = None
        self._choose(wanted)
        self.setEnabled(scene is not None)
        self._isSwitching = False
        self._tell()

    def mrmlScene(self):
        return self._scene

    def currentNode(self):
        nodeId = self._currentId()
        return self._scene.GetNodeByID(nodeId) if self._scene is not None and nodeId else None

    def _getCurrentId(self):
        node = self.currentNode()
        return node.GetID() if node is not None else ""

    def setCurrentNodeID(self, nodeId):
        if self._scene is None:
            self._requested = nodeId
        self._choose(nodeId)

    currentNodeID = QtCore.Property(str, _getCurrentId, setCurrentNodeID)

    def setCurrentNode(self, node):
        if isinstance(node, str):
            raise TypeError("qMRMLNodeComboBox.setCurrentNode takes a node; setCurrentNodeID takes an ID")
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeIndex(self, index):
        index = index if index < self.nodeCount() else -1
        self._comboBox.setCurrentIndex(index + self._firstRow())

    def sortFilterProxyModel(self):
        return self._filter

    def nodeCount(self):
        return len(self._nodeRows()) if self._scene is not None else 0

    def nodeFromIndex(self, index):
        rows = self._nodeRows()
        inside = 0 <= index < len(rows)
        return self._scene.GetNodeByID(self._model.item(rows[index]).data(NODE_ID)) if inside else None

    def addAttribute(self, nodeType, name, value=None):
        """Offer nodes of this class only with this attribute (of this value, if one is given)."""
        if nodeType in self._properties["nodeTypes"]:
            self._attributes[nodeType] = name, value
            self._refilter()

    def removeAttribute(self, nodeType, name):
        if self._attributes.get(nodeType, ("",))[0] == name:
            del self._attributes[nodeType]
            self._refilter()

    def addNode(self, nodeType=""):
        """What "Create new ..." does: nodeTypes[0] where no class is named."""
        node = self._scene.AddNewNodeByClass(nodeType or self._properties["nodeTypes"][0])
        if self._properties["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        self._scene.RemoveNode(self.currentNode())

    # The list

    def _observe(self, scene):
        # Priorities as Slicer's: added nodes are in the list before others hear of them, and a node that is to be
        # removed leaves the list while it is still in the scene.
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def onAdded(caller, event, node):
            if not scene.IsImporting():
                self._update(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def onAboutToBeRemoved(caller, event, node):
            if not scene.IsClosing():
                self._forget(node)

        def onReplaced(caller, event):
            self._fill()

        for event, slot, priority in (
            (scene.NodeAddedEvent, onAdded, 10.0),
            (scene.NodeAboutToBeRemovedEvent, onAboutToBeRemoved, -10.0),
            (scene.EndImportEvent, onReplaced, 0.0),
            (scene.EndCloseEvent, onReplaced, 0.0),
        ):
            self._observations.append(scene.AddObserver(event, slot, priority))

    def _fill(self):
        """All rows of nodes anew; the others stay."""
        for node, tag in self._nodeObservations.values():
            node.RemoveObserver(tag)
        self._nodeObservations = {}
        rows = self._nodeRows()
        if rows:
            self._model.removeRows(rows[0], len(rows))
        self._refilter()

    def _refilter(self):
        self._updateExtraRows()
        if self._scene is not None:
            for index in range(self._scene.GetNumberOfNodes()):
                self._update(self._scene.GetNthNode(index))
        self._chooseNoneIfGone()

    def _updateExtraRows(self):
        properties = self._properties
        none = [properties["noneDisplay"]] if properties["noneEnabled"] else []
        actions = [
            words
            for name, words in (
                ("renameEnabled", "Rename current node"),
                ("editEnabled", "Edit current node"),
                ("addEnabled", "Create new node"),
                ("removeEnabled", "Delete current node"),
            )
            if properties[name] and self._scene is not None
        ]
        rows = self._nodeRows()
        first, last = (rows[0], rows[-1] + 1) if rows else (self._firstRow(), self._firstRow())
        if [self._model.item(row).text() for row in range(last, self._model.rowCount())][1:] != actions:
            chosen = self._comboBox.currentIndex
            self._model.removeRows(last, self._model.rowCount() - last)
            for words in ["", *actions] if actions else []:
                self._model.appendRow(_extraItem(words, "postItem"))
            self._comboBox.setCurrentIndex(chosen)
        if [self._model.item(row).text() for row in range(first)] != none:
            self._model.removeRows(0, first)
            for words in none:
                self._model.insertRow(0, _extraItem(words, "preItem"))

    def _update(self, node):
        """Give `node` a row if it is to be offered, and take it away if not."""
        verdict = self._verdict(node)
        if verdict != "rejected" and node.GetID() not in self._nodeObservations:
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._onModified(caller))
            self._nodeObservations[node.GetID()] = node, tag
        row = self._rowOf(node.GetID())
        if verdict == "accepted" and row is None:
            item = QtGui.QStandardItem(node.GetName())
            item.setData(node.GetID(), NODE_ID)
            self._model.insertRow(self._placeOf(node), item)
            self.nodeAdded.emit(node)
        elif verdict == "accepted":
            if self._model.item(row).text() != node.GetName():
                self._model.item(row).setText(node.GetName())
        elif row is not None:
            self._removeRow(row)

    def _onModified(self, node):
        """The filter is applied again where the name has changed, or where it is one of attributes."""
        row = self._rowOf(node.GetID())
        if self._attributes or (row is not None and self._model.item(row).text() != node.GetName()):
            self._update(node)

    def _forget(self, node):
        _node, tag = self._nodeObservations.pop(node.GetID(), (None, None))
        if tag is not None:
            node.RemoveObserver(tag)
        row = self._rowOf(node.GetID())
        if row is not None:
            self.nodeAboutToBeRemoved.emit(node)
            self._removeRow(row)

    def _removeRow(self, row):
        self._model.removeRow(row)
        self._chooseNoneIfGone()

    def _chooseNoneIfGone(self):
        if self.currentNode() is None:
            self._choose("")

    def _verdict(self, node):
        """accepted, rejected, or rejectable: rejected, but watched, for an attribute may come."""
        properties = self._properties
        if node.GetID() in self._filter.hiddenNodeIDs:
            return "rejected"
        if node.GetHideFromEditors() and not properties["showHidden"]:
            return "rejected"
        for nodeType in properties["nodeTypes"]:
            if not node.IsA(nodeType) or not (properties["showChildNodeTypes"] or node.GetClassName() == nodeType):
                continue
            if properties["showChildNodeTypes"] and any(map(node.IsA, properties["hideChildNodeTypes"])):
                return "rejected"
            name, value = self._attributes.get(nodeType, (None, None))
            found = node.GetAttribute(name) if name is not None else None
            if name is not None and (found is None or (value is not None and found != str(value))):
                return "rejectable"
            return "accepted"
        return "rejected" if properties["nodeTypes"] else "accepted"

    def _placeOf(self, node):
        """Before the first offered node that comes later in the scene."""
        nodes = self._scene.GetNodes()
        place, rows = nodes.IsItemPresent(node), self._nodeRows()
        for row in rows:
            other = self._scene.GetNodeByID(self._model.item(row).data(NODE_ID))
            if other is not None and nodes.IsItemPresent(other) > place:
                return row
        return rows[-1] + 1 if rows else self._firstRow()

    def _firstRow(self):
        return 1 if self._model.rowCount() and self._model.item(0).data(NODE_ID) == "preItem" else 0

    def _nodeRows(self):
        ids = [self._model.item(row).data(NODE_ID) for row in range(self._model.rowCount())]
        return [row for row, nodeId in enumerate(ids) if nodeId not in ("preItem", "postItem")]

    def _rowOf(self, nodeId):
        return next((row for row in self._nodeRows() if self._model.item(row).data(NODE_ID) == nodeId), None)

    # What is chosen

    def _currentId(self):
        return self._idOf(self._comboBox.currentIndex)

    def _idOf(self, row):
        """The ID of the node in a row of the list, "" where it holds none."""
        nodeId = self._comboBox.itemData(row)
        return nodeId if nodeId not in (None, "preItem", "postItem") else ""

    def _choose(self, nodeId):
        row = self._rowOf(nodeId) if nodeId else None
        if row is None:
            self._comboBox.setCurrentIndex(0 if self._properties["noneEnabled"] else -1)
        elif row != self._comboBox.currentIndex:
            self._comboBox.setCurrentIndex(row)
            if not self._isSwitching:
                self.nodeActivated.emit(self.currentNode())

    def _tell(self):
        if self._isSwitching:
            return
        node, index = self.currentNode(), self._comboBox.currentIndex
        if node is None and index != (0 if self._properties["noneEnabled"] else -1):
            last = self.nodeFromIndex(self.nodeCount() - 1)  # never one of the actions
            if last is not None:
                self.setCurrentNode(last)
            return
        self.currentNodeChanged.emit(node)
        self.currentNodeValid.emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node is not None else "")

    def _onActivated(self, _index):
        node = self.currentNode()
        if node is not None or (self._properties["noneEnabled"] and self._comboBox.currentIndex == 0):
            self.nodeActivated.emit(node)


def _extraItem(words, kind):
    item = QtGui.QStandardItem(words)
    item.setData(kind, NODE_ID)
    flags = QtCore.Qt.ItemFlag.ItemIsEnabled
    item.setFlags(flags | QtCore.Qt.ItemFlag.ItemIsSelectable if kind == "preItem" else flags)
    return item

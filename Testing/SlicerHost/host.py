"""Puts the host together: the scene with its logics, ``slicer.app``, ``slicer.modules``, and the opened module."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import types
from pathlib import Path

from SlicerHost import pythonqt  # before anything else touches PySide6

import slicer  # isort: skip
import slicer.util  # isort: skip
from PySide6 import QtWidgets  # isort: skip
from SlicerHost import parameter_node_wrapper, scripted_module, widgets  # isort: skip


class Application:
    """``slicer.app``: as a Slicer started with --testing and --no-main-window."""

    applicationName = "SlicerHost"

    def __init__(self, qApplication, applicationLogic):
        self._qApplication = qApplication
        self._applicationLogic = applicationLogic
        self.temporaryPath = tempfile.gettempdir()

    def applicationLogic(self):
        return self._applicationLogic

    def layoutManager(self):
        return None

    def testingEnabled(self):
        return True

    def processEvents(self):
        self._qApplication.processEvents()

    def topLevelWidgets(self):
        return self._qApplication.topLevelWidgets()


class Host:
    """The running host; one a process."""

    def __init__(self):
        qt = pythonqt.makeModule()
        sys.modules["qt"] = qt
        self.qApplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["SlicerHost"])
        scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = scene
        applicationLogic = slicer.vtkMRMLApplicationLogic()
        applicationLogic.SetMRMLScene(scene)
        self._logics = {
            "Colors": slicer.vtkMRMLColorLogic(),
            "Sequences": slicer.vtkSlicerSequencesLogic(),
        }
        for name, logic in self._logics.items():
            logic.SetMRMLScene(scene)
            applicationLogic.SetModuleLogic(name, logic)
        slicer.app = Application(self.qApplication, applicationLogic)
        slicer.modules = types.SimpleNamespace()
        for name, module in (
            ("ScriptedLoadableModule", scripted_module.makeModule()),
            ("i18n", scripted_module.makeTranslationModule()),
            ("parameterNodeWrapper", parameter_node_wrapper.makeModule()),
        ):
            sys.modules[f"slicer.{name}"] = module
            setattr(slicer, name, module)
        widgets.install(qt)
        self._uncaught: list[BaseException] = []
        self._previousHook, sys.excepthook = sys.excepthook, self._onUncaught
        self._followSceneInSubjectHierarchy(scene)

    def openModule(self, path: Path):
        """Load the module file at `path` as Slicer does and open its panel; returns the module's widget object."""
        path = Path(path)
        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)

        description = types.SimpleNamespace(path=str(path))
        getattr(module, name)(description)
        setattr(slicer.modules, name.lower(), description)
        parent = slicer.qMRMLWidget()
        parent.setLayout(QtWidgets.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        widget = getattr(module, f"{name}Widget")(parent)
        widget.setup()
        parent.isEntered = True
        widget.enter()
        parent.show()
        return widget

    def closeModule(self, widget):
        """Leave the module and unload its panel.

        Raises what went wrong in slots and observers meanwhile (Qt and VTK only print it), and AttributeError for
        new attributes on Qt objects, which PythonQt would have refused.
        """
        stray = pythonqt.strayAttributes(widget.parent)
        widget.parent.isEntered = False
        widget.exit()
        widget.cleanup()
        for child in widget.parent.findChildren(slicer.qMRMLNodeComboBox):
            child.setMRMLScene(None)
        widget.parent.close()
        uncaught, self._uncaught = self._uncaught, []
        if uncaught:
            raise uncaught[0]
        if stray:
            raise AttributeError(f"PythonQt makes no new attributes on Qt objects: {', '.join(stray)}")

    def _onUncaught(self, kind, error, traceback):
        self._uncaught.append(error)
        self._previousHook(kind, error, traceback)

    def _followSceneInSubjectHierarchy(self, scene):
        """Volumes get an item when they come and lose it when they go, as Slicer's volume plugin does it."""

        # The node itself is the event's call data; VTK hands it to Python when the callback says so.
        import vtk

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def onNodeAdded(caller, event, node):
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
            if node.IsA("vtkMRMLVolumeNode") and not node.GetHideFromEditors():
                hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def onNodeRemoved(caller, event, node):
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
            item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
            if item:
                hierarchy.RemoveItem(item, False)

        scene.AddObserver(scene.NodeAddedEvent, onNodeAdded)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, onNodeRemoved)


_host: Host | None = None


def start() -> Host:
    """The host of this process, started when first asked for."""
    global _host
    if _host is None:
        _host = Host()
    return _host

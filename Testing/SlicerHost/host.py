"""Puts the host together: the scene with its logics, ``slicer.app``, ``slicer.modules``, and the opened module."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import shutil
import sys
import tempfile
import types
from pathlib import Path

from SlicerHost import pythonqt  # before anything else touches PySide6

import slicer  # isort: skip
import slicer.util  # isort: skip
import vtk  # isort: skip
from PySide6 import QtCore, QtWidgets  # isort: skip
from SlicerHost import ctk_widgets, main_window, parameter_node_wrapper, scripted_module, widgets  # isort: skip
from SlicerHost.connecting import ConnectsBySignature, Signature  # isort: skip


class ModuleManager(ConnectsBySignature, QtCore.QObject):
    """``slicer.app.moduleManager()``: tells when a module is about to be unloaded."""

    moduleAboutToBeUnloaded = QtCore.Signal(str)
    SIGNATURES = (Signature("moduleAboutToBeUnloaded(QString)"),)


class Application:
    """``slicer.app``: as a Slicer started with --testing, with no main window until one is opened."""

    applicationName = "SlicerHost"

    def __init__(self, qApplication, applicationLogic):
        self._qApplication = qApplication
        self._applicationLogic = applicationLogic
        self._moduleManager = ModuleManager()
        self.temporaryPath = tempfile.gettempdir()
        self.mainWindow = None
        self._slots = {"startupCompleted()": []}

    def connect(self, signature, slot):
        self._slots[signature].append(slot)  # KeyError: qSlicerApplication has no such signal, or none used so far
        return True

    def applicationLogic(self):
        return self._applicationLogic

    def moduleManager(self):
        return self._moduleManager

    def layoutManager(self):
        return self.mainWindow.viewsOfLayout if self.mainWindow is not None else None

    def testingEnabled(self):
        return True

    def processEvents(self):
        self._qApplication.processEvents()

    def topLevelWidgets(self):
        return self._qApplication.topLevelWidgets()


class ModuleDescription:
    """``slicer.modules.<name>``: what a module says of itself. Other attributes are refused, as PythonQt does."""

    __slots__ = (
        *("path", "name", "title", "categories", "dependencies", "contributors", "helpText", "acknowledgementText"),
        *("icon", "index", "hidden", "widgetRepresentationCreationEnabled", "_widget"),
    )

    def __init__(self, path, name):
        self.path, self.name = path, name
        self._widget = None

    def widgetRepresentation(self):
        """What holds the panel, with the panel set up in it when first asked for."""
        if self._widget is None:
            self._widget = ModuleWidget(self.name)
            self._widget.reload()
        return self._widget


class ModuleWidget(widgets.qMRMLWidget):
    """``qSlicerScriptedLoadableModuleWidget``: what holds the panel, also over a Reload."""

    def __init__(self, name):
        super().__init__()
        self._name, self._isEntered, self._panel = name, False, None
        self.setLayout(QtWidgets.QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)

    isEntered = property(lambda self: self._isEntered)

    def reload(self):
        """Make the panel, and set it up; whether the module is open does not change, and enter is not called."""
        self._panel = getattr(sys.modules[self._name], f"{self._name}Widget")(self)
        setattr(slicer.modules, f"{self._name}Widget", self._panel)
        self._call("setup")

    def enter(self):
        self._isEntered = True
        self._call("enter")

    def exit(self):
        self._isEntered = False
        self._call("exit")

    def _call(self, name):
        """As from C++: a method may be missing, and what it raises is printed and no more."""
        try:
            getattr(self._panel, name, lambda: None)()
        except Exception:
            sys.excepthook(*sys.exc_info())


class Host:
    """The running host; one a process."""

    def __init__(self):
        qt = pythonqt.makeModule()
        sys.modules["qt"] = qt
        sys.modules["ctk"] = ctk_widgets.makeModule()
        self.qApplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["SlicerHost"])
        _keepSettingsIn(tempfile.mkdtemp(prefix="SlicerHost-settings-"))
        scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = scene
        applicationLogic = slicer.vtkMRMLApplicationLogic()
        applicationLogic.SetMRMLScene(scene)
        self._logics = {
            "Colors": slicer.vtkMRMLColorLogic(),
            "Sequences": slicer.vtkSlicerSequencesLogic(),
            "Markups": slicer.vtkSlicerMarkupsLogic(),
        }
        for name, logic in self._logics.items():
            logic.SetMRMLApplicationLogic(applicationLogic)
            logic.SetMRMLScene(scene)
            applicationLogic.SetModuleLogic(name, logic)
        slicer.app = Application(self.qApplication, applicationLogic)
        scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as the module Colors does it in Slicer
        applicationLogic.SetSliceLogics(vtk.vtkCollection())
        applicationLogic.SetViewLogics(vtk.vtkCollection())
        slicer.modules = types.SimpleNamespace(
            # Not the logic of the scene: Slicer's own one wants colour files that only the application has.
            colors=types.SimpleNamespace(logic=slicer.vtkSlicerColorLogic),
            sequences=types.SimpleNamespace(logic=lambda: self._logics["Sequences"]),
        )
        slicer.util.mainWindow = lambda verbose=True: slicer.app.mainWindow
        for name, module in (
            ("ScriptedLoadableModule", scripted_module.makeModule()),
            ("i18n", scripted_module.makeTranslationModule()),
            ("parameterNodeWrapper", parameter_node_wrapper.makeModule()),
        ):
            sys.modules[f"slicer.{name}"] = module
            setattr(slicer, name, module)
        widgets.install(qt)
        self._mainWindow = None
        self._uncaught: list[BaseException] = []
        self._previousHook, sys.excepthook = sys.excepthook, self._onUncaught
        self._followSceneInSubjectHierarchy(scene)

    def openMainWindow(self, width=1920, height=1080):
        """A main window with slice views; modules opened later stand in it. Returns it."""
        # One a process, as in Slicer: a layout node serves one layout logic only.
        if self._mainWindow is None:
            self._mainWindow = main_window.MainWindow(slicer.app.applicationLogic())
        slicer.app.mainWindow = self._mainWindow
        self._mainWindow.open(width, height)
        return self._mainWindow

    def closeMainWindow(self):
        """Back to a Slicer without main window and views."""
        self._mainWindow.close()
        slicer.app.mainWindow = None

    def openModule(self, path: Path):
        """Load the module file at `path` as Slicer does and open its panel; returns the module's widget object.

        Raises what setup and enter have raised, after both, with the module closed again.
        """
        path = Path(path)
        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)

        description = ModuleDescription(str(path), name)
        getattr(module, name)(description)
        setattr(slicer.modules, name.lower(), description)
        parent = description.widgetRepresentation()
        # The order of Slicer's module panel: the panel is seen, then its module is told that it was opened.
        if slicer.app.mainWindow is not None:
            slicer.app.mainWindow.holdPanel(parent)
        parent.show()
        parent.enter()
        widget = getattr(slicer.modules, f"{name}Widget")
        if self._uncaught:
            first = self._uncaught[0]
            with contextlib.suppress(Exception):
                self.closeModule(widget)
            raise first
        return widget

    def closeModule(self, widget):
        """Leave the module and unload its panel.

        Raises what went wrong in slots and observers meanwhile, which Qt and VTK only print.
        """
        if widget.parent.isEntered:
            widget.parent.exit()
            widget.parent.hide()
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(widget.moduleName)
        for child in widget.parent.findChildren(slicer.qMRMLNodeComboBox):
            child.setMRMLScene(None)
        widget.parent.close()
        uncaught, self._uncaught = self._uncaught, []
        if uncaught:
            raise uncaught[0]

    def _onUncaught(self, kind, error, traceback):
        self._uncaught.append(error)
        self._previousHook(kind, error, traceback)

    def _followSceneInSubjectHierarchy(self, scene):
        """Volumes get an item when they come and lose it when they go, as Slicer's volume plugin does it."""

        # The node itself is the event's call data; VTK hands it to Python when the callback says so.
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


def _keepSettingsIn(folder):
    """``qt.QSettings()`` reads and writes an ini file there, as Slicer's does in its own folder."""
    atexit.register(shutil.rmtree, folder, True)
    QtCore.QCoreApplication.setOrganizationName("SlicerHost")
    QtCore.QCoreApplication.setApplicationName("SlicerHost")
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, folder)


_host: Host | None = None


def start() -> Host:
    """The host of this process, started when first asked for."""
    global _host
    if _host is None:
        _host = Host()
    return _host

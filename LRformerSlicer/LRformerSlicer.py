"""LRformer Slicer: restores low-dose CT and degraded MR volumes in a worker process.

The panel talks to the Logic, the Logic to the worker and to the scene.  Nothing here computes, and nothing here or
below imports torch: that happens in the worker only (see LRformerSlicerLib).
"""

import logging
import sys
import time
from collections.abc import Callable
from typing import Annotated

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.advanced import DEFAULTS, Advanced
from LRformerSlicerLib.panel.batch import BatchPart
from LRformerSlicerLib.panel.choices import CompareMode, Device, Orientation, OverlayMap, Prior, Task
from LRformerSlicerLib.panel.comparison import Comparison
from LRformerSlicerLib.panel.every_frame import EveryFrame
from LRformerSlicerLib.panel.input_choice import InputChoice
from LRformerSlicerLib.panel.messages import userMessage
from LRformerSlicerLib.panel.node_choice import BoundSelectors
from LRformerSlicerLib.panel.region import RegionPart
from LRformerSlicerLib.panel.report import ReportTable
from LRformerSlicerLib.panel.run_control import RunControl
from LRformerSlicerLib.panel.sections import TakingTurns
from LRformerSlicerLib.panel.self_test import SelfTest
from LRformerSlicerLib.panel.setup_state import SetupState
from LRformerSlicerLib.panel.strength import StrengthPart
from LRformerSlicerLib.scene.compare_layouts import guardUserLayout
from LRformerSlicerLib.scene.dependencies import ensureDependencies
from LRformerSlicerLib.scene.dicom_export import describeSeries, registerExporter
from LRformerSlicerLib.scene.job_folders import removeLeftJobFolders
from LRformerSlicerLib.scene.restoration_job import RestorationJob
from LRformerSlicerLib.scene.views import CursorFollower
from LRformerSlicerLib.scene.volume_input import checkInput, firstSuitableVolume
from LRformerSlicerLib.scene.volume_settings import VolumeSettings

POLL_INTERVAL_MS = 100

# Slicer binds a float to a slider only with limits, and an int to a spin box without them loses those of the .ui.
Percentage = Annotated[float, WithinRange(0.0, 100.0)]
Fraction = Annotated[float, WithinRange(0.0, 1.0)]


class LRformerSlicer(ScriptedLoadableModule):
    """What Slicer shows of the module in its lists."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("LRformer Slicer")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        self.parent.dependencies = []
        self.parent.contributors = ["LRformerSlicer contributors"]
        self.parent.helpText = _(
            "Restores CT and MR volumes: removes the noise of low-dose CT, raises the resolution of MR, removes MR "
            "artifacts. A prior from MedSAM tells the network where structures are, and how sure it is of them. "
            "For research use, not for diagnosis."
        )
        self.parent.acknowledgementText = _(
            "The method is LRformer (arXiv 2504.11286); the implementation and the weights are this project's own."
        )
        registerExporter()
        guardUserLayout()


@parameterNodeWrapper
class LRformerSlicerParameterNode:
    """What the user sets for one volume, and what its last restoration made; saved with the scene.

    strength, swipePosition and overlayOpacity are percentages, overlayThreshold is a value of the map.  report is JSON,
    frameReports a list of such reports where all frames of a sequence were restored; report is then the shown frame's.
    The names of the Volume parameters with results follow the worker's outputs (panel.choices.resultParameter).
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    everyFrame: bool = False
    task: Task = Task.AUTOMATIC
    region: slicer.vtkMRMLMarkupsROINode
    onlyRegion: bool = False
    strength: Percentage = 100.0
    compareMode: CompareMode = CompareMode.OFF
    orientation: Orientation = Orientation.AXIAL
    swipePosition: Percentage = 50.0
    overlayMap: OverlayMap = OverlayMap.NONE
    overlayOpacity: Percentage = 60.0
    overlayThreshold: Fraction = 0.05
    overlayContour: bool = False
    referenceVolume: slicer.vtkMRMLScalarVolumeNode
    device: Device = Device.AUTOMATIC
    prior: Prior = Prior.LITE_MEDSAM
    samples: Annotated[int, WithinRange(1, 64)] = 4
    seed: Annotated[int, WithinRange(0, 1_000_000)] = 0
    medsamCheckpoint: str = ""
    modelFile: str = ""
    offersResults: bool = False
    restoredVolume: slicer.vtkMRMLScalarVolumeNode
    priorVolume: slicer.vtkMRMLScalarVolumeNode
    consistencyVolume: slicer.vtkMRMLScalarVolumeNode
    uncertaintyVolume: slicer.vtkMRMLScalarVolumeNode
    differenceVolume: slicer.vtkMRMLScalarVolumeNode
    expectedErrorVolume: slicer.vtkMRMLScalarVolumeNode
    report: str = ""
    frameReports: str = ""


class LRformerSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: puts its parts together (LRformerSlicerLib.panel) and follows the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.ui = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        """Build the panel; called once, before the module is first shown, perhaps with no main window."""
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/LRformerSlicer.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = LRformerSlicerLogic()
        self.cursor = CursorFollower()
        self.setupState = SetupState(self.ui, self.showProblem)
        self.comparison = Comparison(self.ui, slicer.util.mainWindow() or self.uiWidget, self.showProblem)
        self.input = InputChoice(self.ui, self.onInputChosen, self.showProblem)
        self.run = RunControl(self.ui, self.uiWidget, self.logic, self.comparison, self.cursor, self.updatePanel)
        self.region = RegionPart(self.ui, self.cursor)
        self.strength = StrengthPart(self.ui)
        self.report = ReportTable(self.ui, self.showProblem)
        self.everyFrame = EveryFrame(self.ui, self.logic, self.run, self.updatePanel, self.onFrame)
        self.run.everyFrame = self.everyFrame
        self.batch = BatchPart(self.ui, self.logic, self.run, self.updatePanel)
        self.advanced = Advanced(self.ui, self.showProblem)
        self.selectors = BoundSelectors(
            lambda: self._parameterNode,
            {"region": self.ui.regionSelector, "referenceVolume": self.ui.referenceSelector},
        )
        self.sections = TakingTurns(self.ui.reportSection, self.ui.batchSection, self.ui.advancedSection)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.initializeParameterNode()
        if self.parent.isEntered:  # Reload builds the panel anew and does not enter it again
            self.setupState.update()

    def cleanup(self):
        """The module is unloaded or Slicer ends: no process stays behind, and the views are the user's."""
        self.logic.close()
        self.input.close()
        self.advanced.close()
        self.strength.finish()
        self.everyFrame.update(None)
        self.comparison.update(None)
        self.comparison.hideOverlay()
        self.setParameterNode(None)
        self.cursor.stop()
        self.removeObservers()

    def onReload(self):
        """The developer's button Reload: read the library's files anew, too, and not only this one."""
        for name in [name for name in sys.modules if name.split(".")[0] == "LRformerSlicerLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def enter(self):
        """The user opens the module."""
        self.initializeParameterNode()
        self.setupState.update()

    def exit(self):
        """The user leaves the module: a running restoration goes on, the views stay, the panel stops following."""
        self.strength.finish()
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """The input is about to vanish, and with it the reason to go on."""
        self.run.cancel(_("Cancelled: the scene was closed."))
        self.batch.forgetScene()
        self.comparison.forgetScene()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """The scene was closed; what the panel said of its volumes is past."""
        self.run.showStatus("")
        self.onSceneEndImport(caller, event)

    def onSceneEndImport(self, caller, event):
        """There is another scene: empty, or just read."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeRemoved(self, caller, event):
        """Something that we show may have been deleted."""
        if self._parameterNode is not None and not slicer.mrmlScene.IsClosing():
            self.updatePanel()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        """There may be one volume more to choose from."""
        if self._parameterNode is not None and node.IsA("vtkMRMLScalarVolumeNode"):
            self.batch.update()
            self.input.chooseWhenLoaded()

    def initializeParameterNode(self):
        """Follow this scene's settings, with the first volume chosen where none is."""
        self.cursor.start()
        volume = self.logic.currentInput() or firstSuitableVolume()
        self.setParameterNode(self.logic.parameterNodeOf(volume))

    def onInputChosen(self, volume):
        """Another volume: its own settings."""
        if self._parameterNode is not None:
            if not self.logic.busy:
                self.run.showStatus("")  # what stands there is of the volume before
            self.setParameterNode(self.logic.parameterNodeOf(volume))

    def setParameterNode(self, parameterNode):
        """Bind the widgets to `parameterNode` (None: to nothing)."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
            self._parameterNode = None
        if parameterNode is not None:
            self.input.updateOffered(parameterNode)
            self.input.show(parameterNode.inputVolume)
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self._parameterNode = parameterNode
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
            self.updatePanel()

    def onFrame(self):
        """The input and all that was made of it show another frame: what was computed of the one before goes."""
        self.strength.forget()
        self.comparison.redrawOverlay()
        if self._parameterNode is not None:  # else the module was left, and catches up when it is opened again
            self.updatePanel()

    def updatePanel(self, caller=None, event=None):
        """Make everything show what the parameter node says; called whenever that changes."""
        parameters = self._parameterNode
        if self.setupState.isMissing:  # Restore and Batch install, too
            self.setupState.update()
        isRestorable = self.input.update(parameters)
        self.run.update(parameters, isRestorable)
        for part in (
            self.everyFrame,
            self.batch,
            self.region,
            self.report,
            self.advanced,
            self.strength,
            self.comparison,
        ):
            part.update(parameters)

    def showProblem(self, message):
        """`message`: one sentence for the user."""
        self.run.showFailed(message)


class LRformerSlicerLogic(ScriptedLoadableModuleLogic):
    """Runs one restoration at a time in the worker process; usable without the panel.

    onProgress(event), onFinished(inputVolume, nodes, report), onPreview(node, report) and onFailed(message) are called
    from Slicer's event loop, onCancelled() by cancelRestoration; leave what you do not need.  showsResults: whether a
    restored volume becomes the one that the views show.  defaultOptions holds fields of
    restoration.options.RestorationOptions for every run that does not say otherwise, such as {"samples": 8}.
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.onProgress: Callable = lambda event: None
        self.onFinished: Callable = lambda inputVolume, nodes, report: None
        self.onPreview: Callable = lambda node, report: None
        self.onFailed: Callable = lambda message: None
        self.onCancelled: Callable = lambda: None
        self.showsResults = True
        self.defaultOptions = {}
        self._client = None
        self._job = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.poll)
        removeLeftJobFolders(slicer.app.temporaryPath)

    def getParameterNode(self):
        """The settings of the volume chosen last (LRformerSlicerParameterNode)."""
        return self.parameterNodeOf(self.currentInput())

    def currentInput(self):
        """The volume chosen last in this scene, or None."""
        return self._settings().currentInput

    def parameterNodeOf(self, inputVolume, makeCurrent=True):
        """The settings of `inputVolume`, made when first asked for; None has the defaults.

        A new volume takes over what is no matter of the volume: device, prior network, files.
        """
        return self._settings().of(inputVolume, makeCurrent)

    def _settings(self):
        return VolumeSettings(super().getParameterNode(), LRformerSlicerParameterNode, DEFAULTS)

    @property
    def busy(self):
        """Whether a restoration is running."""
        return self._job is not None

    def startRestoration(
        self,
        inputVolume,
        task=Task.AUTOMATIC,
        device=Device.AUTOMATIC,
        sliceIndex=None,
        referenceVolume=None,
        **options,
    ):
        """Check the input, ask for missing packages, start; returns at once.

        sliceIndex: restore only this slice along the acquisition's slice axis, as a preview; referenceVolume: measure
        the result against it; options: fields of restoration.options.RestorationOptions.
        Raises UserError with one sentence for the user; the scene is then untouched.
        """
        from LRformerSlicerLib.worker.client import WorkerClient

        if self.busy:
            raise UserError(_("A restoration is already running: wait for it or cancel it."))
        checkInput(inputVolume)
        ensureDependencies()
        if self._client is None:
            self._client = WorkerClient()
        allOptions = {**self.defaultOptions, "task": task.value, "device": device.value, **options}
        folder = slicer.app.temporaryPath
        job = RestorationJob(self._client, inputVolume, allOptions, folder, sliceIndex, referenceVolume)
        job.start()
        self._job = job
        self._timer.start()

    def restore(self, inputVolume, task=Task.AUTOMATIC, device=Device.AUTOMATIC, referenceVolume=None, **options):
        """Restore and wait for the end, for the Python console and for scripts; Slicer stays usable meanwhile.

        Returns (nodes, report): the result nodes by name ("restored", "prior", "uncertainty", "consistency",
        "difference", "expected_error" where the weights tell it), and the report as a dict.  The arguments are those of
        startRestoration.  Raises UserError where the volume cannot be restored, or the run fails or is cancelled.
        """
        outcome = []
        callbacks = self.onFinished, self.onFailed, self.onCancelled
        onFinished, onFailed, onCancelled = callbacks

        def keep(result, callback, *arguments):
            outcome.append(result)
            callback(*arguments)

        self.onFinished = lambda volume, nodes, report: keep((nodes, report), onFinished, volume, nodes, report)
        self.onFailed = lambda message: keep(UserError(message), onFailed, message)
        self.onCancelled = lambda: keep(UserError(_("The restoration was cancelled.")), onCancelled)
        try:
            self.startRestoration(inputVolume, task, device, None, referenceVolume, **options)
            while not outcome:
                slicer.app.processEvents()
                time.sleep(0.01)
        finally:
            self.onFinished, self.onFailed, self.onCancelled = callbacks
        if isinstance(outcome[0], UserError):
            raise outcome[0]
        return outcome[0]

    def poll(self):
        """Pass on what the worker said since the last call."""
        from LRformerSlicerLib.worker.messages import DoneEvent, ErrorEvent, ProgressEvent, WarningEvent

        if self._job is not None and self._job.inputNode.GetScene() is None:
            self._giveUp()
            self.onFailed(_("The input volume was deleted meanwhile: load it again, then restore it."))
            return
        for event in self._client.poll() if self._client is not None else []:
            if self._job is None or event.id not in ("", self._job.requestId):
                continue
            if isinstance(event, ProgressEvent):
                self.onProgress(event)
            elif isinstance(event, WarningEvent):
                logging.warning(event.message)  # the report repeats it, for those who look at the end
            elif isinstance(event, DoneEvent):
                self._finish(event.report)
            elif isinstance(event, ErrorEvent):
                if event.detail:
                    logging.error(event.detail)
                self._end().discard()
                self.onFailed(event.message)

    def cancelRestoration(self):
        """End the worker with all its processes; the scene is as it was before the start."""
        if self.busy:
            self._giveUp()
            self.onCancelled()

    def _giveUp(self):
        job = self._end()
        self._client.cancel()
        job.discard()

    def close(self):
        """Cancel what runs and end the worker."""
        self.cancelRestoration()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _end(self):
        self._timer.stop()
        job, self._job = self._job, None
        return job

    def _finish(self, report):
        job = self._end()
        try:
            nodes = job.finish()
        except Exception as error:
            self.onFailed(userMessage(error))
            return
        if job.kind == "preview":
            self.onPreview(nodes["preview"], report)
            return
        for name in nodes.keys() & {"difference", "expected_error"}:
            nodes[name].SetAttribute("LRformerSlicer.Unit", report.get("change", {}).get("unit", ""))
        describeSeries(nodes["restored"], job.inputNode, report)
        if self.showsResults:
            selection = slicer.app.applicationLogic().GetSelectionNode()
            selection.SetActiveVolumeID(nodes["restored"].GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection(0)
        self.onFinished(job.inputNode, nodes, report)


class LRformerSlicerTest(SelfTest, ScriptedLoadableModuleTest):
    """Slicer's self test; what it does stands in LRformerSlicerLib.panel.self_test."""

    def makeLogic(self):
        """A Logic of its own for one test."""
        return LRformerSlicerLogic()

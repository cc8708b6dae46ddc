"""LRformer Slicer: restores low-dose CT and degraded MR volumes in a worker process.

The panel talks to the Logic, the Logic to the worker and to the scene.  Nothing here computes, and nothing here or
below imports torch: that happens in the worker only (see LRformerSlicerLib).
"""

import json
import logging
from collections.abc import Callable

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.advanced import DEFAULTS, Advanced, optionsOf
from LRformerSlicerLib.panel.choices import CompareMode, Device, Orientation, OverlayMap, Prior, Task
from LRformerSlicerLib.panel.comparison import Comparison
from LRformerSlicerLib.panel.messages import finishedText, progressText, userMessage
from LRformerSlicerLib.panel.region import RegionPart, regionOptions
from LRformerSlicerLib.panel.report import ReportTable
from LRformerSlicerLib.panel.setup_state import SetupState
from LRformerSlicerLib.scene.dependencies import ensureDependencies
from LRformerSlicerLib.scene.recognition import acquisitionSliceAt, recognise
from LRformerSlicerLib.scene.restoration_job import RestorationJob
from LRformerSlicerLib.scene.sample_data import loadSampleVolume
from LRformerSlicerLib.scene.strength import StrengthBlend
from LRformerSlicerLib.scene.views import CursorFollower, activeSliceNode, hasViews, rasCenter
from LRformerSlicerLib.scene.volume_input import checkInput

POLL_INTERVAL_MS = 100


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


@parameterNodeWrapper
class LRformerSlicerParameterNode:
    """What the user sets for one volume, and what its last restoration made; saved with the scene.

    strength, swipePosition and overlayOpacity are percentages, overlayThreshold is a value of the map, report is JSON.
    The names of the Volume parameters with results are those of the worker's outputs.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    task: Task = Task.AUTOMATIC
    region: slicer.vtkMRMLMarkupsROINode
    onlyRegion: bool = False
    strength: float = 100.0
    compareMode: CompareMode = CompareMode.OFF
    orientation: Orientation = Orientation.AXIAL
    swipePosition: float = 50.0
    overlayMap: OverlayMap = OverlayMap.NONE
    overlayOpacity: float = 60.0
    overlayThreshold: float = 0.05
    overlayContour: bool = False
    referenceVolume: slicer.vtkMRMLScalarVolumeNode
    device: Device = Device.AUTOMATIC
    prior: Prior = Prior.LITE_MEDSAM
    samples: int = 4
    seed: int = 0
    medsamCheckpoint: str = ""
    modelFile: str = ""
    restoredVolume: slicer.vtkMRMLScalarVolumeNode
    priorVolume: slicer.vtkMRMLScalarVolumeNode
    consistencyVolume: slicer.vtkMRMLScalarVolumeNode
    uncertaintyVolume: slicer.vtkMRMLScalarVolumeNode
    differenceVolume: slicer.vtkMRMLScalarVolumeNode
    report: str = ""


class LRformerSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: puts its parts together (LRformerSlicerLib.panel) and follows the scene."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.ui = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._recognised = None
        self._isUpdating = False
        self._blend = None

    def setup(self):
        """Build the panel; called once, before the module is first shown, perhaps with no main window."""
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/LRformerSlicer.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = LRformerSlicerLogic()
        self.logic.onProgress = self.showProgress
        self.logic.onFinished = self.showFinished
        self.logic.onPreview = self.showPreview
        self.logic.onFailed = self.showFailed

        self.cursor = CursorFollower()
        self.setupState = SetupState(self.ui, self.showFailed)
        self.comparison = Comparison(self.ui, slicer.util.mainWindow() or self.uiWidget, self.showFailed)
        self.region = RegionPart(self.ui, self.cursor)
        self.report = ReportTable(self.ui, self.showFailed)
        self.advanced = Advanced(self.ui)

        self.ui.restoreButton.connect("clicked(bool)", self.onRestoreButton)
        self.ui.previewButton.connect("clicked(bool)", self.onPreviewButton)
        self.ui.sampleDataButton.connect("clicked(bool)", self.onSampleDataButton)
        self.ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onInputChanged)
        self._shortcuts = []
        for keys, slot in (("Ctrl+Return", self.onRestoreKey), ("Esc", self.onCancelKey)):
            shortcut = qt.QShortcut(qt.QKeySequence(keys), self.uiWidget)
            shortcut.connect("activated()", slot)
            self._shortcuts.append(shortcut)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    def cleanup(self):
        """The module is unloaded or Slicer ends: no process stays behind, and the views are the user's."""
        self.logic.close()
        self.comparison.update(None)
        self.comparison.hideOverlay()
        self.setParameterNode(None)
        self.cursor.stop()
        self.removeObservers()

    def enter(self):
        """The user opens the module."""
        self.initializeParameterNode()
        self.setupState.update()

    def exit(self):
        """The user leaves the module: a running restoration goes on, the views stay, the panel stops following."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """The input is about to vanish, and with it the reason to go on."""
        self.cancel(_("Cancelled: the scene was closed."))
        self.comparison.forgetScene()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """A new scene: empty, or just read."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeRemoved(self, caller, event):
        """Something that we show may have been deleted."""
        if self._parameterNode is not None and not slicer.mrmlScene.IsClosing():
            self.updatePanel()

    def initializeParameterNode(self):
        """Follow this scene's settings, with the first volume chosen where none is."""
        self.cursor.start()
        volume = self.logic.currentInput() or self.logic.firstSuitableVolume()
        self.setParameterNode(self.logic.parameterNodeOf(volume))

    def onInputChanged(self, node):
        """Another volume: its own settings."""
        if self._parameterNode is not None and not self._isUpdating:
            self.setParameterNode(self.logic.parameterNodeOf(node))

    def setParameterNode(self, parameterNode):
        """Bind the widgets to `parameterNode` (None: to nothing)."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
        self._parameterNode = parameterNode
        self._recognised = None
        if self._parameterNode is not None:
            self._isUpdating = True
            try:
                self.ui.inputSelector.setCurrentNode(parameterNode.inputVolume)
            finally:
                self._isUpdating = False
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updatePanel)
            self.updatePanel()

    def updatePanel(self, caller=None, event=None):
        """Make everything show what the parameter node says; called whenever that changes."""
        parameters, busy = self._parameterNode, self.logic.busy
        recognised = self.updateRecognition()
        ui = self.ui
        ui.restoreButton.text = _("Cancel") if busy else _("Restore")
        ui.restoreButton.enabled = busy or recognised
        ui.previewButton.enabled = not busy and recognised and hasViews()
        ui.previewButton.text = _("Hide preview") if self.comparison.preview.isShown else _("Preview this slice")
        ui.progressBar.visible = busy
        for widget in (ui.inputSelector, ui.sampleDataButton, ui.taskSelector, ui.regionSection, ui.advancedSection):
            widget.enabled = not busy
        ui.strengthSlider.enabled = parameters is not None and parameters.differenceVolume is not None
        self.region.update(parameters)
        self.report.update(parameters)
        self.advanced.update(parameters)
        self.applyStrength()
        self.comparison.update(parameters)

    def updateRecognition(self):
        """Say what the input was taken for, or why it cannot be restored; returns whether it can."""
        parameters = self._parameterNode
        volume = parameters.inputVolume if parameters is not None else None
        if volume is None:
            self._recognised = None
            self.ui.recognisedLabel.text = _("Choose a CT or MR volume.")
            return False
        image = volume.GetImageData()
        key = (volume.GetID(), image.GetMTime() if image is not None else 0, parameters.task)
        if self._recognised is None or self._recognised[0] != key:
            labels = {task.value: task.label() for task in Task}
            try:
                self.ui.recognisedLabel.text = recognise(volume, parameters.task.value, labels).line
                self._recognised = key, True
            except UserError as error:
                self.ui.recognisedLabel.text = error.message
                self._recognised = key, False
        return self._recognised[1]

    def applyStrength(self):
        """Blend original and restored volume as the slider says."""
        parameters = self._parameterNode
        if parameters is None or parameters.restoredVolume is None or parameters.differenceVolume is None:
            self._blend = None
            return
        nodes = parameters.inputVolume, parameters.restoredVolume, parameters.differenceVolume
        if self._blend is None or not self._blend.fits(*nodes):
            self._blend = StrengthBlend(*nodes)
        self._blend.apply(parameters.strength / 100)

    def onSampleDataButton(self, checked=False):
        """Load Slicer's own sample and choose it."""
        try:
            volume = loadSampleVolume()
        except UserError as error:
            self.showFailed(error.message)
            return
        self.ui.inputSelector.setCurrentNode(volume)

    def onRestoreButton(self, checked=False):
        """Restore, or Cancel while it runs."""
        if self.logic.busy:
            self.cancel(_("Cancelled. The scene is as it was."))
            return
        self.comparison.preview.hide()
        self.start(None)

    def onPreviewButton(self, checked=False):
        """Restore the slice that is seen, or take the preview away again."""
        if self.comparison.preview.isShown:
            self.comparison.preview.hide()
            self.updatePanel()
            return
        view = activeSliceNode(self.cursor.sliceNode())
        if view is None:
            self.showFailed(_("There is no slice view: choose a layout with one, then click Preview again."))
            return
        self.start(acquisitionSliceAt(self._parameterNode.inputVolume, rasCenter(view)))

    def start(self, sliceIndex):
        """Restore the volume, or with an index one slice of it."""
        self.showStatus(_("Starting..."))
        self.showBusyBar(0, 0)
        parameters = self._parameterNode
        try:
            self.logic.startRestoration(
                parameters.inputVolume,
                parameters.task,
                parameters.device,
                sliceIndex,
                parameters.referenceVolume,
                **optionsOf(parameters),
                **regionOptions(parameters),
            )
        except Exception as error:
            self.showFailed(userMessage(error))
        self.updatePanel()

    def onRestoreKey(self):
        """Ctrl+Return."""
        if not self.logic.busy and self.ui.restoreButton.enabled:
            self.onRestoreButton()

    def onCancelKey(self):
        """Esc."""
        self.cancel(_("Cancelled. The scene is as it was."))

    def cancel(self, message):
        """Give a running restoration up; says `message` if there was one."""
        if self.logic.busy:
            self.logic.cancelRestoration()
            self.showStatus(message)
            self.updatePanel()

    def showProgress(self, event):
        """`event`: worker.messages.ProgressEvent."""
        self.showBusyBar(event.done, event.total)
        self.showStatus(progressText(event))

    def showFinished(self, inputVolume, nodes, report):
        """`nodes`: name -> result node. The first result is shown side by side; later ones as the user has chosen."""
        parameters = self.logic.parameterNodeOf(inputVolume, makeCurrent=False)
        isFirst = parameters.restoredVolume is None
        with slicer.util.NodeModify(parameters.parameterNode):
            for name, node in nodes.items():
                setattr(parameters, f"{name}Volume", node)
            parameters.report = json.dumps(report)
            parameters.strength = 100.0
            if isFirst and parameters.compareMode is CompareMode.OFF and hasViews():
                parameters.compareMode = CompareMode.SIDE_BY_SIDE
        self.updatePanel()
        self.showStatus(finishedText(nodes, report))

    def showPreview(self, node, report):
        """`node`: one restored slice."""
        self.comparison.showPreview(node)
        self.updatePanel()
        self.showStatus(_("This slice, restored in {seconds:.1f} s.").format(seconds=report.get("worker_seconds", 0)))

    def showFailed(self, message):
        """`message`: one sentence; the scene is as it was."""
        self.updatePanel()
        self.showStatus(message)
        logging.error(message)

    def showBusyBar(self, done, total):
        """A total of 0 means that nobody knows how much there is to do."""
        self.ui.progressBar.maximum = total
        self.ui.progressBar.value = done

    def showStatus(self, message):
        """Show `message` under the button."""
        self.ui.statusLabel.text = message


class LRformerSlicerLogic(ScriptedLoadableModuleLogic):
    """Runs one restoration at a time in the worker process; usable without the panel.

    onProgress(event), onFinished(inputVolume, nodes, report), onPreview(node, report) and onFailed(message) are called
    from Slicer's event loop; leave what you do not need.  defaultOptions holds fields of
    restoration.options.RestorationOptions for every run that does not say otherwise, such as {"samples": 8}.
    """

    INPUT_ROLE = "LRformerSlicerInput"

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.onProgress: Callable = lambda event: None
        self.onFinished: Callable = lambda inputVolume, nodes, report: None
        self.onPreview: Callable = lambda node, report: None
        self.onFailed: Callable = lambda message: None
        self.defaultOptions = {}
        self._client = None
        self._job = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.poll)

    def getParameterNode(self):
        """The settings of the volume chosen last (LRformerSlicerParameterNode)."""
        return self.parameterNodeOf(self.currentInput())

    def currentInput(self):
        """The volume chosen last in this scene, or None."""
        return super().getParameterNode().GetNodeReference(self.INPUT_ROLE)

    def parameterNodeOf(self, inputVolume, makeCurrent=True):
        """The settings of `inputVolume`, made when first asked for; None has the defaults.

        A new volume takes over what is no matter of the volume: device, prior network, files.
        """
        chosen = super().getParameterNode()
        previous = self._settingsNode(chosen.GetNodeReference(self.INPUT_ROLE)) or chosen
        if makeCurrent and chosen.GetNodeReference(self.INPUT_ROLE) != inputVolume:
            chosen.SetNodeReferenceID(self.INPUT_ROLE, inputVolume.GetID() if inputVolume is not None else None)
        if inputVolume is None:
            return LRformerSlicerParameterNode(chosen)
        node = self._settingsNode(inputVolume)
        if node is not None:
            return LRformerSlicerParameterNode(node)
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetName(_("LRformer settings of {name}").format(name=inputVolume.GetName()))
        node.SetHideFromEditors(True)
        node = slicer.mrmlScene.AddNode(node)
        node.SetNodeReferenceID(self.INPUT_ROLE, inputVolume.GetID())
        parameters, pattern = LRformerSlicerParameterNode(node), LRformerSlicerParameterNode(previous)
        for name in DEFAULTS:
            setattr(parameters, name, getattr(pattern, name))
        parameters.inputVolume = inputVolume
        return parameters

    def _settingsNode(self, inputVolume):
        chosen = super().getParameterNode()
        if inputVolume is not None:
            for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):
                if node is not chosen and node.GetNodeReference(self.INPUT_ROLE) is inputVolume:
                    return node
        return None

    @property
    def busy(self):
        """Whether a restoration is running."""
        return self._job is not None

    def firstSuitableVolume(self):
        """The first volume in the scene that can be restored, or None."""
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            try:
                checkInput(node)
            except UserError:
                continue
            return node
        return None

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

    def poll(self):
        """Pass on what the worker said since the last call."""
        from LRformerSlicerLib.worker.messages import DoneEvent, ErrorEvent, ProgressEvent, WarningEvent

        if self._job is not None and self._job.inputNode.GetScene() is None:
            self.cancelRestoration()
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
        if self._job is not None:
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
        if "difference" in nodes:
            nodes["difference"].SetAttribute("LRformerSlicer.Unit", report.get("change", {}).get("unit", ""))
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetActiveVolumeID(nodes["restored"].GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection(0)
        self.onFinished(job.inputNode, nodes, report)


class LRformerSlicerTest(ScriptedLoadableModuleTest):
    """Self test: restores a generated phantom, overlays its uncertainty, and cancels; skips with a reason where torch
    is absent.  The phantom is generated, and not downloaded, so that the test runs anywhere.
    """

    LONGEST_RESTORATION_S = 300

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run every test of the module."""
        from LRformerSlicerLib.scene.dependencies import missingRequirements

        self.setUp()
        self.test_InputIsChecked()
        missing = missingRequirements()
        if missing:
            self.delayDisplay(f"Skipped the restoration: these Python packages are missing: {', '.join(missing)}")
            return
        self.setUp()
        self.test_Restore()
        self.setUp()
        self.test_CancelLeavesSceneAsItWas()
        if hasViews():
            self.setUp()
            self.test_OverlayLeavesViewsAsTheyWere()
        else:
            self.delayDisplay("Skipped the overlay: there are no views without a main window")
        self.delayDisplay("Test passed")

    def test_InputIsChecked(self):
        """A constant volume is refused with a sentence."""
        import numpy as np

        volume = slicer.util.addVolumeFromArray(np.zeros((3, 32, 32), np.int16))
        volume.CreateDefaultDisplayNodes()
        with self.assertRaisesRegex(UserError, "same value"):
            LRformerSlicerLogic().startRestoration(volume)

    def test_Restore(self):
        """A noisy CT phantom comes back on its own grid, less noisy, with its prior and uncertainty."""
        import numpy as np

        volume, flatRegion = self.addPhantom()
        noiseBefore = slicer.util.arrayFromVolume(volume)[flatRegion].std()
        logic = LRformerSlicerLogic()
        finished, failed = {}, []
        logic.onFinished = lambda inputVolume, nodes, report: finished.update(nodes)
        logic.onFailed = failed.append
        try:
            logic.startRestoration(volume, Task.CT_DENOISE, Device.AUTOMATIC)
            self.waitFor(lambda: finished or failed)
        finally:
            logic.close()
        self.assertEqual(failed, [])
        self.assertLessEqual({"restored", "prior", "uncertainty"}, set(finished))
        restored = slicer.util.arrayFromVolume(finished["restored"])
        self.assertEqual(restored.dtype, np.int16)
        self.assertEqual(finished["restored"].GetSpacing(), volume.GetSpacing())
        self.assertLess(restored[flatRegion].std(), noiseBefore)

    def test_CancelLeavesSceneAsItWas(self):
        """After a cancel there is no new node."""
        volume, _flatRegion = self.addPhantom()
        nodesBefore = slicer.mrmlScene.GetNumberOfNodes()
        logic = LRformerSlicerLogic()
        progress = []
        logic.onProgress = progress.append
        try:
            logic.startRestoration(volume, Task.CT_DENOISE, Device.AUTOMATIC)
            self.waitFor(lambda: progress or not logic.busy)
            self.assertTrue(logic.busy)
            logic.cancelRestoration()
        finally:
            logic.close()
        self.assertFalse(logic.busy)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodesBefore)

    def test_OverlayLeavesViewsAsTheyWere(self):
        """A map over the views, with its legend; off, the views show what they showed."""
        from LRformerSlicerLib.scene.overlay import Overlay
        from LRformerSlicerLib.scene.views import compositeNode, sliceNodes

        volume, _flatRegion = self.addPhantom()
        slicer.util.setSliceViewerLayers(background=volume)
        mapVolume = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(volume).clip(0, 100) / 100.0)
        mapVolume.CreateDefaultDisplayNodes()
        nodes = sliceNodes()
        self.assertGreater(len(nodes), 0)
        contents = [self.viewContents(compositeNode(node)) for node in nodes]
        overlay = Overlay()
        overlay.show(mapVolume, "Test map", nodes, 0.6, 0.05, False)
        for node in nodes:
            self.assertEqual(compositeNode(node).GetForegroundVolumeID(), mapVolume.GetID())
        self.assertIsNotNone(slicer.modules.colors.logic().GetColorLegendDisplayNode(mapVolume))
        overlay.hide()
        self.assertEqual([self.viewContents(compositeNode(node)) for node in nodes], contents)
        self.assertIsNone(slicer.modules.colors.logic().GetColorLegendDisplayNode(mapVolume))

    def viewContents(self, composite):
        """What a slice view shows, to be compared."""
        volumes = composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID(), composite.GetLabelVolumeID()
        return (*volumes, composite.GetForegroundOpacity(), composite.GetLabelOpacity())

    def addPhantom(self):
        """Three slices of a noisy water disc with a lesion (HU), and the index of a flat region in them."""
        import numpy as np

        rng = np.random.default_rng(0)
        y, x = np.mgrid[0:128, 0:128] - 63.5
        slices = np.where(x**2 + y**2 < 50**2, 40.0, -1000.0)
        slices[(x - 20) ** 2 + y**2 < 8**2] = 110.0
        voxels = np.repeat(slices[np.newaxis], 3, axis=0) + rng.normal(0, 40, (3, 128, 128))
        volume = slicer.util.addVolumeFromArray(voxels.clip(-1024, 3071).astype(np.int16), name="Phantom")
        volume.SetSpacing(0.8, 0.8, 3.0)
        volume.CreateDefaultDisplayNodes()
        return volume, (slice(None), slice(50, 78), slice(40, 68))

    def waitFor(self, condition):
        """Let Slicer work until `condition()` holds."""
        import time

        deadline = time.monotonic() + self.LONGEST_RESTORATION_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, "the worker did not answer in time")
            slicer.app.processEvents()
            time.sleep(0.02)

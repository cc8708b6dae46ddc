"""LRformer Slicer: restores low-dose CT and degraded MR volumes in a worker process.

The panel talks to the Logic, the Logic to the worker and to the scene.  Nothing here computes, and nothing here or
below imports torch: that happens in the worker only (see LRformerSlicerLib).
"""

import enum
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


class Task(enum.Enum):
    """What is to be restored; the values are the command line's."""

    AUTOMATIC = "auto"
    CT_DENOISE = "ct-denoise"
    MR_SUPER_RESOLUTION_2 = "mr-sr2"
    MR_SUPER_RESOLUTION_4 = "mr-sr4"
    MR_ARTIFACT = "mr-artifact"

    def label(self):
        """Text in the panel's list."""
        return {
            Task.AUTOMATIC: _("Automatic"),
            Task.CT_DENOISE: _("CT: remove low-dose noise"),
            Task.MR_SUPER_RESOLUTION_2: _("MR: double the in-plane resolution"),
            Task.MR_SUPER_RESOLUTION_4: _("MR: quadruple the in-plane resolution"),
            Task.MR_ARTIFACT: _("MR: remove motion artifacts"),
        }[self]


class Device(enum.Enum):
    """Where the network runs; the values are the command line's."""

    AUTOMATIC = "auto"
    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"

    def label(self):
        """Text in the panel's list."""
        return {
            Device.AUTOMATIC: _("Automatic"),
            Device.CUDA: _("NVIDIA graphics card (CUDA)"),
            Device.MPS: _("Apple graphics (MPS)"),
            Device.CPU: _("Processor (CPU)"),
        }[self]


@parameterNodeWrapper
class LRformerSlicerParameterNode:
    """What the user sets; saved with the scene.

    inputVolume: the volume to restore; task: what to do with it; device: where the network runs.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    task: Task = Task.AUTOMATIC
    device: Device = Device.AUTOMATIC


class LRformerSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: one input, one button that restores and, meanwhile, cancels."""

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
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/LRformerSlicer.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = LRformerSlicerLogic()
        self.logic.onProgress = self.showProgress
        self.logic.onFinished = self.showFinished
        self.logic.onFailed = self.showFailed

        self.ui.restoreButton.connect("clicked(bool)", self.onRestoreButton)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """The module is unloaded or Slicer ends: no process stays behind."""
        self.logic.close()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        """The user opens the module."""
        self.initializeParameterNode()

    def exit(self):
        """The user leaves the module: a running restoration goes on, only the panel stops following the scene."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        """The input is about to vanish, and with it the reason to go on."""
        self.cancel(_("Cancelled: the scene was closed."))
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        """A new, empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Follow this scene's parameter node, with the first volume chosen where none is."""
        self.setParameterNode(self.logic.getParameterNode())
        if self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = self.logic.firstSuitableVolume()

    def setParameterNode(self, parameterNode):
        """Bind the widgets to `parameterNode` (None: to nothing)."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButton)
        self._parameterNode = parameterNode
        if self._parameterNode is not None:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButton)
            self.updateButton()

    def updateButton(self, caller=None, event=None):
        """Restore needs an input; Cancel is always possible."""
        busy = self.logic.busy
        self.ui.restoreButton.text = _("Cancel") if busy else _("Restore")
        hasInput = self._parameterNode is not None and self._parameterNode.inputVolume is not None
        self.ui.restoreButton.enabled = busy or hasInput
        self.ui.progressBar.visible = busy
        for widget in (self.ui.inputSelector, self.ui.taskSelector, self.ui.deviceSelector):
            widget.enabled = not busy

    def onRestoreButton(self, checked=False):
        """Restore, or Cancel while it runs."""
        if self.logic.busy:
            self.cancel(_("Cancelled. The scene is as it was."))
            return
        self.showStatus(_("Starting..."))
        self.showBusyBar(0, 0)
        parameters = self._parameterNode
        try:
            self.logic.startRestoration(parameters.inputVolume, parameters.task, parameters.device)
        except Exception as error:
            self.showFailed(userMessage(error))
        self.updateButton()

    def cancel(self, message):
        """Give a running restoration up; says `message` if there was one."""
        if self.logic.busy:
            self.logic.cancelRestoration()
            self.showStatus(message)
            self.updateButton()

    def showProgress(self, event):
        """`event`: worker.messages.ProgressEvent."""
        self.showBusyBar(event.done, event.total)
        self.showStatus(progressText(event))

    def showFinished(self, nodes, report):
        """`nodes`: name -> result node."""
        self.updateButton()
        text = _("Restored as '{name}' in {seconds:.0f} s on {device}.").format(
            name=nodes["restored"].GetName(), seconds=report.get("worker_seconds", 0), device=report.get("device", "?")
        )
        self.showStatus("\n".join([text, *(str(warning) for warning in report.get("warnings", []))]))

    def showFailed(self, message):
        """`message`: one sentence; the scene is as it was."""
        self.updateButton()
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

    onProgress(event), onFinished(nodes, report) and onFailed(message) are called from Slicer's event loop; leave what
    you do not need.  defaultOptions holds fields of restoration.options.RestorationOptions for every run, such as
    {"samples": 8} or {"model": "/path/to/my.safetensors"}.
    """

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.onProgress: Callable = lambda event: None
        self.onFinished: Callable = lambda nodes, report: None
        self.onFailed: Callable = lambda message: None
        self.defaultOptions = {}
        self._client = None
        self._job = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.poll)

    def getParameterNode(self):
        """The scene's LRformerSlicerParameterNode."""
        return LRformerSlicerParameterNode(super().getParameterNode())

    @property
    def busy(self):
        """Whether a restoration is running."""
        return self._job is not None

    def firstSuitableVolume(self):
        """The first volume in the scene that can be restored, or None."""
        from LRformerSlicerLib.errors import UserError
        from LRformerSlicerLib.scene.volume_input import checkInput

        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            try:
                checkInput(node)
            except UserError:
                continue
            return node
        return None

    def startRestoration(self, inputVolume, task=Task.AUTOMATIC, device=Device.AUTOMATIC, **options):
        """Check the input, ask for missing packages, start; returns at once.

        options: as defaultOptions, for this run.
        Raises UserError with one sentence for the user; the scene is then untouched.
        """
        from LRformerSlicerLib.errors import UserError
        from LRformerSlicerLib.scene.dependencies import ensureDependencies
        from LRformerSlicerLib.scene.restoration_job import RestorationJob
        from LRformerSlicerLib.scene.volume_input import checkInput
        from LRformerSlicerLib.worker.client import WorkerClient

        if self.busy:
            raise UserError(_("A restoration is already running: wait for it or cancel it."))
        checkInput(inputVolume)
        ensureDependencies()
        if self._client is None:
            self._client = WorkerClient()
        allOptions = {**self.defaultOptions, "task": task.value, "device": device.value, **options}
        job = RestorationJob(self._client, inputVolume, allOptions, slicer.app.temporaryPath)
        job.start()
        self._job = job
        self._timer.start()

    def poll(self):
        """Pass on what the worker said since the last call."""
        from LRformerSlicerLib.worker.messages import DoneEvent, ErrorEvent, ProgressEvent, WarningEvent

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
        try:
            nodes = self._end().finish()
        except Exception as error:
            self.onFailed(userMessage(error))
            return
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetActiveVolumeID(nodes["restored"].GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection(0)
        self.onFinished(nodes, report)


def userMessage(error):
    """One sentence for the user; an error that is not meant for users goes into the log with its traceback."""
    from LRformerSlicerLib.errors import UserError

    if isinstance(error, UserError):
        return error.message
    logging.error("Restoration failed", exc_info=error)
    return _(
        "The restoration failed unexpectedly ({error}): please report it with the messages in the Python console."
    ).format(error=f"{type(error).__name__}: {error}")


def progressText(event):
    """`event` (worker.messages.ProgressEvent) as one line for a person."""
    stages = {
        "load": _("Loading the network"),
        "prior": _("Finding structures"),
        "restore": _("Restoring"),
        "write": _("Saving the result"),
    }
    text = stages.get(event.stage, event.stage.capitalize())
    if event.total > 0:
        text = _("{stage}: {done} of {total}").format(stage=text, done=event.done, total=event.total)
    if event.seconds_left is not None:
        text = _("{text}, about {seconds:.0f} s left").format(text=text, seconds=event.seconds_left)
    return text


class LRformerSlicerTest(ScriptedLoadableModuleTest):
    """Self test: restores a generated phantom, and cancels; skips with a reason where torch is absent."""

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
        self.delayDisplay("Test passed")

    def test_InputIsChecked(self):
        """A constant volume is refused with a sentence."""
        import numpy as np

        from LRformerSlicerLib.errors import UserError

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
        logic.onFinished = lambda nodes, report: finished.update(nodes)
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

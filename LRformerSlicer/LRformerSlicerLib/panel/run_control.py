"""Restore, Preview and Cancel, and what stands below them while a job runs and when it has ended."""

import json
import logging

import qt
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.panel.advanced import optionsOf
from LRformerSlicerLib.panel.choices import CompareMode, resultParameter
from LRformerSlicerLib.panel.messages import finishedText, progressText, userMessage
from LRformerSlicerLib.panel.region import regionOptions
from LRformerSlicerLib.scene.recognition import acquisitionSliceAt
from LRformerSlicerLib.scene.restoration_job import RESULTS
from LRformerSlicerLib.scene.views import activeSliceNode, hasViews, rasCenter

LOCKED_DURING_RUN = (
    *("inputSelector", "sampleDataButton", "taskSelector", "regionSection", "deviceSelector", "priorSelector"),
    *("samplesSpinBox", "seedSpinBox", "medsamLineEdit", "chooseMedsamButton", "modelLineEdit", "chooseModelButton"),
    "restoreDefaultsButton",
)
"""What the run was started with. A download goes on meanwhile, and can be cancelled."""


class RunControl:
    """Starts and cancels jobs of the Logic and shows what it says of them.

    onChanged is called whenever the panel has to show something else.
    """

    def __init__(self, ui, shortcutParent, logic, comparison, cursor, onChanged) -> None:
        self._ui = ui
        self._logic = logic
        self._comparison = comparison
        self._cursor = cursor
        self._onChanged = onChanged
        self._parameters = None
        self.everyFrame = None  # the EveryFrame that takes a click on Restore where all frames are wanted
        logic.onProgress = self.showProgress
        logic.onFinished = self.showFinished
        logic.onPreview = self.showPreview
        logic.onFailed = self.showFailed
        ui.restoreButton.connect("clicked(bool)", self.onRestoreButton)
        ui.previewButton.connect("clicked(bool)", self.onPreviewButton)
        self.shortcuts = []
        for keys, slot in (("Ctrl+Return", self.onRestoreKey), ("Esc", self.onCancelKey)):
            shortcut = qt.QShortcut(qt.QKeySequence(keys), shortcutParent)
            shortcut.connect("activated()", slot)
            self.shortcuts.append(shortcut)

    def update(self, parameters, isRestorable) -> None:
        """Follow `parameters`; isRestorable: whether their input can be restored."""
        self._parameters = parameters
        ui, busy = self._ui, self._logic.busy
        ui.restoreButton.text = _("Cancel") if busy else _("Restore")
        ui.restoreButton.enabled = busy or isRestorable
        ui.previewButton.enabled = not busy and isRestorable and hasViews()
        ui.previewButton.text = _("Hide preview") if self._comparison.preview.isShown else _("Preview this slice")
        ui.progressBar.visible = busy
        for name in LOCKED_DURING_RUN:
            getattr(ui, name).enabled = not busy

    def onRestoreButton(self, checked=False) -> None:
        """Restore, or Cancel while it runs."""
        if self._logic.busy:
            self.cancel(_("Cancelled. The scene is as it was."))
            return
        self._comparison.hidePreview()
        self.start(None)

    def onPreviewButton(self, checked=False) -> None:
        """Restore the slice that is seen, or take the preview away again."""
        if self._comparison.preview.isShown:
            self._comparison.hidePreview()
            self.showStatus("")
            self._onChanged()
            return
        view = activeSliceNode(self._cursor.sliceNode())
        if view is None:
            self.showFailed(_("There is no slice view: choose a layout with one, then click Preview again."))
            return
        self.start(acquisitionSliceAt(self._parameters.inputVolume, rasCenter(view)))

    def onRestoreKey(self) -> None:
        """Ctrl+Return."""
        if not self._logic.busy and self._ui.restoreButton.enabled:
            self.onRestoreButton()

    def onCancelKey(self) -> None:
        """Esc."""
        self.cancel(_("Cancelled. The scene is as it was."))

    def start(self, sliceIndex) -> None:
        """Restore the volume, or with an index one slice of it."""
        self.showStatus(_("Starting..."))
        self._showBusyBar(0, 0)
        parameters = self._parameters
        try:
            if sliceIndex is None and self.everyFrame is not None and self.everyFrame.isWanted(parameters):
                self.everyFrame.start(parameters)
            else:
                self._logic.startRestoration(
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
        self._onChanged()

    def cancel(self, message) -> None:
        """Give a running restoration up; says `message` if there was one."""
        if self._logic.busy:
            self.showStatus(message)  # first: whoever queued more has more to say of what was done
            self._logic.cancelRestoration()
            self._onChanged()

    def showProgress(self, event) -> None:
        """`event`: worker.messages.ProgressEvent."""
        self._showBusyBar(event.done, event.total)
        self.showStatus(progressText(event))

    def showFinished(self, inputVolume, nodes, report) -> None:
        """`nodes`: name -> result node."""
        self.keepResult(inputVolume, nodes, report)
        self._onChanged()
        self.showStatus(finishedText(nodes, report))

    def keepResult(self, inputVolume, nodes, report) -> None:
        """Put what a restoration has made into the settings of its volume."""
        parameters = self._logic.parameterNodeOf(inputVolume, makeCurrent=False)
        with slicer.util.NodeModify(parameters.parameterNode):
            self.chooseFirstView(parameters)
            for name in RESULTS["restore"]:  # what this run did not make must not stay from the one before
                setattr(parameters, resultParameter(name), nodes.get(name))
            parameters.report, parameters.frameReports = json.dumps(report), ""
            parameters.strength = 100.0

    def chooseFirstView(self, parameters) -> None:
        """The first result is shown side by side, later ones as the user has chosen; called before it is kept."""
        if parameters.restoredVolume is None and parameters.compareMode is CompareMode.OFF and hasViews():
            parameters.compareMode = CompareMode.SIDE_BY_SIDE

    def showPreview(self, node, report) -> None:
        """`node`: one restored slice."""
        self._comparison.showPreview(node)
        self._onChanged()
        self.showStatus(_("This slice, restored in {seconds:.1f} s.").format(seconds=report.get("worker_seconds", 0)))

    def showFailed(self, message) -> None:
        """`message`: one sentence; the scene is as it was."""
        self._onChanged()
        self.showStatus(message)
        logging.error(message)

    def showStatus(self, message) -> None:
        """Show `message` under the button."""
        self._ui.statusLabel.text = message

    def _showBusyBar(self, done, total) -> None:
        # A total of 0 means that nobody knows how much there is to do.
        self._ui.progressBar.maximum = total
        self._ui.progressBar.value = done

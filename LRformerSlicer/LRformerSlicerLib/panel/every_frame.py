"""Every frame: a choice that shows only where the input is one of the frames of a sequence."""

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.panel.advanced import optionsOf
from LRformerSlicerLib.panel.choices import resultParameter
from LRformerSlicerLib.panel.messages import progressText
from LRformerSlicerLib.panel.region import regionOptions
from LRformerSlicerLib.panel.restoration_queue import RestorationQueue
from LRformerSlicerLib.scene.frames import FrameSeries, frameCount
from LRformerSlicerLib.scene.restoration_job import RESULTS


class EveryFrame:
    """Restores the frames of a sequence one after another; the check box is bound to the parameter node by name.

    run: the RunControl, whose Restore button comes here when the choice is made.
    """

    def __init__(self, ui, logic, run, onChanged) -> None:
        self._ui, self._logic, self._run, self._onChanged = ui, logic, run, onChanged
        self._queue = None
        self._frames = None
        self._parameters = None
        self._seconds = 0.0
        self._problem = ""

    def update(self, parameters) -> None:
        """Follow `parameters`."""
        self._parameters = parameters
        count = frameCount(parameters.inputVolume) if parameters is not None else 0
        box = self._ui.everyFrameCheckBox
        box.visible = count > 1
        box.enabled = not self._logic.busy
        box.text = _("Every frame ({count}), not only the one shown").format(count=count)

    def isWanted(self, parameters) -> bool:
        """Whether Restore means all frames."""
        return parameters.everyFrame and frameCount(parameters.inputVolume) > 1

    def start(self, parameters) -> None:
        """Restore all frames with the settings of their volume. Raises what a single restoration raises."""
        self._parameters = parameters
        self._frames = FrameSeries(parameters.inputVolume)
        self._seconds, self._problem = 0.0, ""
        self._options = {**optionsOf(parameters), **regionOptions(parameters)}
        self._queue = RestorationQueue(
            self._logic,
            self._frames.count,
            self._startFrame,
            self._showProgress,
            self._oneRestored,
            self._oneFailed,
            self._ended,
        )
        self._queue.begin()

    def _startFrame(self, place: int) -> None:
        self._logic.startRestoration(
            self._frames.frame(place), self._parameters.task, self._parameters.device, None, None, **self._options
        )

    def _showProgress(self, place: int, event) -> None:
        share = event.done / event.total if event.total else 0
        self._ui.progressBar.maximum = 100 * self._frames.count
        self._ui.progressBar.value = round(100 * (place + share))
        self._run.showStatus(
            _("Frame {number} of {count}. {progress}").format(
                number=place + 1, count=self._frames.count, progress=progressText(event)
            )
        )

    def _oneRestored(self, place: int, nodes, report) -> None:
        self._seconds += report.get("worker_seconds", 0)
        self._frames.keep(place, nodes)

    def _oneFailed(self, place: int, message) -> None:
        # A sequence with holes would be no series in time: the first failure is the end.
        self._problem = _("Frame {number}: {message}").format(number=place + 1, message=message)
        self._queue.stop()

    def _ended(self, isCancelled: bool) -> None:
        frames, self._frames, self._queue = self._frames, None, None
        frames.dropFrame()
        if isCancelled:
            self._onChanged()
            return
        if self._problem:
            self._run.showFailed(self._problem)
            return
        if not slicer.mrmlScene.IsNodePresent(self._parameters.inputVolume):
            self._run.showFailed(_("The input volume was deleted meanwhile: load it again, then restore it."))
            return
        proxy = frames.finish()
        with slicer.util.NodeModify(self._parameters.parameterNode):
            self._run.chooseFirstView(self._parameters)
            for name in RESULTS["restore"]:
                setattr(self._parameters, resultParameter(name), None)
            self._parameters.report = ""
            self._parameters.restoredVolume = proxy
        self._onChanged()
        self._run.showStatus(
            _("Restored {count} frames as '{name}' in {seconds:.0f} s.").format(
                count=frames.count, name=proxy.GetName(), seconds=self._seconds
            )
        )

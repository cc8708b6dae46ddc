"""Every frame: a choice that shows only where the input is one of the frames of a sequence."""

import json

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.panel.advanced import optionsOf
from LRformerSlicerLib.panel.choices import resultParameter
from LRformerSlicerLib.panel.frame_follower import FrameFollower
from LRformerSlicerLib.panel.messages import progressText
from LRformerSlicerLib.panel.region import regionOptions
from LRformerSlicerLib.panel.restoration_queue import RestorationQueue
from LRformerSlicerLib.scene.frames import FrameSeries, frameCount, shownFrame
from LRformerSlicerLib.scene.restoration_job import RESULTS


class EveryFrame:
    """Restores the frames of a sequence one after another; the check box is bound to the parameter node by name.

    run: the RunControl, whose Restore button comes here when the choice is made; onFrame is called when another frame
    of the input is shown.
    """

    def __init__(self, ui, logic, run, onChanged, onFrame) -> None:
        self._ui, self._logic, self._run, self._onChanged = ui, logic, run, onChanged
        self._queue = None
        self._frames = None
        self._parameters = None
        self._seconds = 0.0
        self._problem = ""
        self._reports: list[dict] = []
        self._follower = FrameFollower(lambda number: onFrame())

    def update(self, parameters) -> None:
        """Follow `parameters`."""
        self._parameters = parameters
        self._follower.follow(parameters.inputVolume if parameters is not None else None)
        self._showReport()
        count = frameCount(parameters.inputVolume) if parameters is not None else 0
        box = self._ui.everyFrameCheckBox
        box.visible = count > 1
        box.enabled = not self._logic.busy
        box.text = _("Every frame ({count}), not only the one shown").format(count=count)

    def _showReport(self) -> None:
        """The report of the frame that is shown."""
        parameters = self._parameters
        reports = json.loads(parameters.frameReports) if parameters is not None and parameters.frameReports else []
        number = shownFrame(parameters.inputVolume) if reports else 0
        if number < len(reports):
            text = json.dumps(reports[number])
            if text != parameters.report:
                parameters.report = text

    def isWanted(self, parameters) -> bool:
        """Whether Restore means all frames."""
        return parameters.everyFrame and frameCount(parameters.inputVolume) > 1

    def start(self, parameters) -> None:
        """Restore all frames with the settings of their volume. Raises what a single restoration raises."""
        self._parameters = parameters
        self._frames = FrameSeries(parameters.inputVolume)
        self._seconds, self._problem, self._reports = 0.0, "", []
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
        self._reports.append({**report, "frame": place + 1, "frames": self._frames.count})

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
        shown = frames.finish()
        with slicer.util.NodeModify(self._parameters.parameterNode):
            self._run.chooseFirstView(self._parameters)
            for name in RESULTS["restore"]:
                setattr(self._parameters, resultParameter(name), shown.get(name))
            self._parameters.frameReports = json.dumps(self._reports)
            self._parameters.strength = 100.0
        self._onChanged()
        text = _("Restored {count} frames as '{name}' in {seconds:.0f} s.").format(
            count=frames.count, name=shown["restored"].GetName(), seconds=self._seconds
        )
        if not frames.keepsMaps:
            left_out = _("Their maps would take {size:.0f} GB and were not kept: restore a single frame to see them.")
            text = "\n".join([text, left_out.format(size=frames.mapsBytes / 1e9)])
        self._run.showStatus("\n".join([text, *dict.fromkeys(warningsOf(self._reports))]))


def warningsOf(reports) -> list[str]:
    """What the restorations of several frames warned of."""
    return [str(warning) for report in reports for warning in report.get("warnings", [])]

"""Batch: several volumes, restored one after another, each as a click on Restore would with its own settings."""

import qt
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.advanced import optionsOf
from LRformerSlicerLib.panel.messages import progressText, toolTipOf
from LRformerSlicerLib.panel.region import regionOptions
from LRformerSlicerLib.panel.restoration_queue import RestorationQueue
from LRformerSlicerLib.scene.batch_volumes import batchVolumes, volumeGroups
from LRformerSlicerLib.scene.dependencies import ensureDependencies


class BatchPart:
    """The section's table is the choice before a run, the queue during it and the summary after it.

    run: the RunControl, which keeps what a finished restoration has made; onChanged is called whenever the panel has to
    show something else.
    """

    def __init__(self, ui, logic, run, onChanged) -> None:
        self._ui, self._logic, self._run, self._onChanged = ui, logic, run, onChanged
        self._queue = None
        self._ids: list[str] = []  # of the volume in each row
        self._queued: list[str] = []
        self._outcomes: dict[str, str] = {}
        self._counts = {"restored": 0, "failed": 0}
        self._groups: list[tuple[str, list[str]]] = []
        self._isFilling = False
        ui.batchTable.connect("itemChanged(QTableWidgetItem*)", self.onItemChanged)
        ui.batchGroupSelector.connect("activated(int)", self.onGroupChosen)
        ui.batchButton.connect("clicked(bool)", self.onBatchButton)
        ui.batchSection.connect("contentsCollapsed(bool)", self.onCollapsed)

    @property
    def isRunning(self) -> bool:
        """Whether a batch is being restored."""
        return self._queue is not None

    def update(self, parameters=None) -> None:
        """Show the volumes that are there now."""
        if not self.isRunning and not self._ui.batchSection.collapsed:
            self._fill()
        self._updateButtons()

    def forgetScene(self) -> None:
        """Drop what was said of volumes that are gone: a new scene uses their ids again."""
        self._outcomes = {}
        self._check(())

    def onCollapsed(self, isCollapsed) -> None:
        """The section was opened or closed."""
        self.update()

    def onItemChanged(self, item) -> None:
        """A volume was checked or unchecked."""
        if not self._isFilling:
            self._updateButtons()

    def onGroupChosen(self, index) -> None:
        """Check the volumes of a study, and no others."""
        ids = self._groups[index - 1][1] if index > 0 else None
        if ids is not None:
            self._check(ids)
        self._updateButtons()

    def onBatchButton(self, checked=False) -> None:
        """Restore what is checked."""
        self._queued = self._checkedIds()
        self._outcomes = dict.fromkeys(self._queued, _("waiting"))
        self._counts = {"restored": 0, "failed": 0}
        try:
            # Once for all: each volume would ask again.
            ensureDependencies()
        except UserError as error:
            self._outcomes = {}
            self._run.showFailed(error.message)
            return
        self._queue = RestorationQueue(
            self._logic,
            len(self._queued),
            self._start,
            self._showProgress,
            self._oneRestored,
            self._oneFailed,
            self._ended,
        )
        self._showOutcomes()
        self._queue.begin()
        self._onChanged()

    def _start(self, place: int) -> None:
        self._say(place, _("starting"))
        if self._queued[place] in self._ids:
            table = self._ui.batchTable
            table.scrollToItem(table.item(self._ids.index(self._queued[place]), 0))
        volume = slicer.mrmlScene.GetNodeByID(self._queued[place])
        if volume is None:
            raise UserError(_("The volume was deleted meanwhile: load it again, then restore it."))
        parameters = self._logic.parameterNodeOf(volume, makeCurrent=False)
        self._logic.startRestoration(
            volume,
            parameters.task,
            parameters.device,
            None,
            parameters.referenceVolume,
            **optionsOf(parameters),
            **regionOptions(parameters),
        )

    def _showProgress(self, place: int, event) -> None:
        share = event.done / event.total if event.total else 0
        self._ui.progressBar.maximum = 100 * len(self._queued)
        self._ui.progressBar.value = round(100 * (place + share))
        volume = slicer.mrmlScene.GetNodeByID(self._queued[place])
        self._ui.statusLabel.text = _("Volume {number} of {count}, '{name}'. {progress}").format(
            number=place + 1,
            count=len(self._queued),
            name=volume.GetName() if volume is not None else "",
            progress=progressText(event),
        )
        self._say(place, _("{share} %").format(share=round(100 * share)))

    def _oneRestored(self, place: int, nodes, report) -> None:
        volume = slicer.mrmlScene.GetNodeByID(self._queued[place])
        self._run.keepResult(volume, nodes, report)
        self._counts["restored"] += 1
        self._say(place, _("restored in {seconds:.0f} s").format(seconds=report.get("worker_seconds", 0)))

    def _oneFailed(self, place: int, message) -> None:
        self._counts["failed"] += 1
        self._say(place, _("failed: {message}").format(message=message))

    def _ended(self, isCancelled: bool) -> None:
        waiting = len(self._queued) - sum(self._counts.values())
        for place, volumeId in enumerate(self._queued):
            if place >= len(self._queued) - waiting:
                self._outcomes[volumeId] = _("cancelled")
        self._queue = None
        self._onChanged()
        parts = [_("{count} restored").format(count=self._counts["restored"])]
        if self._counts["failed"]:
            parts.append(_("{count} failed, see the table").format(count=self._counts["failed"]))
        if isCancelled:
            parts.append(_("{count} cancelled").format(count=waiting))
        self._run.showStatus(_("Batch: {outcome}.").format(outcome=", ".join(parts)))

    def _say(self, place: int, text: str) -> None:
        self._outcomes[self._queued[place]] = text
        self._showOutcomes()

    def _fill(self) -> None:
        """Rows and groups as the scene is now; what is checked stays checked."""
        volumes = batchVolumes()
        groups = volumeGroups(volumes)
        if groups != self._groups:
            self._groups = groups
            self._ui.batchGroupSelector.clear()
            self._ui.batchGroupSelector.addItems([_("Choose..."), *(name for name, _ids in groups)])
        ids, checked = [volume.GetID() for volume in volumes], set(self._checkedIds())
        table = self._ui.batchTable
        self._isFilling = True
        try:
            table.setRowCount(len(volumes))
            for row, volume in enumerate(volumes):
                item = qt.QTableWidgetItem(volume.GetName())
                item.setCheckState(qt.Qt.Checked if volume.GetID() in checked else qt.Qt.Unchecked)
                table.setItem(row, 0, item)
        finally:
            self._isFilling = False
        self._ids = ids
        table.resizeColumnToContents(0)
        self._showOutcomes()

    def _showOutcomes(self) -> None:
        table = self._ui.batchTable
        self._isFilling = True
        try:
            for row, volumeId in enumerate(self._ids):
                text = self._outcomes.get(volumeId, "")
                item = qt.QTableWidgetItem(text)
                item.setToolTip(toolTipOf(text))
                table.setItem(row, 1, item)
        finally:
            self._isFilling = False

    def _check(self, ids) -> None:
        self._isFilling = True
        try:
            for row, volumeId in enumerate(self._ids):
                item = self._ui.batchTable.item(row, 0)
                item.setCheckState(qt.Qt.Checked if volumeId in ids else qt.Qt.Unchecked)
        finally:
            self._isFilling = False

    def _checkedIds(self) -> list[str]:
        table = self._ui.batchTable
        return [
            volumeId
            for row, volumeId in enumerate(self._ids)
            if table.item(row, 0) is not None and table.item(row, 0).checkState() == qt.Qt.Checked
        ]

    def _updateButtons(self) -> None:
        ui, count = self._ui, len(self._checkedIds())
        ui.batchButton.enabled = count > 0 and not self._logic.busy and not self.isRunning
        ui.batchButton.text = _("Restore {count} volumes").format(count=count) if count != 1 else _("Restore 1 volume")
        ui.batchGroupSelector.enabled = not self.isRunning

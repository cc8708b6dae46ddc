"""Models: the folder of downloaded weights, and MedSAM's checkpoint in it, by download or by hand.

The download runs in a process of its own, polled by a timer; cancelling it ends that process, and the next one goes on
with what has come so far.
"""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.model_folder import FOLDER_SETTING, modelFolder
from LRformerSlicerLib.weights.description import MEDSAM_DESCRIPTION, read_description
from LRformerSlicerLib.weights.folder import check_folder, removable_files, remove_files
from LRformerSlicerLib.worker.client import WorkerClient
from LRformerSlicerLib.worker.messages import DOWNLOAD_OUTPUT, DoneEvent, ErrorEvent, ProgressEvent

POLL_INTERVAL_MS = 100
BYTES_PER_STEP = 1024
"""A progress bar counts with 32 bits."""


def downloadedMedsam() -> str:
    """Path of MedSAM's checkpoint in the model folder, "" where there is none."""
    path = modelFolder() / read_description(MEDSAM_DESCRIPTION).name
    return str(path) if path.is_file() else ""


class ModelFiles:
    """The rows MedSAM file and Model folder of Advanced.

    description: the JSON file that says what is downloaded from where.
    """

    def __init__(self, ui, onProblem, description: Path = MEDSAM_DESCRIPTION) -> None:
        self._ui = ui
        self._onProblem = onProblem
        self.description = description
        self._client = WorkerClient()
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self.poll)
        ui.downloadMedsamButton.connect("clicked(bool)", self.onDownload)
        ui.openModelFolderButton.connect("clicked(bool)", self.onOpenFolder)
        ui.changeModelFolderButton.connect("clicked(bool)", self.onChangeFolder)
        ui.emptyModelFolderButton.connect("clicked(bool)", self.onEmptyFolder)

    @property
    def isDownloading(self) -> bool:
        """Whether a download is under way."""
        return self._client.busy

    def update(self) -> None:
        """Show the folder and whether MedSAM's checkpoint is in it."""
        ui = self._ui
        ui.downloadMedsamButton.text = _("Cancel") if self.isDownloading else _("Download")
        ui.downloadBar.visible = self.isDownloading
        for button in (ui.changeModelFolderButton, ui.emptyModelFolderButton):
            button.enabled = not self.isDownloading
        ui.modelFolderLineEdit.text = str(modelFolder())
        isThere = bool(downloadedMedsam())
        ui.medsamLineEdit.placeholderText = (
            _("the one in the model folder") if isThere else _("none yet: ... or Download")
        )

    def close(self) -> None:
        """Give a running download up; leaves no process."""
        self._timer.stop()
        self._client.close()

    def onDownload(self, checked=False) -> None:
        """Download, or Cancel while it runs."""
        if self.isDownloading:
            self.close()
            self._show(_("Cancelled: what has come so far is kept, and Download goes on from there."))
            return
        try:
            check_folder(modelFolder())
            target = modelFolder() / read_description(self.description).name
            self._client.submit("download", self.description, {DOWNLOAD_OUTPUT: target})
        except UserError as error:
            self._show(error.message)
            return
        self._timer.start()
        self._ui.downloadBar.maximum = 0
        self._show(_("Asking the server..."))

    def poll(self) -> None:
        """Show what the download's process said since the last call."""
        for event in self._client.poll():
            if isinstance(event, ProgressEvent) and event.total > 0:
                self._ui.downloadBar.maximum = event.total // BYTES_PER_STEP
                self._ui.downloadBar.value = event.done // BYTES_PER_STEP
                self._show(_progressText(event))
            elif isinstance(event, DoneEvent):
                self._finish(_("Downloaded and checked: {path}").format(path=event.report["path"]))
            elif isinstance(event, ErrorEvent):
                self._finish(event.message)

    def onOpenFolder(self, checked=False) -> None:
        """Show the folder in the system's file manager."""
        try:
            check_folder(modelFolder())
        except UserError as error:
            self._onProblem(error.message)
            return
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(modelFolder())))

    def onChangeFolder(self, checked=False) -> None:
        """Choose another folder; the files stay where they are."""
        path = qt.QFileDialog.getExistingDirectory(
            self._ui.changeModelFolderButton, _("Folder for downloaded weights"), str(modelFolder())
        )
        if not path:
            return
        try:
            check_folder(path)
        except UserError as error:
            self._onProblem(error.message)
            return
        qt.QSettings().setValue(FOLDER_SETTING, str(path))
        self.update()

    def onEmptyFolder(self, checked=False) -> None:
        """Remove downloaded weights, after naming them."""
        folder = modelFolder()
        files = removable_files(folder, (read_description(self.description).name,))
        if not files:
            self._show(_("There is nothing to remove in {folder}.").format(folder=folder))
            return
        names = "\n".join(f"{path.name} ({path.stat().st_size / 1e6:.1f} MB)" for path in files)
        question = _(
            "Remove these files from {folder}?\n\n{names}\n\nOther files there stay, and so do the weights that came "
            "with the extension."
        )
        question = question.format(folder=folder, names=names)
        if not slicer.util.confirmOkCancelDisplay(question, textFormat=qt.Qt.PlainText):
            return
        try:
            remove_files(files)
        except UserError as error:
            self._onProblem(error.message)
        else:
            self._show(_("Removed: {names}.").format(names=", ".join(path.name for path in files)))

    def _finish(self, message) -> None:
        self.close()  # it does nothing else, and need not wait for another download
        self._show(message)

    def _show(self, message) -> None:
        self._ui.downloadBox.visible = True
        self._ui.downloadLabel.text = message
        self.update()


def _progressText(event) -> str:
    text = _("{done:.0f} of {total:.0f} MB").format(done=event.done / 1e6, total=event.total / 1e6)
    if event.seconds_left is None:
        return text
    return _("{text}, about {seconds:.0f} s left").format(text=text, seconds=event.seconds_left)

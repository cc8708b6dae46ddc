"""One Restore, from the input node to the result nodes.

>>> job = RestorationJob(client, volumeNode, {"task": "ct-denoise"}, temporaryFolder)
>>> job.start()                       # writes the volume, sends the job
>>> nodes = job.finish()              # once the client reports it done
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.job_folders import makeJobFolder
from LRformerSlicerLib.scene.volume_input import modalityOf, writeVolume
from LRformerSlicerLib.scene.volume_output import addResultNodes
from LRformerSlicerLib.worker.client import WorkerClient

RESULTS = {
    "restore": ("restored", "prior", "uncertainty", "consistency", "difference", "expected_error"),
    "preview": ("restored",),
}
"""Which images a kind of job is asked for."""

NOT_FROM_ALL_WEIGHTS = "expected_error"
"""Made only where the weights' card says how."""


class RestorationJob:
    """Holds what one job needs until it is finished or given up; changes the scene in `finish` only.

    The input must have passed volume_input.checkInput.  sliceIndex: which slice to restore, for a preview of that slice
    alone; None restores the volume.  referenceNode: a volume to measure the result against.
    """

    def __init__(
        self,
        client: WorkerClient,
        inputNode,
        options: Mapping[str, Any],
        temporaryFolder: str,
        sliceIndex: int | None = None,
        referenceNode=None,
    ) -> None:
        self._client = client
        self._sliceIndex, self._referenceNode = sliceIndex, referenceNode
        self._inputNode = inputNode
        self._options = dict(options)
        self._temporaryFolder = temporaryFolder
        self._folder: Path | None = None
        self.requestId = ""

    @property
    def kind(self) -> str:
        """The worker's word for the job: "restore" or "preview"."""
        return "restore" if self._sliceIndex is None else "preview"

    @property
    def inputNode(self):
        """The volume that is restored."""
        return self._inputNode

    def start(self) -> None:
        """Write the input into a folder of its own and send the job. Raises UserError, and then nothing is left."""
        try:
            self._folder = makeJobFolder(self._temporaryFolder)
        except OSError as error:
            raise UserError(
                _(
                    "The temporary folder {folder} cannot be written to: choose another one in Edit / "
                    "Application Settings."
                ).format(folder=self._temporaryFolder)
            ) from error
        try:
            inputPath = self._folder / "input.nrrd"
            writeVolume(self._inputNode, inputPath)
            referencePath = ""
            if self._referenceNode is not None:
                referencePath = self._folder / "reference.nrrd"
                writeVolume(self._referenceNode, referencePath, self._inputNode)
            self.requestId = self._client.submit(
                self.kind,
                inputPath,
                self._resultFiles(),
                self._options,
                slice=self._sliceIndex,
                modality=modalityOf(self._inputNode),
                reference=referencePath,
            )
        except BaseException:
            self.discard()
            raise

    def finish(self) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Make the result nodes (name -> node) and delete the files. Raises UserError, and then adds none."""
        try:
            if not slicer.mrmlScene.IsNodePresent(self._inputNode):
                raise UserError(_("The input volume was deleted meanwhile: load it again, then restore it."))
            files = self._resultFiles()
            if NOT_FROM_ALL_WEIGHTS in files and not files[NOT_FROM_ALL_WEIGHTS].exists():
                del files[NOT_FROM_ALL_WEIGHTS]
            return addResultNodes(self._inputNode, files if self.kind == "restore" else {"preview": files["restored"]})
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete the job's files; the scene stays as it is."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _resultFiles(self) -> dict[str, Path]:
        return {name: self._folder / f"{name}.nrrd" for name in RESULTS[self.kind]}

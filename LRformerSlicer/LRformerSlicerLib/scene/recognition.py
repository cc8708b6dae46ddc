"""What the panel says of a chosen volume before anything runs: modality, matrix, spacing, task; and which slice of it
a view shows.

The decisions are the engine's own functions, which need no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.restoration.label_map import check_no_label_map
from LRformerSlicerLib.restoration.modality import detect_modality, doubt_about
from LRformerSlicerLib.restoration.slicing import acquisition_axis
from LRformerSlicerLib.restoration.tasks import choose_task
from LRformerSlicerLib.scene.views import localFromRas
from LRformerSlicerLib.scene.volume_input import LPS_FROM_RAS, checkInput, ijkToRas, modalityOf, storedSliceAxis

SAMPLE_VOXELS = 2_000_000


@dataclass(frozen=True)
class Recognised:
    """What a volume is taken for."""

    modality: str
    taskName: str
    line: str


def recognise(volumeNode, task: str, taskLabels: dict[str, str]) -> Recognised:
    """Modality and task of the volume, and the line that says so. Raises UserError, one sentence, when it is unfit.

    task: "auto" or a task's name; taskLabels: task name -> text for people.
    """
    checkInput(volumeNode)
    voxels = slicer.util.arrayFromVolume(volumeNode).reshape(-1)
    sample = voxels[:: max(1, voxels.size // SAMPLE_VOXELS)]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:  # the few voxels that are numbers lie beside the sample
        sample = voxels[np.isfinite(voxels)]
    if modalityOf(volumeNode) is None:
        check_no_label_map(slicer.util.arrayFromVolume(volumeNode))
    found = detect_modality(sample, modalityOf(volumeNode))
    chosen, _why = choose_task(task, found.name, found.reason, is_certain=found.is_certain)
    doubt = found.doubt if chosen.modality == found.name else doubt_about(sample, chosen.modality)
    size = " x ".join(str(count) for count in volumeNode.GetImageData().GetDimensions())
    spacing = " x ".join(f"{step:.3g}" for step in volumeNode.GetSpacing())
    label = taskLabels.get(chosen.name, chosen.name)
    line = _("{modality}, {size} voxels of {spacing} mm. {task}").format(
        modality=chosen.modality, size=size, spacing=spacing, task=label
    )
    return Recognised(chosen.modality, chosen.name, f"{line} {doubt}" if doubt else line)


class _Grid:
    """As much of an image as the engine needs to find the slice axis, without its voxels."""

    def __init__(self, volumeNode) -> None:
        columns = LPS_FROM_RAS @ ijkToRas(volumeNode)[:3, :3]
        self._spacing = np.linalg.norm(columns, axis=0)
        self._direction = columns / self._spacing
        self._size = volumeNode.GetImageData().GetDimensions()

    def GetSize(self):
        return self._size

    def GetSpacing(self):
        return tuple(self._spacing)

    def GetDirection(self):
        return tuple(self._direction.ravel())


def acquisitionSliceAt(volumeNode, ras) -> int:
    """Index along the acquisition's slice axis of the slice at this position (RAS mm), the nearest where outside."""
    axis = storedSliceAxis(volumeNode)
    if axis is None:
        axis = acquisition_axis(_Grid(volumeNode))
    local = np.append(localFromRas(volumeNode, ras), 1.0)
    index = (np.linalg.inv(ijkToRas(volumeNode)) @ local)[axis]
    return int(np.clip(np.rint(index), 0, volumeNode.GetImageData().GetDimensions()[axis] - 1))

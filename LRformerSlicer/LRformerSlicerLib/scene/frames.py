"""Frames of a sequence: the input of one restoration after another, and new sequences of what comes of them.

In Slicer a time series is a vtkMRMLSequenceNode; a vtkMRMLSequenceBrowserNode shows one of its frames in a proxy node,
which is an ordinary volume to everybody else.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.scene.result_volumes import RESULT_ATTRIBUTE
from LRformerSlicerLib.scene.views import removeWithDisplay
from LRformerSlicerLib.scene.volume_input import MODALITY_ATTRIBUTE, modalityOf
from LRformerSlicerLib.scene.volume_output import placeBeside, resultLabel, showAsInput, showMapRange

VOLUME_CLASS = "vtkMRMLScalarVolumeNode"

MAPS_LIMIT_BYTES = 4 * 2**30
"""The maps of all frames together are kept up to this size: five of them take ten times as much as a CT itself."""


def browserAndSequenceOf(volumeNode):
    """The browser that shows frames in this volume and the sequence they are of; (None, None) for other volumes."""
    for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode"):
        sequence = browser.GetSequenceNode(volumeNode) if volumeNode is not None else None
        if sequence is not None and sequence.GetDataNodeClassName() == VOLUME_CLASS:
            return browser, sequence
    return None, None


def frameCount(volumeNode) -> int:
    """How many frames the volume shows one of; 0 when it is no proxy of a sequence."""
    _browser, sequence = browserAndSequenceOf(volumeNode)
    return sequence.GetNumberOfDataNodes() if sequence is not None else 0


def shownFrame(volumeNode) -> int:
    """The number of the frame that the volume shows, from 0; a browser in which none was chosen yet shows the first."""
    browser, _sequence = browserAndSequenceOf(volumeNode)
    return max(browser.GetSelectedItemNumber(), 0) if browser is not None else 0


class FrameSeries:
    """Hands out the frames of a volume's sequence and gathers what is made of them.

    The scene holds one hidden volume meanwhile, the frame that is worked on, and has the new sequences at the end only.
    """

    def __init__(self, proxyNode) -> None:
        self._proxy = proxyNode
        self._browser, self._sequence = browserAndSequenceOf(proxyNode)
        self._frame = None
        self._made: dict[str, slicer.vtkMRMLSequenceNode] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        self.mapsBytes = 0
        """What the maps of all frames take; above MAPS_LIMIT_BYTES they are not kept."""

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self._sequence.GetNumberOfDataNodes()

    @property
    def keepsMaps(self) -> bool:
        """Whether there is room for the maps, not only for the restored frames."""
        return self.mapsBytes <= MAPS_LIMIT_BYTES

    def frame(self, place: int):
        """A hidden volume node with this frame, in place of the one before."""
        self.dropFrame()
        data = self._sequence.GetNthDataNode(place)
        node = slicer.mrmlScene.CreateNodeByClass(VOLUME_CLASS)
        node.UnRegister(None)
        node.SetName(_("{name} frame {number}").format(name=self._proxy.GetName(), number=place + 1))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.CopyOrientation(data)
        node.SetAndObserveImageData(data.GetImageData())
        node.SetVoxelValueUnits(data.GetVoxelValueUnits())
        node.SetVoxelValueQuantity(data.GetVoxelValueQuantity())
        modality = modalityOf(self._proxy)
        if modality is not None:
            node.SetAttribute(MODALITY_ATTRIBUTE, modality)
        self._frame = slicer.mrmlScene.AddNode(node)
        return self._frame

    def keep(self, place: int, nodes) -> None:
        """Take what was made of a frame into the new sequences, and all of `nodes` (name -> node) out of the scene."""
        if place == 0:
            maps = [node for name, node in nodes.items() if name != "restored"]
            self.mapsBytes = self.count * sum(slicer.util.arrayFromVolume(node).nbytes for node in maps)
        for name, node in nodes.items():
            if name == "restored" or self.keepsMaps:
                self._keepOne(name, node, self._sequence.GetNthIndexValue(place))
            removeWithDisplay(node)
        self.dropFrame()

    def _keepOne(self, name: str, node, indexValue: str) -> None:
        if name not in self._made:
            sequence = self._made[name] = slicer.vtkMRMLSequenceNode()
            sequence.SetIndexName(self._sequence.GetIndexName())
            sequence.SetIndexUnit(self._sequence.GetIndexUnit())
            sequence.SetIndexType(self._sequence.GetIndexType())
        self._made[name].SetDataNodeAtValue(node, indexValue)
        display = node.GetDisplayNode()
        # One range for all frames, or the colours would mean something else in each.
        lower, upper = self._ranges.get(name, (0.0, 0.0))
        self._ranges[name] = min(lower, display.GetWindowLevelMin()), max(upper, display.GetWindowLevelMax())

    def dropFrame(self) -> None:
        """Take the frame that is worked on out of the scene."""
        node, self._frame = self._frame, None
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)

    def finish(self) -> dict:
        """Put the new sequences into the input's browser; returns the volumes that show their frames, by result."""
        self.dropFrame()
        whole = {name: made for name, made in self._made.items() if made.GetNumberOfDataNodes() == self.count}
        return {name: self._addProxy(name, sequence) for name, sequence in whole.items()}

    def _addProxy(self, result: str, sequence):
        scene = slicer.mrmlScene
        label = _("{input} {result}").format(input=self._proxy.GetName(), result=resultLabel(result))
        name = scene.GenerateUniqueName(label)
        sequence.SetName(name)
        sequence = scene.AddNode(sequence)
        self._browser.AddSynchronizedSequenceNode(sequence)
        # Slicer's logic makes the proxy when its timer comes round; here it is needed at once.
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)
        proxy = self._browser.GetProxyNode(sequence)
        proxy.SetName(name)
        proxy.SetAttribute(RESULT_ATTRIBUTE, result)
        proxy.SetAndObserveTransformNodeID(self._proxy.GetTransformNodeID())
        proxy.CreateDefaultDisplayNodes()
        proxy.GetDisplayNode().AutoWindowLevelOff()
        if result == "restored":
            showAsInput(proxy, self._proxy)
        else:
            showMapRange(proxy, *self._ranges[result])
        placeBeside(proxy, self._proxy)
        return proxy

"""Frames of a sequence: the input of one restoration after another, and a new sequence of what comes of them.

In Slicer a time series is a vtkMRMLSequenceNode; a vtkMRMLSequenceBrowserNode shows one of its frames in a proxy node,
which is an ordinary volume to everybody else.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.scene.views import removeWithDisplay
from LRformerSlicerLib.scene.volume_input import MODALITY_ATTRIBUTE, modalityOf
from LRformerSlicerLib.scene.volume_output import placeBeside, showAsInput

VOLUME_CLASS = "vtkMRMLScalarVolumeNode"


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


class FrameSeries:
    """Hands out the frames of a volume's sequence and gathers their restorations.

    The scene holds one hidden volume meanwhile, the frame that is worked on, and has the new sequence at the end only.
    """

    def __init__(self, proxyNode) -> None:
        self._proxy = proxyNode
        self._browser, self._sequence = browserAndSequenceOf(proxyNode)
        self._frame = None
        self._restored = slicer.vtkMRMLSequenceNode()
        self._restored.SetIndexName(self._sequence.GetIndexName())
        self._restored.SetIndexUnit(self._sequence.GetIndexUnit())
        self._restored.SetIndexType(self._sequence.GetIndexType())

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self._sequence.GetNumberOfDataNodes()

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
        """Take the restored frame into the new sequence, and all of `nodes` (name -> result node) out of the scene."""
        self._restored.SetDataNodeAtValue(nodes["restored"], self._sequence.GetNthIndexValue(place))
        for node in nodes.values():
            removeWithDisplay(node)
        self.dropFrame()

    def dropFrame(self) -> None:
        """Take the frame that is worked on out of the scene."""
        node, self._frame = self._frame, None
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            slicer.mrmlScene.RemoveNode(node)

    def finish(self):
        """Put the new sequence into the input's browser; returns the volume that shows its frames."""
        self.dropFrame()
        scene = slicer.mrmlScene
        name = scene.GenerateUniqueName(_("{name} restored").format(name=self._proxy.GetName()))
        self._restored.SetName(name)
        sequence = scene.AddNode(self._restored)
        self._browser.AddSynchronizedSequenceNode(sequence)
        # Slicer's logic makes the proxy when its timer comes round; here it is needed at once.
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(self._browser)
        proxy = self._browser.GetProxyNode(sequence)
        proxy.SetName(name)
        proxy.SetAndObserveTransformNodeID(self._proxy.GetTransformNodeID())
        proxy.CreateDefaultDisplayNodes()
        proxy.GetDisplayNode().AutoWindowLevelOff()
        showAsInput(proxy, self._proxy)
        placeBeside(proxy, self._proxy)
        return proxy

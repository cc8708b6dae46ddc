"""Every volume has its own settings: one parameter node for each, kept with the scene.

The module's own parameter node (a singleton) only says which volume was chosen last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import slicer
from slicer.i18n import tr as _

INPUT_ROLE = "LRformerSlicerInput"
"""Node reference from a settings node to its volume, and from the module's own node to the volume chosen last."""


class VolumeSettings:
    """Finds and makes settings nodes.

    moduleNode: the module's own parameter node; wrap: makes the typed parameters of such a node; shared: names of the
    parameters that are no matter of one volume, which a new one takes over from the volume chosen last.
    """

    def __init__(self, moduleNode, wrap: Callable, shared: Iterable[str]) -> None:
        self._moduleNode = moduleNode
        self._wrap = wrap
        self._shared = tuple(shared)

    @property
    def currentInput(self):
        """The volume chosen last in this scene, or None."""
        return self._moduleNode.GetNodeReference(INPUT_ROLE)

    def of(self, volume, makeCurrent: bool = True):
        """The typed parameters of `volume`, made when first asked for; None has the defaults."""
        previous = self._nodeOf(self.currentInput) or self._moduleNode
        if makeCurrent and self.currentInput != volume:
            self._moduleNode.SetNodeReferenceID(INPUT_ROLE, volume.GetID() if volume is not None else None)
        if volume is None:
            return self._wrap(self._moduleNode)
        node = self._nodeOf(volume)
        if node is not None:
            return self._wrap(node)
        parameters, pattern = self._wrap(self._makeNode(volume)), self._wrap(previous)
        for name in self._shared:
            setattr(parameters, name, getattr(pattern, name))
        parameters.inputVolume = volume
        return parameters

    def _makeNode(self, volume):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetName(_("LRformer settings of {name}").format(name=volume.GetName()))
        node.SetHideFromEditors(True)
        node = slicer.mrmlScene.AddNode(node)
        node.SetNodeReferenceID(INPUT_ROLE, volume.GetID())
        return node

    def _nodeOf(self, volume):
        if volume is not None:
            for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):
                if node is not self._moduleNode and node.GetNodeReference(INPUT_ROLE) is volume:
                    return node
        return None

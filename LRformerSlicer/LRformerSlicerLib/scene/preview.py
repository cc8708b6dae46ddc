"""One restored slice, shown in place over the original until something else is shown."""

from __future__ import annotations

import slicer

from LRformerSlicerLib.scene.views import ViewContents, compositeNode, removeWithDisplay


class PreviewLayer:
    """Holds the preview's volume, one slice thick, as the foreground of the slice views."""

    def __init__(self) -> None:
        self._before: ViewContents | None = None
        self._nodeId: str | None = None

    @property
    def isShown(self) -> bool:
        """Whether a preview is to be seen."""
        return self._nodeId is not None

    def show(self, previewNode, nodes) -> None:
        """Show `previewNode` in the views of the slice `nodes`, in place of an earlier preview."""
        self.hide()
        self._before, self._nodeId = ViewContents(nodes), previewNode.GetID()
        for node in nodes:
            composite = compositeNode(node)
            composite.SetForegroundVolumeID(previewNode.GetID())
            composite.SetForegroundOpacity(1.0)

    def hide(self) -> None:
        """Take the preview away, from the scene too; the views are as they were."""
        if self._before is not None:
            self._before.restoreOverlays()
        node = slicer.mrmlScene.GetNodeByID(self._nodeId) if self._nodeId else None
        if node is not None:
            removeWithDisplay(node)
        self._before, self._nodeId = None, None

    def forget(self) -> None:
        """The scene is closed, and the preview with it."""
        self._before, self._nodeId = None, None

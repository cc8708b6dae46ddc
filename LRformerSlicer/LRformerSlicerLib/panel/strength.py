"""Strength: how much of the restoration the restored volume shows."""

import qt

from LRformerSlicerLib.scene.strength import StrengthBlend

IDLE_INTERVAL_MS = 5
"""Between two blocks of a large volume, so that the views and the slider get their turn."""


class StrengthPart:
    """Keeps the restored volume as the slider says; the slider is bound to the parameter node by name.

    What the views show follows at once; the rest of a large volume follows while Slicer has nothing else to do.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._blend = None
        self._timer = qt.QTimer()
        self._timer.setInterval(IDLE_INTERVAL_MS)
        self._timer.connect("timeout()", self.onIdle)

    def update(self, parameters) -> None:
        """Follow `parameters`."""
        canBlend = (
            parameters is not None and parameters.restoredVolume is not None and parameters.differenceVolume is not None
        )
        self._ui.strengthSlider.enabled = canBlend
        if not canBlend:
            self.finish()
            self._blend = None
            return
        nodes = parameters.inputVolume, parameters.restoredVolume, parameters.differenceVolume
        if self._blend is None or not self._blend.fits(*nodes):
            self.finish()
            self._blend = StrengthBlend(*nodes)
        self._blend.start(parameters.strength / 100)
        if self._blend.isPending:
            self._timer.start()

    def finish(self) -> None:
        """Bring the whole volume to the strength that the slider says, before somebody else works with it."""
        self._timer.stop()
        if self._blend is not None:
            self._blend.finish()

    def forget(self) -> None:
        """The volumes hold other voxels now; whatever was left to do would mix the two."""
        self._timer.stop()
        self._blend = None

    def onIdle(self) -> None:
        """Another block."""
        if self._blend is None or not self._blend.isPending:
            self._timer.stop()
        else:
            self._blend.advance()

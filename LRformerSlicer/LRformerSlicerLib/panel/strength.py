"""Strength: how much of the restoration the restored volume shows."""

from LRformerSlicerLib.scene.strength import StrengthBlend


class StrengthPart:
    """Keeps the restored volume as the slider says; the slider is bound to the parameter node by name."""

    def __init__(self, ui) -> None:
        self._ui = ui
        self._blend = None

    def update(self, parameters) -> None:
        """Follow `parameters`."""
        self._ui.strengthSlider.enabled = parameters is not None and parameters.differenceVolume is not None
        if parameters is None or parameters.restoredVolume is None or parameters.differenceVolume is None:
            self._blend = None
            return
        nodes = parameters.inputVolume, parameters.restoredVolume, parameters.differenceVolume
        if self._blend is None or not self._blend.fits(*nodes):
            self._blend = StrengthBlend(*nodes)
        self._blend.apply(parameters.strength / 100)

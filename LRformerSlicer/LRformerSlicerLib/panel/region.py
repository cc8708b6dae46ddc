"""Region: the lesion box, as a prompt and as the only part restored."""

from LRformerSlicerLib.scene.region_box import addRegionBox, regionOf
from LRformerSlicerLib.scene.views import activeSliceNode, rasCenter


class RegionPart:
    """The button that makes a box; selector and check box are bound to the parameter node by name."""

    def __init__(self, ui, cursor) -> None:
        self._ui = ui
        self._cursor = cursor
        self._parameters = None
        ui.newRegionButton.connect("clicked(bool)", self.onNewBox)

    def update(self, parameters) -> None:
        """Follow `parameters`."""
        self._parameters = parameters
        self._ui.newRegionButton.enabled = parameters is not None and parameters.inputVolume is not None
        self._ui.onlyRegionCheckBox.enabled = parameters is not None and parameters.region is not None

    def onNewBox(self, checked=False) -> None:
        """A new box in the middle of the view, chosen at once."""
        view = activeSliceNode(self._cursor.sliceNode())
        center = rasCenter(view) if view is not None else None
        self._parameters.region = addRegionBox(self._parameters.inputVolume, center)


def regionOptions(parameters) -> dict:
    """The fields of restoration.options.RestorationOptions that the region sets."""
    if parameters.region is None:
        return {}
    return {
        "roi_lps_mm": regionOf(parameters.region, parameters.inputVolume),
        "only_roi": parameters.onlyRegion,
    }

"""Compare, Overlay and Preview: the three that decide what the views show, and so know of one another."""

import qt
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.choices import CompareMode, OverlayMap, resultParameter
from LRformerSlicerLib.scene.compare_views import CompareViews, Mode
from LRformerSlicerLib.scene.legend import hideLegend
from LRformerSlicerLib.scene.overlay import Overlay, showDifference
from LRformerSlicerLib.scene.preview import PreviewLayer
from LRformerSlicerLib.scene.views import hasViews, sliceNodes

FLICKER_KEY = "X"

MODES = {
    CompareMode.SIDE_BY_SIDE: Mode.SIDE_BY_SIDE,
    CompareMode.FLICKER: Mode.FLICKER,
    CompareMode.SWIPE: Mode.SWIPE,
    CompareMode.DIFFERENCE: Mode.DIFFERENCE,
}


class Comparison:
    """Makes the views show what the parameter node says.

    Call `update` whenever the parameter node has changed; what is shown already is left alone.
    """

    def __init__(self, ui, shortcutParent, onProblem) -> None:
        self._ui = ui
        self._onProblem = onProblem
        self._views = CompareViews(self.onSwipeDragged)
        self._overlay = Overlay()
        self.preview = PreviewLayer()
        self._parameters = None
        self._shown = None
        self._drawn = None
        self._differenceNode = None
        self._isUpdating = False
        self._buttons = {
            CompareMode.OFF: ui.compareOffButton,
            CompareMode.SIDE_BY_SIDE: ui.sideBySideButton,
            CompareMode.FLICKER: ui.flickerButton,
            CompareMode.SWIPE: ui.swipeButton,
            CompareMode.DIFFERENCE: ui.differenceButton,
        }
        self._slots = {mode: self._slotFor(mode) for mode in self._buttons}
        for mode, button in self._buttons.items():
            button.connect("clicked(bool)", self._slots[mode])
        ui.flickNowButton.connect("clicked(bool)", self.flick)
        self._shortcut = qt.QShortcut(qt.QKeySequence(FLICKER_KEY), shortcutParent)
        self._shortcut.setEnabled(False)
        self._shortcut.connect("activated()", self.flick)

    def update(self, parameters) -> None:
        """Follow `parameters` (LRformerSlicerParameterNode, or None: show nothing of ours)."""
        if self._isUpdating:  # changing nodes may modify the parameter node again
            return
        self._isUpdating = True
        try:
            self._parameters = parameters
            self._updateComparison(parameters)
            self._updateOverlay(parameters)
            self._updateWidgets(parameters)
        except UserError as error:
            self._onProblem(error.message)
        finally:
            self._isUpdating = False

    def showPreview(self, previewNode) -> None:
        """Show a restored slice in place; a comparison's original and difference stay what they are called."""
        self.hideOverlay()
        self.preview.show(previewNode, self._views.restoredSliceNodes() or sliceNodes())
        self._drawn = _overlayOf(self._parameters)  # or the next update would draw the map in place of the preview

    def hidePreview(self) -> None:
        """Take the preview off; the next update draws the map again that it took the place of."""
        self.preview.hide()
        if not self._overlay.isShown:
            self._drawn = None

    def hideOverlay(self) -> None:
        """Take overlay and preview off, so that the views show their volumes alone."""
        self.preview.hide()
        self._overlay.hide()
        self._drawn = None

    def redrawOverlay(self) -> None:
        """The map holds other voxels now: the next update draws it anew."""
        self.preview.hide()
        self._drawn = None

    def forgetScene(self) -> None:
        """The scene is about to be closed: give the user's layout back and hold on to no node."""
        self.hideOverlay()
        self._hideDifference()
        self._views.hide()
        self._shown = self._parameters = None
        self._overlay.forget()
        self.preview.forget()
        self._shortcut.setEnabled(False)

    def flick(self, checked=False) -> None:
        """Show the other volume in the flicker view."""
        self._views.flick()
        self._showWhich()

    def onSwipeDragged(self, share) -> None:
        """The mouse has moved the swipe line to this share of the view's width."""
        if self._parameters is not None:
            self._parameters.swipePosition = 100 * share

    def _slotFor(self, mode):
        def onClicked(checked=False):
            if self._parameters is not None:
                self._parameters.compareMode = mode
            self._updateWidgets(self._parameters)  # a second click on the pressed button must not release it

        return onClicked

    def _updateComparison(self, parameters) -> None:
        wanted = _comparisonOf(parameters)
        if wanted != self._shown:
            self.hideOverlay()
            self._hideDifference()
            if wanted is None:
                self._views.hide()
            else:
                mode, original, restored, difference, orientation = wanted
                self._views.show(MODES[mode], original, restored, difference, orientation.value)
                if mode is CompareMode.DIFFERENCE:
                    showDifference(difference, _unitOf(difference), self._views.shownSliceNodes()[-1:])
                    self._differenceNode = difference
            self._shown = wanted
        if wanted is not None and wanted[0] is CompareMode.SWIPE:
            self._views.setSwipe(parameters.swipePosition / 100)

    def _updateOverlay(self, parameters) -> None:
        wanted = _overlayOf(parameters)
        if wanted == self._drawn or not hasViews():
            return
        self.preview.hide()
        if wanted is None:
            self._overlay.hide()
        else:
            node, choice, opacity, threshold, isContour = wanted
            nodes = self._views.overlaySliceNodes() or sliceNodes()
            title = choice.legend()
            if choice is OverlayMap.EXPECTED_ERROR:
                title = f"{title} ({_unitOf(node)})"
            self._overlay.show(node, title, nodes, opacity, threshold, isContour)
        self._drawn = wanted
        self._views.refreshSwipe()

    def _hideDifference(self) -> None:
        if self._differenceNode is not None and self._differenceNode.GetScene() is not None:
            hideLegend(self._differenceNode)
        self._differenceNode = None

    def _updateWidgets(self, parameters) -> None:
        mode = self._shown[0] if self._shown else CompareMode.OFF
        canCompare = hasViews() and parameters is not None and parameters.restoredVolume is not None
        for buttonMode, button in self._buttons.items():
            button.checked = buttonMode is mode
            button.enabled = canCompare
        self._ui.differenceButton.enabled = canCompare and parameters.differenceVolume is not None
        self._ui.orientationSelector.enabled = canCompare
        self._ui.swipeSlider.visible = mode is CompareMode.SWIPE
        self._ui.flickNowButton.visible = mode is CompareMode.FLICKER
        self._shortcut.setEnabled(mode is CompareMode.FLICKER)
        self._showWhich()
        hasMap = hasViews() and parameters is not None and _hasMap(parameters)
        isDrawn = hasMap and parameters.overlayMap is not OverlayMap.NONE
        self._ui.overlaySelector.enabled = hasMap
        for widget in (self._ui.opacitySlider, self._ui.thresholdSlider, self._ui.contourCheckBox):
            widget.enabled = isDrawn

    def _showWhich(self) -> None:
        shown = _("Original") if self._views.isOriginalShown else _("Restored")
        self._ui.flickNowButton.text = _("Shown: {volume}. Change (key {key})").format(volume=shown, key=FLICKER_KEY)


def _comparisonOf(parameters):
    """What is to be compared, as a tuple that changes when the views must; None for nothing."""
    if parameters is None or not hasViews() or parameters.compareMode is CompareMode.OFF:
        return None
    nodes = parameters.inputVolume, parameters.restoredVolume, parameters.differenceVolume
    needed = nodes if parameters.compareMode is CompareMode.DIFFERENCE else nodes[:2]
    if any(node is None for node in needed):
        return None
    return (parameters.compareMode, *nodes, parameters.orientation)


def _unitOf(node):
    """HU, or arbitrary units: MR has none of its own."""
    return node.GetAttribute("LRformerSlicer.Unit") or _("a.u.")


def _hasMap(parameters):
    """Whether a map holds something; without a prior network those of the prior are zero everywhere."""
    maps = (parameters.priorVolume, parameters.expectedErrorVolume)
    return any(node is not None and node.GetImageData().GetScalarRange()[1] > 0 for node in maps)


def _overlayOf(parameters):
    if parameters is None or parameters.overlayMap is OverlayMap.NONE:
        return None
    choice = parameters.overlayMap
    node = getattr(parameters, resultParameter(choice.value))
    if node is None or node.GetImageData() is None:
        return None
    opacity, threshold = parameters.overlayOpacity / 100, parameters.overlayThreshold
    if choice is OverlayMap.EXPECTED_ERROR:  # in the scan's unit: the slider means a share of the legend's upper end
        threshold *= node.GetDisplayNode().GetWindowLevelMax()
    return node, choice, opacity, threshold, parameters.overlayContour

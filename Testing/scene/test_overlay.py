"""Maps drawn over real slice views, and taken off again."""

import numpy as np
import pytest

from panel_contents import composite_of, give_prior_values, parameters_of


@pytest.mark.parametrize("mode", ["compareOffButton", "sideBySideButton", "swipeButton"])
@pytest.mark.parametrize("is_contour", [False, True])
def test_an_overlay_taken_off_leaves_the_views_bit_identical(restored, pictures, mode, is_contour):
    give_prior_values(restored)
    getattr(restored.ui, mode).click()
    before = pictures()
    restored.ui.contourCheckBox.checked = is_contour
    restored.ui.overlaySelector.currentIndex = 1
    shown = pictures()
    assert all((before[name] != shown[name]).any() for name in before if name not in ("Green", "Yellow"))
    restored.ui.opacitySlider.value = 90
    restored.ui.thresholdSlider.value = 0.4
    assert any((shown[name] != picture).any() for name, picture in pictures().items())
    restored.ui.overlaySelector.currentIndex = 0
    after = pictures()
    assert set(before) == set(after)
    assert all((before[name] == after[name]).all() for name in before)


@pytest.mark.parametrize("is_contour", [False, True])
def test_the_swipe_has_the_overlay_on_both_sides(restored, pictures, is_contour):
    """Map or contour: right of the line as in a view of the restored volume, left of it as in one of the original."""
    import slicer

    node = give_prior_values(restored)
    restored.ui.flickerButton.click()
    restored.ui.contourCheckBox.checked = is_contour
    restored.ui.overlaySelector.currentIndex = 1
    seen = {}
    for share, name in ((0, "restored"), (100, "original")):
        restored.ui.flickerButton.click()
        if name == "original":
            restored.ui.flickNowButton.click()
        seen[name] = pictures()["LRformerSingle"]
        restored.ui.swipeButton.click()
        restored.ui.swipeSlider.value = share
        swiped = pictures()["LRformerSingle"]
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
        assert (legend is None) == is_contour
        columns = slice(4, swiped.shape[1] - 4)  # without the line
        assert (swiped[:, columns] == seen[name][:, columns]).all()
    restored.ui.overlaySelector.currentIndex = 0
    restored.ui.swipeSlider.value = 0
    without = pictures()["LRformerSingle"]
    assert (without[:, columns] != seen["restored"][:, columns]).any()


def test_the_overlay_lies_on_the_anatomy(restored, pictures):
    """The map's square of voxels colours those pixels of the view that show the same voxels, and no others."""
    import slicer

    node = give_prior_values(restored)
    restored.ui.compareOffButton.click()
    before = pictures()["Red"]
    restored.ui.overlaySelector.currentIndex = 1
    slicer.modules.colors.logic().GetColorLegendDisplayNode(node).SetVisibility(False)
    after = pictures()["Red"]
    rows, columns = np.nonzero((before != after).any(axis=2))
    layer = slicer.app.applicationLogic().GetSliceLogicByLayoutName("Red").GetForegroundLayer()
    to_ijk = layer.GetXYToIJKTransform()
    height = after.shape[0]
    places = np.array(
        [to_ijk.TransformPoint((x + 0.5, height - 1 - y + 0.5, 0)) for y, x in zip(rows, columns, strict=True)]
    )
    assert len(places) > 500
    assert (places[:, :2] > 17.5).all() and (places[:, :2] < 42.5).all()


def test_the_overlay_has_a_legend_and_leaves_zero_transparent(restored):
    import slicer

    node = give_prior_values(restored)
    restored.ui.overlaySelector.currentIndex = 1
    display = node.GetDisplayNode()
    assert display.GetApplyThreshold() and display.GetLowerThreshold() == pytest.approx(0.05)
    restored.ui.thresholdSlider.value = 0
    assert display.GetLowerThreshold() > 0
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    assert legend.GetTitleText() == "Prior U"
    restored.ui.overlaySelector.currentIndex = 0
    assert slicer.modules.colors.logic().GetColorLegendDisplayNode(node) is None


def test_the_expected_error_is_drawn_in_the_scans_unit(restored):
    import slicer

    node = parameters_of(restored).expectedErrorVolume
    assert slicer.util.arrayFromVolume(node).max() > 0
    restored.ui.overlaySelector.currentIndex = 4
    assert restored.ui.overlaySelector.currentText.startswith("Expected error")
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    assert legend.GetTitleText() == "Expected error (HU)"
    display = node.GetDisplayNode()
    restored.ui.thresholdSlider.value = 0.5
    assert display.GetLowerThreshold() == pytest.approx(0.5 * display.GetWindowLevelMax())
    assert composite_of("LRformerOriginal").GetForegroundVolumeID() == node.GetID()
    restored.ui.overlaySelector.currentIndex = 0
    assert slicer.modules.colors.logic().GetColorLegendDisplayNode(node) is None


def test_a_map_of_an_earlier_run_does_not_stay(restored, wait_for):
    """Other weights may not tell the expected error: then there is none, instead of the one before."""
    parameters = parameters_of(restored)
    restored.run.keepResult(parameters.inputVolume, {"restored": parameters.restoredVolume}, {})
    assert parameters.expectedErrorVolume is None and parameters.priorVolume is None
    assert parameters.restoredVolume is not None


def test_an_empty_map_cannot_be_chosen(restored):
    parameters_of(restored).expectedErrorVolume = None  # as from weights whose card does not tell it
    restored.updatePanel()
    assert not restored.ui.overlaySelector.enabled  # this run used no prior network
    give_prior_values(restored)
    assert restored.ui.overlaySelector.enabled

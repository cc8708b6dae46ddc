"""Ways to compare, clicked on real widgets and seen in real slice views."""

import numpy as np
import pytest

from panel_contents import composite_of, parameters_of, slice_node


def test_the_first_result_is_shown_side_by_side(restored, application):
    parameters = parameters_of(restored)
    names = sorted(widget.mrmlSliceNode().GetLayoutName() for widget in application.visible_slice_widgets())
    assert names == ["LRformerOriginal", "LRformerRestored"]
    assert restored.ui.sideBySideButton.checked and not restored.ui.compareOffButton.checked
    left, right = composite_of(names[0]), composite_of(names[1])
    assert left.GetBackgroundVolumeID() == parameters.inputVolume.GetID()
    assert right.GetBackgroundVolumeID() == parameters.restoredVolume.GetID()
    assert all(one.GetLinkedControl() and one.GetHotLinkedControl() for one in (left, right))


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
def test_both_sides_show_the_same_slice_at_the_same_zoom(restored, views, orientation):
    import slicer
    import vtk

    restored.ui.orientationSelector.setCurrentText(orientation)
    slicer.app.processEvents()
    first, second = slice_node("LRformerOriginal"), slice_node("LRformerRestored")
    to_ras = [slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in (first, second)]
    assert np.allclose(*to_ras)
    # The scan's own plane that is nearest: an axial cut through an oblique scan would mix its slices.
    normal = to_ras[0][:3, 2]
    assert abs(normal[{"Axial": 2, "Coronal": 1, "Sagittal": 0}[orientation]]) > 0.9
    matrix = vtk.vtkMatrix4x4()
    parameters_of(restored).inputVolume.GetIJKToRASDirectionMatrix(matrix)
    axes = slicer.util.arrayFromVTKMatrix(matrix)[:3, :3]
    assert np.abs(normal @ axes).max() == pytest.approx(1, abs=1e-6)
    zoom = [node.GetFieldOfView()[1] / node.GetDimensions()[1] for node in (first, second)]
    assert zoom[0] == pytest.approx(zoom[1], rel=1e-6)
    width_zoom = [node.GetFieldOfView()[0] / node.GetDimensions()[0] for node in (first, second)]
    assert width_zoom == pytest.approx(zoom, rel=1e-3)


def test_scrolling_one_side_scrolls_the_other(restored):
    import slicer

    logics = [
        slicer.app.applicationLogic().GetSliceLogicByLayoutName(n) for n in ("LRformerOriginal", "LRformerRestored")
    ]
    before = logics[1].GetSliceOffset()
    # As a slice view's scrolling does it.
    logics[0].StartSliceOffsetInteraction()
    logics[0].SetSliceOffset(before + 2.5)
    logics[0].EndSliceOffsetInteraction()
    assert logics[1].GetSliceOffset() == pytest.approx(before + 2.5)


def test_window_and_level_stay_the_same_on_both_sides(restored):
    parameters = parameters_of(restored)
    displays = [parameters.inputVolume.GetDisplayNode(), parameters.restoredVolume.GetDisplayNode()]
    displays[0].SetWindowLevel(180, 60)
    assert (displays[1].GetWindow(), displays[1].GetLevel()) == (180, 60)
    displays[1].SetWindowLevel(900, -100)
    assert (displays[0].GetWindow(), displays[0].GetLevel()) == (900, -100)


def test_flicker_changes_the_picture_and_changes_it_back(restored, pictures, application):
    restored.ui.flickerButton.click()
    first = pictures()["LRformerSingle"]
    assert composite_of("LRformerSingle").GetBackgroundVolumeID() == parameters_of(restored).restoredVolume.GetID()
    restored.ui.flickNowButton.click()
    assert "Original" in restored.ui.flickNowButton.text
    second = pictures()["LRformerSingle"]
    application.emit(restored.comparison._shortcut, "activated")  # the key
    third = pictures()["LRformerSingle"]
    assert (first != second).any()
    assert (first == third).all()


def test_the_flicker_key_is_off_in_the_other_modes(restored):
    assert not restored.comparison._shortcut.enabled
    restored.ui.flickerButton.click()
    assert restored.comparison._shortcut.enabled
    restored.ui.swipeButton.click()
    assert not restored.comparison._shortcut.enabled


def test_pressed_keys_flick_restore_and_cancel(restored, application):
    """Real key presses into the window: flicker, and while a text is typed there is none."""
    restored.ui.flickerButton.click()
    for shown in ("Original", "Restored"):
        application.press_key("X")
        assert restored.ui.flickNowButton.text.startswith(f"Shown: {shown}")
    restored.ui.advancedSection.collapsed = False
    restored.ui.modelLineEdit.setFocus()
    application.press_key("X", restored.ui.modelLineEdit)
    assert restored.ui.modelLineEdit.text == "x"
    assert restored.ui.flickNowButton.text.startswith("Shown: Restored")
    restored.ui.modelLineEdit.text = ""
    application.press_key("Ctrl+Return")
    assert restored.logic.busy
    application.press_key("Escape")
    assert not restored.logic.busy and restored.ui.statusLabel.text.startswith("Cancelled")


def test_the_swipe_shows_the_original_left_of_the_line_and_the_restored_right_of_it(restored, pictures):
    restored.ui.flickerButton.click()
    of_restored = pictures()["LRformerSingle"]
    restored.ui.flickNowButton.click()
    of_original = pictures()["LRformerSingle"]
    restored.ui.swipeButton.click()
    assert restored.ui.swipeSlider.visible
    for percent in (30, 70):
        restored.ui.swipeSlider.value = percent
        picture = pictures()["LRformerSingle"]
        line = round(picture.shape[1] * percent / 100)
        assert (picture[:, : line - 2] == of_original[:, : line - 2]).all()
        assert (picture[:, line + 3 :] == of_restored[:, line + 3 :]).all()
    assert (of_original != of_restored).any()
    restored.ui.compareOffButton.click()
    restored.ui.flickerButton.click()
    assert (pictures()["LRformerSingle"] == of_restored).all(), "the swipe left something in the view"


def test_the_difference_map_is_signed_symmetric_and_has_a_legend_in_hu(restored, views):
    import slicer

    parameters = parameters_of(restored)
    restored.ui.differenceButton.click()
    difference = parameters.differenceVolume
    display = difference.GetDisplayNode()
    assert display.GetWindowLevelMin() == pytest.approx(-display.GetWindowLevelMax())
    change = slicer.util.arrayFromVolume(difference)
    assert change.min() < 0 < change.max()
    voxels = [
        slicer.util.arrayFromVolume(node).astype(float) for node in (parameters.restoredVolume, parameters.inputVolume)
    ]
    assert np.array_equal(change, (voxels[0] - voxels[1]).astype(np.float32))
    colors = [[0.0] * 4 for _ in range(3)]
    for index, color in zip((0, 128, 255), colors, strict=True):
        display.GetColorNode().GetColor(index, color)
    assert colors[0][2] > colors[0][0] and colors[2][0] > colors[2][2] and max(colors[1][:3]) < 0.05
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(difference)
    assert "HU" in legend.GetTitleText()
    assert legend.GetViewNodeIDs() == (slice_node("LRformerDifference").GetID(),)
    restored.ui.sideBySideButton.click()
    assert slicer.modules.colors.logic().GetColorLegendDisplayNode(difference) is None


def test_off_gives_the_users_layout_back_with_what_it_showed(restored, views, pictures):
    import slicer

    restored.ui.compareOffButton.click()
    manager = slicer.app.layoutManager()
    manager.setLayout(29)
    before = pictures()
    for button in ("sideBySideButton", "flickerButton", "swipeButton", "differenceButton"):
        getattr(restored.ui, button).click()
        assert manager.layout != 29
    restored.ui.compareOffButton.click()
    assert manager.layout == 29
    after = pictures()
    assert set(before) == set(after) == {"Red", "Yellow"}
    assert all((before[name] == after[name]).all() for name in before)


def test_a_layout_chosen_in_slicer_meanwhile_is_not_taken_away(restored, views):
    import slicer

    slicer.app.layoutManager().setLayout(6)
    restored.ui.compareOffButton.click()
    assert slicer.app.layoutManager().layout == 6

"""Compare, overlay, strength, region, preview and report, clicked on real widgets and seen in real slice views."""

import json

import numpy as np
import pytest


def composite_of(name):
    import slicer

    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name).GetSliceCompositeNode()


def slice_node(name):
    import slicer

    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name).GetSliceNode()


def parameters_of(panel):
    return panel._parameterNode


def give_prior_values(panel):
    """A prior that is not zero, as a run with MedSAM would make: the runs here use none, for speed."""
    import slicer

    node = parameters_of(panel).priorVolume
    voxels = slicer.util.arrayFromVolume(node)
    voxels[:, 20:40, 20:40] = np.linspace(0.1, 0.9, 20, dtype=np.float32)
    slicer.util.arrayFromVolumeModified(node)
    node.GetDisplayNode().SetWindowLevelMinMax(0, 1)
    panel.updatePanel()
    return node


# Compare


def test_the_first_result_is_shown_side_by_side(restored, views):
    parameters = parameters_of(restored)
    names = [widget.mrmlSliceNode().GetLayoutName() for widget in views.layoutManager.visibleSliceWidgets()]
    assert names == ["LRformerOriginal", "LRformerRestored"]
    assert restored.ui.sideBySideButton.checked and not restored.ui.compareOffButton.checked
    left, right = composite_of(names[0]), composite_of(names[1])
    assert left.GetBackgroundVolumeID() == parameters.inputVolume.GetID()
    assert right.GetBackgroundVolumeID() == parameters.restoredVolume.GetID()
    assert all(one.GetLinkedControl() and one.GetHotLinkedControl() for one in (left, right))


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
def test_both_sides_show_the_same_slice_at_the_same_zoom(restored, views, orientation):
    import slicer

    restored.ui.orientationSelector.setCurrentText(orientation)
    slicer.app.processEvents()
    first, second = slice_node("LRformerOriginal"), slice_node("LRformerRestored")
    to_ras = [slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in (first, second)]
    assert np.allclose(*to_ras)
    assert [node.GetOrientation() for node in (first, second)] == [orientation] * 2
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


def test_flicker_changes_the_picture_and_changes_it_back(restored, pictures):
    restored.ui.flickerButton.click()
    first = pictures()["LRformerSingle"]
    assert composite_of("LRformerSingle").GetBackgroundVolumeID() == parameters_of(restored).restoredVolume.GetID()
    restored.ui.flickNowButton.click()
    assert "Original" in restored.ui.flickNowButton.text
    second = pictures()["LRformerSingle"]
    restored.comparison._shortcut.activated.emit()  # the key
    third = pictures()["LRformerSingle"]
    assert (first != second).any()
    assert (first == third).all()


def test_the_flicker_key_is_off_in_the_other_modes(restored):
    assert not restored.comparison._shortcut.enabled
    restored.ui.flickerButton.click()
    assert restored.comparison._shortcut.enabled
    restored.ui.swipeButton.click()
    assert not restored.comparison._shortcut.enabled


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
    restored.ui.compareOffButton.click()
    manager = views.layoutManager
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
    views.layoutManager.setLayout(6)
    restored.ui.compareOffButton.click()
    assert views.layoutManager.layout == 6


# Overlay


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


# Strength


def test_strength_blends_original_and_restored_without_the_network(restored, monkeypatch):
    import slicer

    parameters = parameters_of(restored)
    original = slicer.util.arrayFromVolume(parameters.inputVolume).astype(float)
    full = slicer.util.arrayFromVolume(parameters.restoredVolume).astype(float)
    monkeypatch.setattr(restored.logic, "startRestoration", lambda *a, **k: pytest.fail("the network ran again"))
    for percent in (50, 0, 25, 100):
        restored.ui.strengthSlider.value = percent
        shown = slicer.util.arrayFromVolume(parameters.restoredVolume)
        assert shown.dtype == np.int16
        assert np.abs(shown - (original + percent / 100 * (full - original))).max() <= 0.5001, percent
    assert np.array_equal(shown, full)


def test_strength_zero_is_the_original_voxel_for_voxel(restored):
    import slicer

    restored.ui.strengthSlider.value = 0
    nodes = parameters_of(restored).inputVolume, parameters_of(restored).restoredVolume
    assert np.array_equal(*(slicer.util.arrayFromVolume(node) for node in nodes))


# Region


def test_a_new_box_restores_only_inside(restored, wait_for):
    import slicer

    parameters = parameters_of(restored)
    restored.ui.newRegionButton.click()
    assert restored.ui.regionSelector.currentNode() is parameters.region
    restored.ui.onlyRegionCheckBox.checked = True
    restored.ui.restoreButton.click()
    wait_for(lambda: not restored.logic.busy)
    assert restored.ui.statusLabel.text.startswith("Restored"), restored.ui.statusLabel.text
    change = slicer.util.arrayFromVolume(parameters.differenceVolume)
    where = np.argwhere(change != 0)
    assert 0 < len(where) < 0.2 * change.size
    bounds = [0.0] * 6
    parameters.region.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    matrix = slicer.vtkMRMLScalarVolumeNode  # the volume's own matrix, then its table position of 17.5 mm along R
    matrix = np.zeros((4, 4))
    import vtk

    to_ras = vtk.vtkMatrix4x4()
    parameters.inputVolume.GetIJKToRASMatrix(to_ras)
    matrix = slicer.util.arrayFromVTKMatrix(to_ras)
    points = (matrix @ np.c_[where[:, ::-1], np.ones(len(where))].T)[:3].T + [17.5, 0, 0]
    slack = 2.6  # a slice is as thick as its spacing
    assert (points > low - slack).all() and (points < high + slack).all()


# Preview


def test_the_preview_is_shown_in_place_and_goes_without_a_trace(
    panel_with_views, add_ct, wait_for, pictures, scene_state
):
    import slicer

    panel = panel_with_views
    volume = add_ct(slices=6, size=64)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.PropagateVolumeSelection(1)
    panel.ui.inputSelector.setCurrentNode(volume)
    before, state = pictures(), scene_state()
    panel.ui.previewButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert "This slice" in panel.ui.statusLabel.text, panel.ui.statusLabel.text
    assert panel.ui.previewButton.text == "Hide preview"
    preview = slicer.util.getNode("Thorax preview*")
    assert preview.GetImageData().GetDimensions() == (64, 64, 1)
    assert (pictures()["Red"] != before["Red"]).any()
    panel.ui.previewButton.click()
    assert all((picture == before[name]).all() for name, picture in pictures().items())
    assert scene_state() == state


def test_the_preview_is_of_the_slice_that_the_view_shows(panel_with_views, add_ct, wait_for):
    import slicer

    from LRformerSlicerLib.scene.recognition import acquisitionSliceAt

    panel = panel_with_views
    volume = add_ct(slices=6, size=64)
    panel.ui.inputSelector.setCurrentNode(volume)
    matrix = __import__("vtk").vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    ras = np.array(matrix.MultiplyPoint((31.5, 31.5, 4, 1)))[:3] + [17.5, 0, 0]
    assert acquisitionSliceAt(volume, ras) == 4
    slicer.app.applicationLogic().GetSliceLogicByLayoutName("Red").GetSliceNode().JumpSliceByCentering(*ras)
    panel.ui.previewButton.click()
    wait_for(lambda: not panel.logic.busy)
    preview = slicer.util.getNode("Thorax preview*")
    preview.GetIJKToRASMatrix(matrix)
    assert np.array(matrix.MultiplyPoint((31.5, 31.5, 0, 1)))[:3] + [17.5, 0, 0] == pytest.approx(ras, abs=1e-2)


# Report


def report_rows(panel):
    table = panel.ui.reportTable
    return {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount)}


def test_the_report_says_what_was_done(restored):
    rows = report_rows(restored)
    assert rows["Task"] == "ct-denoise"
    assert "untrained ct-denoise" in rows["Model"]
    assert "HU" in rows["Noise SD"] and "HU" in rows["Largest change"]
    before = json.loads(parameters_of(restored).report)["change"]["noise_sd_before"]
    assert before == pytest.approx(30, rel=0.25)  # the phantom's noise


def test_a_click_on_the_largest_change_jumps_there(restored):
    import slicer

    table = restored.ui.reportTable
    row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == "Largest change")
    table.cellClicked.emit(row, 1)
    change = slicer.util.arrayFromVolume(parameters_of(restored).differenceVolume)
    node = slice_node("LRformerRestored")
    ras = [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    layer = slicer.app.applicationLogic().GetSliceLogicByLayoutName("LRformerRestored").GetBackgroundLayer()
    columns, rows, _depth = node.GetDimensions()
    i, j, k = np.rint(layer.GetXYToIJKTransform().TransformPoint((columns / 2, rows / 2, 0))).astype(int)
    assert abs(change[k, j, i]) == pytest.approx(np.abs(change).max()), ras


def test_the_report_is_copied_and_saved(restored, tmp_path):
    import qt

    restored.ui.copyReportButton.click()
    text = qt.QApplication.clipboard().text()
    assert "Noise SD" in text and "not for diagnosis" in text and "Patch 1" in text
    path = tmp_path / "report.json"
    qt.QFileDialog.answers.append(str(path))
    restored.ui.saveReportButton.click()
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["task"] == "ct-denoise" and "not for diagnosis" in saved["use"]
    qt.QFileDialog.answers.append(str(tmp_path / "no such folder" / "report.json"))
    restored.ui.saveReportButton.click()
    assert "choose another folder" in restored.ui.statusLabel.text


def test_psnr_is_reported_with_a_reference(restored, wait_for):
    pytest.importorskip("skimage")
    restored.ui.referenceSelector.setCurrentNode(parameters_of(restored).inputVolume)
    restored.ui.restoreButton.click()
    wait_for(lambda: not restored.logic.busy)
    assert {"PSNR", "SSIM"} <= set(report_rows(restored))


# Settings


def test_each_volume_has_its_own_settings(restored, add_ct):
    import slicer

    first = parameters_of(restored).inputVolume
    restored.ui.strengthSlider.value = 40
    second = add_ct(name="Second")
    restored.ui.inputSelector.setCurrentNode(second)
    assert restored.ui.strengthSlider.value == 100
    assert parameters_of(restored).restoredVolume is None
    assert slicer.app.layoutManager().layout not in (7311, 7312, 7313)
    restored.ui.taskSelector.currentIndex = 4
    restored.ui.inputSelector.setCurrentNode(first)
    assert restored.ui.strengthSlider.value == 40
    assert restored.ui.taskSelector.currentIndex == 0
    assert restored.ui.sideBySideButton.checked


def test_deleting_the_result_while_it_is_compared_gives_the_layout_back(restored, views, scene):
    scene.RemoveNode(parameters_of(restored).restoredVolume)
    assert views.layoutManager.layout not in (7311, 7312, 7313)
    assert not restored.ui.sideBySideButton.enabled
    assert restored.ui.restoreButton.enabled


def test_closing_the_scene_while_comparing_gives_the_layout_back(restored, views, scene):
    give_prior_values(restored)
    restored.ui.overlaySelector.currentIndex = 1
    restored.ui.swipeButton.click()
    scene.Clear()
    assert views.layoutManager.layout not in (7311, 7312, 7313)
    assert not restored.ui.restoreButton.enabled and not restored.ui.sideBySideButton.enabled
    assert report_rows(restored) == {}


def test_the_panel_fits_one_screen_of_1080_lines(restored):
    # Slicer's own menu, tool bars and the module panel's head take about 150 lines.
    assert restored.uiWidget.minimumSizeHint().height() <= 930
    assert restored.ui.advancedSection.collapsed


def test_every_control_has_a_tool_tip(restored):
    import qt

    kinds = (qt.QPushButton, qt.QComboBox, qt.QCheckBox, qt.QSpinBox, qt.QLineEdit, qt.QTableWidget)
    controls = [
        widget
        for name, widget in vars(restored.ui).items()
        if not name.startswith("qt_") and (isinstance(widget, kinds) or name.endswith(("Selector", "Slider")))
    ]
    assert len(controls) > 25
    assert [widget.objectName for widget in controls if not widget.toolTip.endswith(".")] == []

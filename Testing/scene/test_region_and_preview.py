"""The lesion box and the preview of one slice, in real slice views."""

import json

import numpy as np
import pytest

from panel_contents import composite_of, give_prior_values, parameters_of, report_rows


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
    assert json.loads(parameters.report)["change"]["within"] == "box"
    assert "Mean shift in the box" in report_rows(restored)


def test_the_box_does_not_cover_what_lies_in_it(restored, pictures):
    restored.ui.compareOffButton.click()
    before = pictures()["Red"]
    restored.ui.newRegionButton.click()
    after = pictures()["Red"]
    changed = (before != after).any(axis=2)
    assert changed.any()
    rows, columns = changed.shape
    middle = changed[rows // 2 - 40 : rows // 2 + 40, columns // 2 - 40 : columns // 2 + 40]
    assert middle.mean() < 0.05, "only the box's centre is drawn there"


def test_the_preview_is_shown_in_place_and_goes_without_a_trace(panel_with_volume, wait_for, pictures, scene_state):
    import slicer

    panel = panel_with_volume
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


def test_the_preview_leaves_the_original_of_a_comparison_alone(restored, wait_for, pictures):
    before = pictures()
    restored.ui.previewButton.click()
    wait_for(lambda: not restored.logic.busy)
    assert composite_of("LRformerRestored").GetForegroundVolumeID()
    assert composite_of("LRformerOriginal").GetForegroundVolumeID() is None
    assert (pictures()["LRformerOriginal"] == before["LRformerOriginal"]).all()


def test_the_preview_takes_the_place_of_a_map_and_gives_it_back(restored, wait_for, pictures):
    node = give_prior_values(restored)
    restored.ui.overlaySelector.currentIndex = 1
    before = pictures()
    restored.ui.previewButton.click()
    wait_for(lambda: not restored.logic.busy)
    assert restored.ui.previewButton.text == "Hide preview"
    assert composite_of("LRformerRestored").GetForegroundVolumeID() != node.GetID()
    restored.ui.previewButton.click()
    assert composite_of("LRformerRestored").GetForegroundVolumeID() == node.GetID()
    assert all((picture == before[name]).all() for name, picture in pictures().items())
    assert restored.ui.statusLabel.text == ""


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

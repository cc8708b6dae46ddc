"""The user's layout comes back after a comparison, and a comparison's own layout is never taken for it."""

import pytest

FOUR_UP, ONE_UP_RED = 3, 6


@pytest.fixture
def layout(views):
    import slicer

    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    yield node
    node.SetViewArrangement(FOUR_UP)


def test_off_gives_back_the_layout_the_user_had(restored, layout):
    restored.ui.compareOffButton.click()
    layout.SetViewArrangement(ONE_UP_RED)
    restored.ui.sideBySideButton.click()
    assert layout.GetViewArrangement() == 7311
    restored.ui.flickerButton.click()
    restored.ui.compareOffButton.click()
    assert layout.GetViewArrangement() == ONE_UP_RED


def test_off_after_a_scene_that_was_saved_during_a_comparison(restored, layout, scene, tmp_path):
    import slicer

    restored.ui.compareOffButton.click()
    layout.SetViewArrangement(ONE_UP_RED)
    restored.ui.differenceButton.click()
    path = tmp_path / "scene.mrml"
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        node.AddDefaultStorageNode(str(tmp_path / f"{node.GetID()}.nrrd"))
        assert node.GetStorageNode().WriteData(node)
    scene.SetRootDirectory(str(tmp_path))
    assert scene.Commit(str(path))
    assert "7313" in path.read_text()
    scene.Clear()
    scene.SetURL(str(path))
    assert scene.Import()
    assert layout.GetViewArrangement() == 7313 and restored.ui.differenceButton.checked, "the comparison comes back"
    restored.ui.compareOffButton.click()
    assert layout.GetViewArrangement() == ONE_UP_RED


@pytest.mark.parametrize("remembered", ["7312", "no number", None, "99999"])
def test_a_comparisons_layout_from_slicers_settings_is_left_for_four_up(panel_with_volume, layout, remembered):
    import qt

    from LRformerSlicerLib.scene import compare_layouts

    settings = qt.QSettings()
    settings.remove(compare_layouts.USER_LAYOUT_SETTING)
    if remembered is not None:
        settings.setValue(compare_layouts.USER_LAYOUT_SETTING, remembered)
    compare_layouts.addCompareLayouts(layout)
    layout.SetViewArrangement(7312)  # as after a crash, with Slicer set to restore its window
    compare_layouts.rememberUserLayout(layout)
    compare_layouts.leaveCompareLayout(layout)
    assert layout.GetViewArrangement() == FOUR_UP


def test_reload_during_a_comparison_gives_the_layout_back(restored, layout):
    restored.ui.compareOffButton.click()
    layout.SetViewArrangement(ONE_UP_RED)
    restored.ui.swipeButton.click()
    restored.cleanup()
    assert layout.GetViewArrangement() == ONE_UP_RED

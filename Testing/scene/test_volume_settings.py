"""Settings of one volume each, and results or scenes that go while they are compared."""

from panel_contents import give_prior_values, parameters_of, report_rows


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

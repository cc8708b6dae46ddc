"""Sequences: the frame that is shown, or every frame. Slicer's real sequence nodes and logic; not the application."""

import json

import numpy as np
import psutil
import pytest

from panel_contents import report_rows

FRAMES = 3


@pytest.fixture
def cine(scene, add_ct):
    """A CT sequence of three frames, in seconds, in a browser; returns proxy, sequence, browser."""

    def make(slices=2):
        import slicer

        sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
        sequence.SetIndexName("time")
        sequence.SetIndexUnit("s")
        frame = add_ct(slices=slices, name="Cine frame")
        for second in range(FRAMES):
            slicer.util.arrayFromVolume(frame)[:, 5:15, 5:15] = 100 * second
            sequence.SetDataNodeAtValue(frame, str(second))
        browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Cine browser")
        browser.AddProxyNode(frame, sequence, False)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        return frame, sequence, browser

    return make


def show_frame(browser, number):
    import slicer

    browser.SetSelectedItemNumber(number)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def test_the_choice_shows_only_for_a_frame_of_a_sequence(panel, cine, add_ct):
    proxy, _sequence, _browser = cine()
    panel.ui.inputSelector.setCurrentNode(add_ct(name="Still"))
    assert not panel.ui.everyFrameCheckBox.visible
    panel.ui.inputSelector.setCurrentNode(proxy)
    assert panel.ui.everyFrameCheckBox.visible and not panel.ui.everyFrameCheckBox.checked
    assert panel.ui.everyFrameCheckBox.text == "Every frame (3), not only the one shown"


def test_without_the_choice_the_frame_that_is_shown_is_restored(panel, cine, wait_for):
    import slicer

    proxy, sequence, browser = cine()
    show_frame(browser, 2)
    panel.ui.inputSelector.setCurrentNode(proxy)
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    restored = panel._parameterNode.restoredVolume
    assert slicer.util.arrayFromVolume(restored)[:, 7:13, 7:13].mean() == pytest.approx(200, abs=60)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 1
    assert sequence.GetNumberOfDataNodes() == FRAMES


def test_every_frame_gives_a_sequence_that_plays_along(panel, cine, wait_for, scene, voxel_hash):
    import slicer

    proxy, sequence, browser = cine()
    before = [voxel_hash(sequence.GetNthDataNode(place)) for place in range(FRAMES)]
    panel.ui.inputSelector.setCurrentNode(proxy)
    panel.ui.everyFrameCheckBox.click()
    assert panel._parameterNode.everyFrame
    seen = []
    panel.ui.restoreButton.click()
    assert panel.ui.restoreButton.text == "Cancel" and not panel.ui.everyFrameCheckBox.enabled
    wait_for(lambda: seen.append(panel.ui.statusLabel.text) or not panel.logic.busy)
    assert panel.ui.statusLabel.text.startswith("Restored 3 frames as 'Cine frame restored' in"), seen[-3:]
    assert any(text.startswith("Frame 2 of 3. ") for text in seen)

    restored = panel._parameterNode.restoredVolume
    new = browser.GetSequenceNode(restored)
    assert new is not None and new is not sequence and browser.GetProxyNode(new) is restored
    assert [new.GetNthIndexValue(place) for place in range(FRAMES)] == ["0", "1", "2"]
    assert (new.GetIndexName(), new.GetIndexUnit()) == ("time", "s")
    for place in range(FRAMES):
        old_node, new_node = sequence.GetNthDataNode(place), new.GetNthDataNode(place)
        old, now = (slicer.util.arrayFromVolume(node) for node in (old_node, new_node))
        assert now.dtype == old.dtype and now.shape == old.shape and (now != old).any()
        assert now[:, 7:13, 7:13].mean() == pytest.approx(100 * place, abs=60)
        for node in (old_node, new_node):
            assert node.GetSpacing() == pytest.approx(proxy.GetSpacing())
        show_frame(browser, place)
        assert (slicer.util.arrayFromVolume(restored) == now).all() and (
            slicer.util.arrayFromVolume(proxy) == old
        ).all()
    assert [voxel_hash(sequence.GetNthDataNode(place)) for place in range(FRAMES)] == before
    # Shown as the input is, in its study and under its transform; no frame is left in the scene, but the maps.
    assert restored.GetDisplayNode().GetWindow() == 350 and not restored.GetDisplayNode().GetAutoWindowLevel()
    assert restored.GetParentTransformNode() is proxy.GetParentTransformNode()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = [hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (proxy, restored)]
    assert items[0] == items[1]
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    maps = ("restored", "prior", "consistency", "uncertainty", "difference", "expected error")
    assert {node.GetName() for node in volumes} == {"Cine frame", *(f"Cine frame {name}" for name in maps)}
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeDisplayNode") == 7


@pytest.fixture
def played(panel_with_views, cine, wait_for):
    """The panel after all frames were restored; its input's browser."""
    proxy, _sequence, browser = cine()
    panel_with_views.ui.inputSelector.setCurrentNode(proxy)
    panel_with_views.ui.everyFrameCheckBox.click()
    panel_with_views.ui.restoreButton.click()
    wait_for(lambda: not panel_with_views.logic.busy)
    return panel_with_views, browser


def test_report_and_maps_are_those_of_the_frame_that_is_shown(played, wait_for, tmp_path, application, monkeypatch):
    import slicer

    panel, browser = played
    parameters = panel._parameterNode
    assert panel.ui.sideBySideButton.checked and panel.ui.differenceButton.enabled
    reports = json.loads(parameters.frameReports)
    assert len({report["change"]["mean_shift"] for report in reports}) == FRAMES
    for place in (2, 0, 1):
        show_frame(browser, place)
        wait_for(lambda place=place: report_rows(panel).get("Frame") == f"{place + 1} of 3", 5)
        assert json.loads(parameters.report) == reports[place]
        original, restored, change = (
            slicer.util.arrayFromVolume(node).astype(np.float32)
            for node in (parameters.inputVolume, parameters.restoredVolume, parameters.differenceVolume)
        )
        np.testing.assert_array_equal(restored - original, change)
        assert np.abs(change).max() == pytest.approx(abs(reports[place]["change"]["largest_change"]))
    assert parameters.differenceVolume.GetAttribute("LRformerSlicer.Unit") == "HU"
    path = tmp_path / "report.json"
    application.answer_file_dialogs(monkeypatch, path)
    panel.ui.saveReportButton.click()
    assert json.loads(path.read_text(encoding="utf-8"))["frames"] == reports


def test_strength_and_contour_follow_the_frame(played, wait_for):
    import slicer

    panel, browser = played
    parameters = panel._parameterNode
    panel.ui.strengthSlider.value = 0
    panel.ui.overlaySelector.currentIndex = 4
    panel.ui.contourCheckBox.checked = True
    contour = slicer.util.getNode("LRformer contour")
    for place in (2, 0):
        show_frame(browser, place)
        wait_for(lambda place=place: report_rows(panel).get("Frame") == f"{place + 1} of 3", 5)
        original, restored, error = (
            slicer.util.arrayFromVolume(node)
            for node in (parameters.inputVolume, parameters.restoredVolume, parameters.expectedErrorVolume)
        )
        np.testing.assert_array_equal(restored, original)
        threshold = 0.05 * parameters.expectedErrorVolume.GetDisplayNode().GetWindowLevelMax()
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(contour) > 0, error >= threshold)


def test_a_frame_chosen_while_another_module_is_open_is_caught_up_with(played, wait_for):
    import slicer

    panel, browser = played
    parameters = panel._parameterNode
    panel.ui.strengthSlider.value = 0
    layout = slicer.app.layoutManager().layout
    panel.exit()
    show_frame(browser, 2)
    wait_for(lambda: panel.strength._blend is None, 5)
    assert slicer.app.layoutManager().layout == layout
    panel.enter()
    assert report_rows(panel)["Frame"] == "3 of 3"
    original, restored = (
        slicer.util.arrayFromVolume(node) for node in (parameters.inputVolume, parameters.restoredVolume)
    )
    np.testing.assert_array_equal(restored, original)


def test_maps_too_large_to_keep_are_left_out_and_the_frames_compared(panel_with_views, cine, wait_for, monkeypatch):
    from LRformerSlicerLib.scene import frames

    monkeypatch.setattr(frames, "MAPS_LIMIT_BYTES", 1000)
    panel = panel_with_views
    proxy, _sequence, browser = cine()
    panel.ui.inputSelector.setCurrentNode(proxy)
    panel.ui.everyFrameCheckBox.click()
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert "were not kept: restore a single frame to see them." in panel.ui.statusLabel.text
    assert panel._parameterNode.differenceVolume is None and browser.GetNumberOfSynchronizedSequenceNodes(True) == 2
    assert panel.ui.sideBySideButton.checked and not panel.ui.differenceButton.enabled
    assert not panel.ui.strengthSlider.enabled and not panel.ui.overlaySelector.enabled
    assert report_rows(panel).get("Frame") == "1 of 3"


def test_each_frame_is_what_a_restoration_of_it_alone_gives(panel, cine, wait_for, voxel_hash):
    proxy, _sequence, browser = cine()
    panel.ui.inputSelector.setCurrentNode(proxy)
    show_frame(browser, 1)
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    alone = voxel_hash(panel._parameterNode.restoredVolume)
    panel.ui.everyFrameCheckBox.click()
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert voxel_hash(browser.GetSequenceNode(panel._parameterNode.restoredVolume).GetNthDataNode(1)) == alone


def test_cancel_leaves_the_scene_as_it_was(panel, cine, wait_for, scene_state):
    proxy, _sequence, _browser = cine(slices=60)
    panel.ui.inputSelector.setCurrentNode(proxy)
    panel.ui.everyFrameCheckBox.click()
    before = scene_state()
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Frame 2 of 3. Restoring"))
    worker = psutil.Process(panel.logic._client.pid)
    panel.ui.restoreButton.click()
    assert not worker.is_running() and not panel.logic.busy
    assert panel.ui.statusLabel.text == "Cancelled. The scene is as it was."
    assert scene_state() == before


def test_a_frame_that_fails_ends_it_with_one_sentence(panel, cine, wait_for, scene_state):
    import slicer

    proxy, sequence, _browser = cine()
    voxels = slicer.util.arrayFromVolume(sequence.GetNthDataNode(1))
    voxels[:] = 3
    panel.ui.inputSelector.setCurrentNode(proxy)
    panel.ui.everyFrameCheckBox.click()
    before = scene_state()
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert panel.ui.statusLabel.text.startswith("Frame 2: All voxels of 'Cine frame frame 2' have the same value")
    assert scene_state() == before


def test_the_choice_is_kept_for_its_volume(panel, cine):
    proxy, _sequence, _browser = cine()
    panel.ui.inputSelector.setCurrentNode(proxy)
    panel.ui.everyFrameCheckBox.click()
    panel.ui.inputSelector.setCurrentNode(None)
    panel.ui.inputSelector.setCurrentNode(proxy)
    assert panel.ui.everyFrameCheckBox.checked

"""What must not crash, hang or leave anything behind: keys, second clicks, deletions, full disks, missing packages."""

import os
import sys
from pathlib import Path

import psutil
import pytest


@pytest.fixture
def chosen(panel_with_views, add_ct):
    """The panel in a main window, with a volume that takes a while chosen."""
    panel_with_views.ui.inputSelector.setCurrentNode(add_ct(slices=300))
    return panel_with_views


def start_and_wait(panel, wait_for):
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Restoring: "))
    process = psutil.Process(panel.logic._client.pid)
    return [process, *process.children(recursive=True)]


def test_ctrl_return_restores_and_esc_cancels(chosen, wait_for, scene_state, application):
    before = scene_state()
    restore_key, cancel_key = chosen.run.shortcuts
    assert [shortcut.key.toString() for shortcut in chosen.run.shortcuts] == ["Ctrl+Return", "Esc"]
    application.emit(restore_key, "activated")
    wait_for(lambda: chosen.ui.statusLabel.text.startswith("Restoring: "))
    application.emit(restore_key, "activated")  # a second press must neither cancel nor start another run
    assert chosen.logic.busy
    tree = psutil.Process(chosen.logic._client.pid)
    application.emit(cancel_key, "activated")
    assert not chosen.logic.busy and not tree.is_running()
    application.emit(cancel_key, "activated")  # nothing runs: nothing happens
    assert scene_state() == before


def test_the_views_can_be_used_while_it_runs(chosen, wait_for, views):
    import slicer

    tree = start_and_wait(chosen, wait_for)
    logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName("Red")
    for offset in range(5):
        logic.SetSliceOffset(float(offset))
        slicer.app.processEvents()
    assert logic.GetSliceOffset() == 4.0
    assert chosen.logic.busy
    chosen.ui.restoreButton.click()
    assert not any(process.is_running() for process in tree)


def test_deleting_the_input_during_a_run_ends_it_at_once(chosen, wait_for, scene):
    volume = chosen._parameterNode.inputVolume
    tree = start_and_wait(chosen, wait_for)
    scene.RemoveNode(volume)
    wait_for(lambda: not chosen.logic.busy, 5)
    assert "deleted" in chosen.ui.statusLabel.text
    assert not any(process.is_running() for process in tree)
    assert not chosen.ui.restoreButton.enabled


def test_choosing_another_volume_is_not_possible_during_a_run(chosen, wait_for):
    tree = start_and_wait(chosen, wait_for)
    assert not chosen.ui.inputSelector.enabled and not chosen.ui.previewButton.enabled
    assert not chosen.ui.deviceSelector.enabled and not chosen.ui.restoreDefaultsButton.enabled
    assert chosen.ui.downloadMedsamButton.enabled and chosen.ui.advancedSection.enabled
    chosen.ui.restoreButton.click()
    assert chosen.ui.inputSelector.enabled and chosen.ui.previewButton.enabled and chosen.ui.deviceSelector.enabled
    assert not any(process.is_running() for process in tree)


def test_leaving_the_module_lets_it_run_and_coming_back_shows_the_result(panel_with_views, add_ct, wait_for):
    panel = panel_with_views
    volume = add_ct(slices=3)
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.restoreButton.click()
    panel.exit()
    wait_for(lambda: not panel.logic.busy)
    panel.enter()
    assert panel._parameterNode.inputVolume is volume
    assert panel._parameterNode.restoredVolume is not None
    assert panel.ui.reportTable.rowCount > 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_at_the_start_is_said_in_one_sentence(chosen, scene_state, monkeypatch, tmp_path):
    """The input's file is a link to /dev/full, which refuses every byte as a full disk does."""
    import tempfile

    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path))
    make = tempfile.mkdtemp

    def full_folder(*arguments, **keywords):
        folder = make(*arguments, **keywords)
        os.symlink("/dev/full", os.path.join(folder, "input.nrrd"))
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", full_folder)
    before = scene_state()
    chosen.ui.restoreButton.click()
    assert not chosen.logic.busy
    assert "disk space" in chosen.ui.statusLabel.text and chosen.ui.statusLabel.text.endswith(".")
    assert scene_state() == before
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_written_is_said(chosen, monkeypatch, tmp_path):
    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path / "no such folder"))
    chosen.ui.restoreButton.click()
    assert not chosen.logic.busy
    assert "temporary folder" in chosen.ui.statusLabel.text


@pytest.mark.parametrize("name", ["CTChest", "MRHead"])
def test_a_sample_that_cannot_be_loaded_is_said_in_one_sentence(panel, scene_state, name, monkeypatch):
    """Without the module Sample Data: that it loads the sample in Slicer is not proved by this."""
    monkeypatch.setitem(sys.modules, "SampleData", None)
    before = scene_state()
    panel.input.sampleActions[name].trigger()
    assert f"{name} could not be loaded" in panel.ui.statusLabel.text and panel.ui.statusLabel.text.endswith(".")
    assert scene_state() == before


def test_nothing_is_missing_here_and_so_nothing_is_shown(panel):
    assert not panel.ui.setupBox.visible

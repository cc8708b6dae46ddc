"""The panel, clicked: real Qt widgets, real MRML, the real worker process. Not the Slicer application."""

import os
import signal

import psutil
import pytest

CANCEL_LIMIT_S = 2.0


@pytest.fixture
def open_volume(panel, add_ct, wait_for):
    """Makes a volume and chooses it in the panel's selector, as a user does."""

    def choose(**arguments):
        volume = add_ct(**arguments)
        panel.ui.inputSelector.setCurrentNode(volume)
        wait_for(lambda: panel._parameterNode.inputVolume is volume, 5)
        return volume

    return choose


def worker_of(panel) -> psutil.Process:
    return psutil.Process(panel.logic._client.pid)


def test_restore_needs_a_volume(panel, open_volume):
    assert panel.ui.restoreButton.text == "Restore"
    assert not panel.ui.restoreButton.enabled
    open_volume()
    assert panel.ui.restoreButton.enabled
    panel.ui.inputSelector.setCurrentNode(None)
    assert not panel.ui.restoreButton.enabled


def test_a_click_on_restore_ends_with_the_result_in_the_scene(panel, open_volume, wait_for):
    import slicer

    volume = open_volume()
    panel.ui.taskSelector.currentIndex = 1
    progress = []
    show = panel.logic.onProgress
    panel.logic.onProgress = lambda event: (show(event), progress.append(panel.ui.statusLabel.text))
    panel.ui.restoreButton.click()
    assert panel.ui.restoreButton.text == "Cancel"
    assert panel.ui.progressBar.visible
    assert not panel.ui.inputSelector.enabled
    wait_for(lambda: not panel.logic.busy)
    assert panel.ui.statusLabel.text.startswith("Restored as 'Thorax restored"), panel.ui.statusLabel.text
    assert (
        slicer.util.getNode("Thorax restored*").GetImageData().GetDimensions() == volume.GetImageData().GetDimensions()
    )
    assert panel.ui.restoreButton.text == "Restore" and panel.ui.restoreButton.enabled
    assert not panel.ui.progressBar.visible
    assert any(text.startswith("Restoring: slice 3 of 3") for text in progress), progress
    assert any(text.endswith(("s left, on CPU", "s left, on CUDA")) for text in progress), progress
    active = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
    assert active == slicer.util.getNode("Thorax restored*").GetID()


def test_a_click_on_cancel_ends_the_process_tree_and_leaves_the_scene_as_it_was(
    panel, open_volume, wait_for, scene_state, monkeypatch, tmp_path
):
    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path))
    open_volume(slices=400)
    before = scene_state()
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Restoring: "))
    tree = [worker_of(panel), *worker_of(panel).children(recursive=True)]
    panel.ui.restoreButton.click()
    assert not any(process.is_running() for process in tree)
    assert panel.ui.statusLabel.text == "Cancelled. The scene is as it was."
    assert panel.ui.restoreButton.text == "Restore" and panel.ui.restoreButton.enabled
    assert scene_state() == before
    assert list(tmp_path.iterdir()) == []


def test_after_a_cancel_the_next_click_restores(panel, open_volume, wait_for):
    import slicer

    open_volume()
    panel.ui.restoreButton.click()
    panel.ui.restoreButton.click()
    assert not panel.logic.busy
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert slicer.util.getNode("Thorax restored*")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_a_killed_worker_is_told_and_the_next_click_restores(panel, open_volume, wait_for, scene_state):
    import slicer

    open_volume(slices=400)
    before = scene_state()
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Restoring: "))
    os.kill(worker_of(panel).pid, signal.SIGKILL)
    wait_for(lambda: not panel.logic.busy, 10)
    assert "SIGKILL" in panel.ui.statusLabel.text and "click Restore" in panel.ui.statusLabel.text
    assert scene_state() == before
    open_volume(name="Second")
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert slicer.util.getNode("Second restored*")


def test_an_error_stands_in_the_panel_as_one_sentence(panel, open_volume, wait_for, scene_state):
    open_volume()
    before = scene_state()
    panel.logic.defaultOptions["model"] = "/no/such/model.safetensors"
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert panel.ui.statusLabel.text.endswith(".") and "\n" not in panel.ui.statusLabel.text
    assert panel.ui.restoreButton.text == "Restore"
    assert scene_state() == before


def test_closing_the_scene_cancels(panel, open_volume, wait_for, scene):
    open_volume(slices=400)
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Restoring: "))
    process = worker_of(panel)
    scene.Clear()
    assert not process.is_running() and not panel.logic.busy
    assert not panel.ui.restoreButton.enabled


def test_closing_the_module_leaves_no_process(application, panel, open_volume, wait_for):
    open_volume(slices=400)
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Restoring: "))
    process = worker_of(panel)
    application.close_module()
    assert not process.is_running()


def test_what_the_user_chose_comes_back_with_the_scene(panel, open_volume, scene, tmp_path):
    import slicer

    open_volume(slices=2)
    panel.ui.taskSelector.currentIndex = 2
    panel.ui.deviceSelector.currentIndex = 3
    path = str(tmp_path / "scene.mrml")
    scene.SetURL(path)
    scene.SetRootDirectory(str(tmp_path))
    volume = slicer.util.getNode("Thorax")
    volume.AddDefaultStorageNode(str(tmp_path / "Thorax.nrrd"))
    assert volume.GetStorageNode().WriteData(volume)
    assert scene.Commit(path)
    scene.Clear()
    panel.initializeParameterNode()
    assert panel.ui.taskSelector.currentIndex == 0
    scene.SetURL(path)
    assert scene.Import()
    panel.initializeParameterNode()
    assert panel.ui.taskSelector.currentIndex == 2
    assert panel.ui.deviceSelector.currentIndex == 3
    assert panel._parameterNode.inputVolume.GetName() == "Thorax"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("samplesSpinBox", 1, 64),
        ("seedSpinBox", 0, 1_000_000),
        ("strengthSlider", 0, 100),
        ("swipeSlider", 0, 100),
        ("opacitySlider", 0, 100),
        ("thresholdSlider", 0, 1),
    ],
)
def test_bound_numbers_keep_their_limits(panel, name, low, high):
    widget = getattr(panel.ui, name)
    assert (widget.minimum, widget.maximum) == (low, high)
    widget.value = high + 1
    assert widget.value == high
    widget.value = low - 1
    assert widget.value == low


def test_every_control_has_a_tool_tip_and_a_translated_choice(panel):
    for widget in (panel.ui.inputSelector, panel.ui.taskSelector, panel.ui.deviceSelector, panel.ui.restoreButton):
        assert widget.toolTip.removesuffix("</p>").endswith(".")
    labels = [panel.ui.taskSelector.itemText(index) for index in range(panel.ui.taskSelector.count)]
    assert labels[0] == "Automatic" and len(set(labels)) == 5


def test_the_set_up_box_goes_when_restore_has_installed_what_was_missing(panel, open_volume, wait_for, monkeypatch):
    from LRformerSlicerLib.panel import setup_state

    missing = ["timm>=1.0"]
    monkeypatch.setattr(setup_state, "missingRequirements", lambda: list(missing))
    panel.enter()
    assert panel.ui.setupBox.visible and panel.ui.reportSection.collapsed
    open_volume()
    missing.clear()
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert not panel.ui.setupBox.visible and not panel.ui.reportSection.collapsed


def test_a_sample_is_loaded_by_slicers_module_and_chosen(panel, add_ct, monkeypatch):
    """With a recorder in place of Slicer's module Sample Data, which the host does not have."""
    import sys
    import types

    add_ct(name="Another")
    asked = []
    logic = types.SimpleNamespace(downloadSample=lambda name: asked.append(name) or add_ct(name=name))
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=lambda: logic))
    panel.input.sampleActions["MRHead"].trigger()
    assert asked == ["MRHead"]
    assert panel._parameterNode.inputVolume.GetName() == "MRHead" and panel.ui.restoreButton.enabled


def test_the_set_up_box_says_that_it_installs_and_then_what_is_missing(panel, monkeypatch):
    from LRformerSlicerLib.panel import setup_state

    seen = []
    monkeypatch.setattr(setup_state, "missingRequirements", lambda: ["timm>=1.0"])
    monkeypatch.setattr(setup_state, "ensureDependencies", lambda: seen.append(panel.ui.setupLabel.text))
    panel.enter()
    panel.ui.setupButton.click()
    assert "Installing" in seen[0] and "Python console" in seen[0]
    assert "must be installed: timm>=1.0" in panel.ui.setupLabel.text
    monkeypatch.undo()
    panel.enter()


def test_the_self_test_takes_the_middle_of_slicers_sample_and_else_a_phantom(panel, add_ct, scene, monkeypatch):
    import sys
    import types

    import slicer
    import vtk

    import LRformerSlicer

    test = LRformerSlicer.LRformerSlicerTest()
    monkeypatch.setitem(sys.modules, "SampleData", None)
    phantom = test.addScan()
    assert phantom.GetName() == "Phantom" and test.isSampleMissing
    whole = add_ct(slices=9, size=200)
    seen, matrix = slicer.util.arrayFromVolume(whole)[3:6, 36:164, 36:164].copy(), vtk.vtkMatrix4x4()
    whole.GetIJKToRASMatrix(matrix)
    corner = matrix.MultiplyPoint((36, 36, 3, 1))
    asked = []
    logic = types.SimpleNamespace(downloadSample=lambda name: asked.append(name) or whole)
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=lambda: logic))
    assert test.addScan().GetName() == "Phantom", "asked again, though it was missing"
    monkeypatch.setattr("LRformerSlicerLib.panel.self_test.SelfTest.isSampleMissing", False)
    part = test.addScan()
    assert asked == ["CTChest"] and not scene.IsNodePresent(whole)
    assert (slicer.util.arrayFromVolume(part) == seen).all()
    part.GetIJKToRASMatrix(matrix)
    assert matrix.MultiplyPoint((0, 0, 0, 1)) == pytest.approx(corner)


def test_slicers_self_test_passes(panel_with_views):
    import slicer

    from LRformerSlicerLib.restoration.models import MODELS_FOLDER

    if not (MODELS_FOLDER / "ct-denoise.safetensors").exists():
        pytest.skip("no ct-denoise weights are shipped yet")
    slicer.selfTests["LRformerSlicer"]()  # as the button Test and Slicer's own test driver call it

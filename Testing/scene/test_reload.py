"""Reload, the developer's button: Slicer's own slicer.util.reloadScriptedModule, and one panel afterwards."""

import sys

import psutil
import pytest


@pytest.fixture
def panel(application, scene, checkpoints, views):
    """The module, opened; after Reload the new panel is closed in its place."""
    from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER

    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "LRformerSlicerLib"}
    opened = application.open_module(EXTENSION_FOLDER / "LRformerSlicer.py")
    opened.logic.defaultOptions = {"model": str(checkpoints["ct-denoise"]), "prior": "none", "device": "cpu"}
    yield opened
    application.close_module()
    # The other tests have imported the library's first copy, and isinstance tells the two apart.
    for name in [name for name in sys.modules if name.split(".")[0] == "LRformerSlicerLib"]:
        del sys.modules[name]
    sys.modules.update(before)


def reload(panel):
    import slicer

    panel.onReload()
    new = slicer.modules.LRformerSlicerWidget
    assert new is not panel
    new.logic.defaultOptions = panel.logic.defaultOptions
    slicer.app.processEvents()  # Qt shows what was put into a layout when it next comes to it
    return new


def test_reload_during_a_run_leaves_no_process_and_one_panel_that_works(panel, add_ct, wait_for, scene_state):
    import slicer

    panel.ui.inputSelector.setCurrentNode(add_ct(slices=300, name="Long"))
    slicer.app.processEvents()  # the views get their size
    before = scene_state()
    panel.ui.restoreButton.click()
    wait_for(lambda: panel.ui.statusLabel.text.startswith("Restoring: "))
    process = psutil.Process(panel.logic._client.pid)
    new = reload(panel)
    assert not process.is_running() and not panel.logic.busy
    assert scene_state() == before
    assert panel._parameterNode is None and not panel.uiWidget.visible
    assert new.uiWidget.visible and new._parameterNode.inputVolume.GetName() == "Long"
    new.ui.inputSelector.setCurrentNode(add_ct(name="Short"))
    assert panel._parameterNode is None  # the old panel does not follow the scene any more
    new.ui.restoreButton.click()
    wait_for(lambda: not new.logic.busy)
    assert new.ui.statusLabel.text.startswith("Restored as"), new.ui.statusLabel.text
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")]
    assert [name for name in names if name.startswith("Short restored")] == ["Short restored"]


def test_reload_reads_the_librarys_files_anew(panel):
    first = sys.modules["LRformerSlicerLib.panel.run_control"]
    new = reload(panel)
    assert sys.modules["LRformerSlicerLib.panel.run_control"] is not first
    assert type(new.run) is sys.modules["LRformerSlicerLib.panel.run_control"].RunControl


def test_reload_keeps_no_observer_of_the_old_panel(panel, add_ct):
    add_ct()
    assert len(panel.Observations) >= 5
    reload(panel)
    assert panel.Observations == []
    assert panel.cursor._crosshair is None
    assert not panel.logic._timer.active and not panel.strength._timer.active
    assert not panel.comparison._shortcut.isEnabled()


def test_ten_reloads_leave_one_visible_panel_and_one_set_of_layout_items(panel):
    import slicer

    current = panel
    for _ in range(10):
        current = reload(current)
    holder = slicer.modules.lrformerslicer.widgetRepresentation()
    shown = [child for child in holder.children() if hasattr(child, "isVisible") and child.isVisible()]
    assert shown == [current.uiWidget]
    assert holder.layout().count() == 1


def test_reload_shows_no_set_up_box_where_nothing_is_missing(panel):
    new = reload(panel)
    assert not new.ui.setupBox.visible and not new.setupState.isMissing

"""The host is strict where PythonQt is: otherwise a run in it would prove less than it seems to."""

import sys

import pytest


@pytest.fixture
def qt(host):
    import qt

    return qt


def test_properties_are_attributes_and_getters_are_gone(qt):
    button = qt.QPushButton("Restore")
    assert button.text == "Restore"
    button.text = "Cancel"
    button.setText("Stop")
    assert button.text == "Stop" and button.enabled
    with pytest.raises(TypeError):
        button.text()
    with pytest.raises(AttributeError):
        qt.QComboBox().count = 3  # read-only


def test_keyword_arguments_are_refused(qt):
    with pytest.raises(TypeError, match="keyword"):
        qt.QPushButton(text="Restore")


def test_signals_are_connected_by_their_signature(qt):
    clicks = []
    button = qt.QPushButton("Restore")
    button.setCheckable(True)

    def onClicked(checked):
        clicks.append(checked)

    button.connect("clicked(bool)", onClicked)
    button.click()
    button.disconnect("clicked(bool)", onClicked)
    button.click()
    assert clicks == [True]
    import ctk
    import slicer

    # PythonQt prints a line and goes on, with nothing connected.
    for widget in (button, ctk.ctkSliderWidget(), ctk.ctkCollapsibleButton(), slicer.qMRMLNodeComboBox()):
        with pytest.raises(ValueError, match="no signal"):
            widget.connect("pressedTwice(bool)", onClicked)


def test_new_attributes_are_refused(qt):
    with pytest.raises(AttributeError):
        qt.QPushButton("Restore").txet = "Cancel"
    with pytest.raises(AttributeError):
        qt.QTimer().intervall = 5
    qt.QWidget().visible = True


def test_errors_in_slots_are_found_when_the_module_closes(host, scene):
    from pathlib import Path

    path = Path(__file__).resolve().parents[2] / "LRformerSlicer" / "LRformerSlicer.py"
    panel = host.openModule(path)
    panel.ui.restoreButton.connect("clicked(bool)", lambda checked: 1 / 0)
    panel.ui.restoreButton.enabled = True
    panel.ui.restoreButton.click()
    with pytest.raises(ZeroDivisionError):
        host.closeModule(panel)


def test_qt_calls_keep_the_reference_count_of_none(qt):
    # PySide6 6.12.0 takes one from it with every call that returns nothing, and aborts a Python before 3.12 in the end.
    label = qt.QLabel("")
    before = sys.getrefcount(None)
    for _ in range(200):
        label.setText("text")
    assert abs(sys.getrefcount(None) - before) < 20, "use another PySide6: this one ends in a crash"


def test_what_is_not_emulated_is_absent(qt):
    with pytest.raises(AttributeError):
        qt.QDialog  # noqa: B018


def test_the_node_selector_has_no_nodes_until_it_has_a_scene(host, scene, add_ct):
    import slicer

    volume = add_ct()
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    assert selector.nodeCount() == 0
    selector.setMRMLScene(scene)
    assert selector.nodeCount() == 1 and selector.currentNode() is volume
    scene.RemoveNode(volume)
    assert selector.nodeCount() == 0 and selector.currentNode() is None
    selector.setMRMLScene(None)

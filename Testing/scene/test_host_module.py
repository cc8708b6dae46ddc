"""When Slicer calls what of a scripted module, one rule a test. They hold in the test host and in Slicer itself."""

import itertools
import sys

import pytest

SOURCE = """
import slicer, ctk, qt, vtk
from slicer.ScriptedLoadableModule import *
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.util import VTKObservationMixin

events = []

class NAME(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = "Rules"
        events.append("made")

@parameterNodeWrapper
class Parameters:
    strength: float = 100.0

class NAMEWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.parameters = None

    def note(self, name):
        events.append((name, getattr(self.parent, "isEntered", None), self.label.visible))

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.label = qt.QLabel("words")
        self.layout.addWidget(self.label)
        self.note("setup")
        SETUP

    def enter(self):
        self.note("enter")

    def exit(self):
        self.note("exit")

    def cleanup(self):
        events.append("cleanup")
        self.removeObservers()

    def bind(self):
        ui = slicer.util.childWidgetVariables(self.parent)
        self.slider = ui.strength = ctk.ctkSliderWidget()
        self.slider.setProperty("SlicerParameterName", "strength")
        self.parameters = Parameters(NAMELogic().getParameterNode())
        self.tag = self.parameters.connectGui(ui)

class NAMELogic(ScriptedLoadableModuleLogic):
    pass

class NAMETest(ScriptedLoadableModuleTest):
    def runTest(self):
        events.append("tested")
"""
number = itertools.count()


@pytest.fixture
def write_module(tmp_path):
    """Writes a module of a new name, for Slicer never forgets one; SETUP is a line at the end of its setup."""

    def write(setup="pass"):
        path = tmp_path / f"LRformerRules{next(number)}.py"
        path.write_text(SOURCE.replace("NAME", path.stem).replace("SETUP", setup), encoding="utf-8")
        return path

    return write


@pytest.fixture
def opened(application, scene, views, write_module):
    """Such a module, open: (its widget, what was called of it)."""
    path = write_module()
    widget = application.open_module(path)
    yield widget, sys.modules[path.stem].events
    application.close_module()


def test_the_panel_is_set_up_out_of_sight_and_entered_in_sight(opened):
    _widget, events = opened
    assert [event for event in events if event != "made"] == [("setup", False, False), ("enter", True, True)]


def test_leaving_comes_before_cleanup(application, opened):
    _widget, events = opened
    del events[:]
    application.close_module()
    assert [event if event == "cleanup" else event[:2] for event in events] == [("exit", False), "cleanup"]


def test_reload_sets_up_and_neither_leaves_nor_enters(opened):
    import slicer

    widget, events = opened
    del events[:]
    widget.onReload()
    new = sys.modules[widget.moduleName].events
    assert events == ["cleanup"]
    assert new == [("setup", True, False)], "the module is open, its new panel not seen yet"
    assert getattr(slicer.modules, f"{widget.moduleName}Widget") is not widget


def test_a_plain_float_on_a_slider_fails_where_the_gui_is_connected(application, scene, views, write_module):
    """As the first version of this project's panel did in Slicer."""
    with pytest.raises(RuntimeError, match="ctkSliderWidget where the float types is unbounded") as caught:
        application.open_module(write_module(setup="self.bind()"))
    places = [entry.name for entry in caught.traceback]
    assert places.index("setup") < places.index("bind")
    source = str(caught.traceback[places.index("bind")].statement)
    assert "connectGui" in source


def test_a_module_is_entered_even_when_its_setup_failed(application, scene, views, write_module):
    path = write_module(setup="raise KeyError('setup')")
    with pytest.raises(KeyError, match="setup"):
        application.open_module(path)
    assert ("enter", True, True) in sys.modules[path.stem].events


def test_a_module_without_a_holder_makes_a_window_of_its_own(opened):
    widget, _events = opened
    other = type(widget)()
    assert other.parent is not widget.parent and other.label.visible
    other.parent.hide()
    other.parent.deleteLater()


def test_the_self_test_is_registered(opened):
    import slicer

    widget, events = opened
    slicer.selfTests[widget.moduleName]()
    assert events[-1] == "tested"


def test_the_modules_node_is_a_singleton_and_keeps_its_name(opened, scene):
    widget, _events = opened
    logic = getattr(sys.modules[widget.moduleName], f"{widget.moduleName}Logic")()
    node = logic.getParameterNode()
    assert logic.getParameterNode() is node and node.GetSingletonTag() == widget.moduleName
    node.RemoveAttribute("ModuleName")
    assert logic.getParameterNode().GetAttribute("ModuleName") == widget.moduleName
    assert logic.getAllParameterNodes() == [node]


def test_developer_mode_adds_a_section_whose_button_reloads(application, scene, views, write_module):
    import qt
    import slicer

    settings = qt.QSettings()
    before = settings.value("Developer/DeveloperMode", False)
    settings.setValue("Developer/DeveloperMode", True)
    try:
        widget = application.open_module(write_module())
        widget.reloadButton.click()
        assert getattr(slicer.modules, f"{widget.moduleName}Widget") is not widget
    finally:
        settings.setValue("Developer/DeveloperMode", before)
        application.close_module()

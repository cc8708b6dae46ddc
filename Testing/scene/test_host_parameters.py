"""Rules of Slicer's parameterNodeWrapper, one a test. They hold in the test host and in Slicer itself."""

import enum
import types
from typing import Annotated

import pytest

PARAMETER_NAME = "SlicerParameterName"


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"
    BLUE = "b"

    def label(self):
        return self.name.capitalize()


@pytest.fixture
def bind(scene):
    """Makes a wrapper with one parameter of a type and binds a widget to it: (wrapper, widget, tag)."""
    import slicer.parameterNodeWrapper as wrapping

    def make(widget, dataType, *default):
        members = {"__annotations__": {"chosen": dataType}}
        if default:
            members["chosen"] = default[0]
        cls = wrapping.parameterNodeWrapper(type("Settings", (), members))
        wrapper = cls(scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
        widget.setProperty(PARAMETER_NAME, "chosen")
        return wrapper, widget, wrapper.connectGui(types.SimpleNamespace(widget=widget))

    return make


@pytest.fixture
def limits(scene):
    """The module with the annotations."""
    import slicer.parameterNodeWrapper as wrapping

    return wrapping


def test_a_plain_float_cannot_be_bound_to_a_slider(bind):
    """The module as it was at its first start in Slicer: strength, a plain float, on a ctkSliderWidget."""
    import ctk

    with pytest.raises(RuntimeError, match="Cannot have a connection to ctkSliderWidget where the float types is unb"):
        bind(ctk.ctkSliderWidget(), float, 100.0)


def test_one_limit_is_not_enough_for_a_slider(bind, limits):
    import ctk

    with pytest.raises(RuntimeError, match="unbounded"):
        bind(ctk.ctkSliderWidget(), Annotated[float, limits.Minimum(0.0)])
    both = Annotated[float, limits.Minimum(0.0), limits.Maximum(10.0)]
    _wrapper, slider, _tag = bind(ctk.ctkSliderWidget(), both)
    assert (slider.minimum, slider.maximum) == (0, 10)


def test_a_plain_int_cannot_be_bound_to_a_qslider(bind, limits):
    import qt

    with pytest.raises(RuntimeError, match="QSlider where the int type is unbounded"):
        bind(qt.QSlider(), int)
    _wrapper, slider, _tag = bind(qt.QSlider(), Annotated[int, limits.WithinRange(2, 7)], 3)
    assert (slider.minimum, slider.maximum) == (2, 7)


def test_the_annotation_sets_the_limits_of_a_slider(bind, limits):
    import ctk

    slider = ctk.ctkSliderWidget()
    slider.minimum, slider.maximum = -5, 5
    wrapper, slider, _tag = bind(slider, Annotated[float, limits.WithinRange(0.0, 200.0)], 150.0)
    assert (slider.minimum, slider.maximum, slider.value) == (0, 200, 150)
    slider.value = 60
    assert wrapper.chosen == 60


def test_a_plain_int_loses_the_limits_that_the_spin_box_had(bind):
    import qt

    spinBox = qt.QSpinBox()
    spinBox.minimum, spinBox.maximum = 1, 64
    wrapper, spinBox, _tag = bind(spinBox, int, 4)
    assert (spinBox.minimum, spinBox.maximum) == (-(2**31), 2**31 - 1)
    spinBox.value = -3
    assert wrapper.chosen == -3


def test_limits_of_a_spin_box(bind, limits):
    import qt

    wrapper, spinBox, _tag = bind(qt.QSpinBox(), Annotated[int, limits.WithinRange(1, 64)], 4)
    spinBox.value = 0
    assert spinBox.value == wrapper.chosen == 1
    _wrapper, spinBox, _tag = bind(qt.QSpinBox(), Annotated[int, limits.Minimum(0)])
    assert (spinBox.minimum, spinBox.maximum) == (0, 2**31 - 1)


def test_a_plain_float_loses_the_limits_of_a_double_spin_box(bind):
    import qt

    _wrapper, spinBox, _tag = bind(qt.QDoubleSpinBox(), float)
    spinBox.value = 1e6
    assert spinBox.value == 1e6


def test_an_int_on_a_double_spin_box_has_no_decimals(bind):
    import qt

    wrapper, spinBox, _tag = bind(qt.QDoubleSpinBox(), int, 3)
    assert spinBox.decimals == 0 and wrapper.chosen == 3
    spinBox.value = 5
    assert wrapper.chosen == 5 and isinstance(wrapper.chosen, int)


def test_decimals_and_single_step_come_from_annotations(bind, limits):
    import qt

    dataType = Annotated[float, limits.Decimals(4), limits.SingleStep(0.25)]
    _wrapper, spinBox, _tag = bind(qt.QDoubleSpinBox(), dataType, 0.5)
    assert spinBox.decimals == 4 and spinBox.singleStep == 0.25


def test_a_value_beyond_the_limits_is_refused(bind, limits):
    import qt

    wrapper, spinBox, _tag = bind(qt.QSpinBox(), Annotated[int, limits.WithinRange(1, 64)], 4)
    with pytest.raises(ValueError):
        wrapper.chosen = 65
    with pytest.raises(ValueError):
        wrapper.chosen = None
    with pytest.raises(TypeError):
        wrapper.chosen = 1.5
    assert wrapper.chosen == spinBox.value == 4


def test_a_default_beyond_the_limits_is_refused_when_the_node_is_wrapped(bind, limits):
    import qt

    with pytest.raises(ValueError):
        bind(qt.QSpinBox(), Annotated[int, limits.WithinRange(1, 64)])  # the default of an int is 0


@pytest.mark.parametrize(
    ("widgetName", "dataType"),
    [("QLabel", float), ("QLineEdit", int), ("QCheckBox", str), ("QSpinBox", float), ("QWidget", bool)],
)
def test_a_widget_of_the_wrong_kind_is_refused(bind, widgetName, dataType):
    import qt

    with pytest.raises(RuntimeError, match="Unable to create GUI connector from datatype"):
        bind(getattr(qt, widgetName)(), dataType)


def test_a_text_in_a_combo_box_needs_its_choices(bind, limits):
    import qt

    with pytest.raises(RuntimeError, match="Choice"):
        bind(qt.QComboBox(), str, "one")
    wrapper, comboBox, _tag = bind(qt.QComboBox(), Annotated[str, limits.Choice(["one", "two"])], "one")
    comboBox.currentIndex = 1
    assert wrapper.chosen == "two"
    with pytest.raises(ValueError):
        wrapper.chosen = "three"


def test_an_enumeration_fills_its_combo_box_with_its_labels(bind):
    import qt

    comboBox = qt.QComboBox()
    comboBox.addItem("what the .ui file says")
    wrapper, comboBox, tag = bind(comboBox, Color, Color.GREEN)
    assert [comboBox.itemText(index) for index in range(comboBox.count)] == ["Red", "Green", "Blue"]
    assert comboBox.currentIndex == 1
    comboBox.currentIndex = 2
    assert wrapper.chosen is Color.BLUE
    with pytest.raises(TypeError):
        wrapper.chosen = "r"


def test_each_binding_fills_the_combo_box_anew_and_its_signal_tells_of_that(bind):
    import qt

    wrapper, comboBox, tag = bind(qt.QComboBox(), Color, Color.GREEN)
    wrapper.disconnectGui(tag)
    indices = []
    comboBox.connect("currentIndexChanged(int)", indices.append)
    wrapper.connectGui(types.SimpleNamespace(widget=comboBox))
    assert indices[0] == -1 and indices[-1] == 1
    assert wrapper.chosen is Color.GREEN


def test_a_name_in_the_node_that_is_none_of_the_enumeration_raises(bind, scene):
    import qt

    cls = type(bind(qt.QComboBox(), Color)[0])
    fresh = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    fresh.SetParameter("chosen", "PURPLE")
    with pytest.raises(ValueError, match="PURPLE"):
        cls(fresh)


def test_a_push_button_becomes_checkable(bind):
    import qt

    wrapper, button, _tag = bind(qt.QPushButton("Contour"), bool, True)
    assert button.checkable and button.checked
    button.click()
    assert wrapper.chosen is False


def test_check_box_line_edit_and_label(bind):
    import qt

    wrapper, checkBox, _tag = bind(qt.QCheckBox(), bool)
    checkBox.checked = True
    assert wrapper.chosen is True
    with pytest.raises(TypeError):
        wrapper.chosen = 1
    wrapper, lineEdit, _tag = bind(qt.QLineEdit(), str, "here")
    assert lineEdit.text == "here"
    lineEdit.text = "there"
    assert wrapper.chosen == "there"
    wrapper, label, _tag = bind(qt.QLabel(), str)
    wrapper.chosen = "seen"
    assert label.text == "seen"


def test_a_bool_is_an_int_but_not_one_that_can_be_read_again(bind):
    import qt

    wrapper, _spinBox, _tag = bind(qt.QSpinBox(), int, 4)
    with pytest.raises(ValueError):
        wrapper.chosen = True


def test_a_node_parameter_decides_what_the_selector_offers(bind, scene):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLModelNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(scene)
    wrapper, selector, _tag = bind(selector, slicer.vtkMRMLScalarVolumeNode)
    assert tuple(selector.nodeTypes) == ("vtkMRMLScalarVolumeNode",)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Head")
    selector.setCurrentNode(volume)
    assert wrapper.chosen is volume
    wrapper.chosen = None
    assert selector.currentNode() is None
    with pytest.raises(TypeError):
        wrapper.chosen = scene.AddNewNodeByClass("vtkMRMLModelNode")
    selector.setMRMLScene(None)


def test_connect_gui_that_raises_binds_nothing(bind, scene, limits):
    import ctk
    import qt

    @limits.parameterNodeWrapper
    class Settings:
        first: str = "a"
        second: float = 1.0

    wrapper = Settings(scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    lineEdit, slider = qt.QLineEdit(), ctk.ctkSliderWidget()
    lineEdit.setProperty(PARAMETER_NAME, "first")
    slider.setProperty(PARAMETER_NAME, "second")
    with pytest.raises(RuntimeError):
        wrapper.connectGui(types.SimpleNamespace(a=lineEdit, b=slider))
    lineEdit.text = "b"
    assert wrapper.first == "a"
    wrapper.disconnectGui(None)  # nothing to take back, and nothing is said


def test_a_name_that_is_no_parameter_raises_before_anything_is_bound(bind):
    import qt

    wrapper, spinBox, _tag = bind(qt.QSpinBox(), int)
    label = qt.QLabel()
    label.setProperty(PARAMETER_NAME, "chossen")
    with pytest.raises(ValueError, match="chossen"):
        wrapper.connectGui(types.SimpleNamespace(label=label))


def test_after_disconnect_gui_neither_follows_the_other(bind):
    import qt

    wrapper, spinBox, tag = bind(qt.QSpinBox(), int, 4)
    wrapper.disconnectGui(tag)
    wrapper.disconnectGui(tag)
    spinBox.value = 5
    assert wrapper.chosen == 4
    wrapper.chosen = 6
    assert spinBox.value == 5


def test_defaults_are_written_to_the_node_when_it_is_wrapped(bind):
    import qt

    wrapper, _widget, _tag = bind(qt.QSpinBox(), int, 4)
    assert wrapper.parameterNode.GetParameter("chosen") == "4"


def test_two_wrappers_of_one_node_tell_each_other_but_the_first_parameter_comes_last(bind):
    """VTK calls the observer that was there first after the others: its widget shows what was there before."""
    import qt

    wrapper, spinBox, _tag = bind(qt.QSpinBox(), int, 4)
    other = type(wrapper)(wrapper.parameterNode)
    other.chosen = 9
    assert wrapper.chosen == 9 and spinBox.value == 4
    wrapper.parameterNode.SetParameter("chosen", "11")
    assert other.chosen == wrapper.chosen == 11


def test_a_change_between_start_modify_and_end_modify_is_told_once(bind):
    import qt
    import vtk

    wrapper, spinBox, _tag = bind(qt.QSpinBox(), int, 4)
    told = []
    wrapper.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: told.append(wrapper.chosen))
    state = wrapper.StartModify()
    wrapper.chosen = 5
    wrapper.chosen = 6
    assert told == []
    wrapper.EndModify(state)
    assert told == [6]


def test_names_of_the_wrapper_itself_are_reserved(limits):
    members = {"__annotations__": {"default": int}}
    with pytest.raises(ValueError, match="reserved"):
        limits.parameterNodeWrapper(type("Settings", (), members))


def test_the_annotation_default_and_the_value_after_the_equals_sign(bind, limits):
    import qt

    wrapper, _widget, _tag = bind(qt.QSpinBox(), Annotated[int, limits.Default(7)])
    assert wrapper.chosen == 7
    wrapper, _widget, _tag = bind(qt.QSpinBox(), Annotated[int, limits.Default(7)], 8)
    assert wrapper.chosen == 8 and wrapper.default("chosen").value == 8

"""The panel as a whole: it fits a screen, and every control explains itself."""

import pytest

from application import IS_SLICER

# Slicer's menu, tool bars, help, the module's head and Data Probe leave 778 and 480 lines. Its widgets are higher than
# the host's: 927 lines there were 861 here.
LINES_OF_A_1080_LINE_SCREEN, LINES_OF_A_720_LINE_SCREEN = (778, 480) if IS_SLICER else (720, 440)


def test_the_panel_fits_one_screen_of_1080_lines(restored):
    assert restored.uiWidget.minimumSizeHint.height() <= LINES_OF_A_1080_LINE_SCREEN
    assert restored.ui.advancedSection.collapsed


def test_input_restore_and_compare_fit_a_screen_of_720_lines(restored):
    section, panel = restored.ui.compareSection, restored.uiWidget
    panel.resize(420, panel.minimumSizeHint.height())
    assert section.y + section.height <= LINES_OF_A_720_LINE_SCREEN


def test_folded_sections_take_one_height(restored):
    import slicer

    heights = set()
    for name in (
        "regionSection",
        "compareSection",
        "overlaySection",
        "reportSection",
        "batchSection",
        "advancedSection",
    ):
        section = getattr(restored.ui, name)
        section.collapsed = True
        slicer.app.processEvents()
        heights.add(section.height)
    assert len(heights) == 1, "others leave uneven gaps"


@pytest.mark.parametrize("opened", ["advancedSection", "batchSection", "reportSection"])
def test_it_fits_whatever_is_open_for_the_long_sections_take_turns(restored, opened):
    import slicer

    sections = [getattr(restored.ui, name) for name in ("advancedSection", "batchSection", "reportSection")]
    for section in sections:
        section.collapsed = False
    getattr(restored.ui, opened).collapsed = False
    slicer.app.processEvents()
    assert [section.collapsed for section in sections].count(False) == 1
    assert not getattr(restored.ui, opened).collapsed
    assert restored.uiWidget.minimumSizeHint.height() <= LINES_OF_A_1080_LINE_SCREEN
    getattr(restored.ui, opened).collapsed = True
    assert all(section.collapsed for section in sections), "folding one opens no other"
    restored.ui.reportSection.collapsed = False


def test_every_control_has_a_tool_tip(restored):
    import qt

    kinds = (qt.QPushButton, qt.QComboBox, qt.QCheckBox, qt.QSpinBox, qt.QLineEdit, qt.QTableWidget, qt.QProgressBar)
    controls = [
        widget
        for name, widget in vars(restored.ui).items()
        if not name.startswith("qt_")
        and (isinstance(widget, kinds) or name.endswith(("Selector", "Slider")))
        and name != "Slider"  # inside of each ctkSliderWidget
    ]
    assert len(controls) > 25
    assert [widget.objectName for widget in controls if not widget.toolTip.removesuffix("</p>").endswith(".")] == []


def test_every_word_in_front_of_a_control_has_the_controls_tool_tip(restored):
    import qt

    labels = {name: widget for name, widget in vars(restored.ui).items() if isinstance(widget, qt.QLabel)}
    controls = [one for name, one in vars(restored.ui).items() if name not in labels and hasattr(one, "toolTip")]
    tips = {control.toolTip for control in controls}
    captions = [widget for widget in labels.values() if widget.text.endswith(":")]
    assert len(captions) > 15
    assert [widget.text for widget in captions if widget.toolTip not in tips - {""}] == []
    for name in ("recognisedLabel", "statusLabel", "downloadLabel", "researchUseLabel"):
        assert labels[name].toolTip.removesuffix("</p>").endswith(".")

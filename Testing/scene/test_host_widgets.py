"""Rules of Qt through PythonQt and of CTK's widgets, one a test. They hold in the test host and in Slicer itself."""

import pytest


@pytest.fixture
def window(scene):
    """An empty window that closes with the test."""
    import qt

    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    yield widget
    widget.hide()
    widget.deleteLater()


def test_a_size_hint_is_a_property(window):
    import qt

    label = qt.QLabel("words")
    assert label.minimumSizeHint.width() > 0 and label.sizeHint.height() > 0
    with pytest.raises(TypeError):
        label.minimumSizeHint()
    with pytest.raises(TypeError):
        label.sizeHint()


def test_visible_is_what_can_be_seen_and_not_what_was_asked_for(window):
    import qt

    label = qt.QLabel("words")
    window.layout().addWidget(label)
    assert not label.visible
    label.visible = True
    assert not label.visible, "its window is not shown"
    window.show()
    assert label.visible
    window.hide()
    assert not label.visible


def test_a_plain_tool_tip_becomes_a_paragraph(window):
    import qt

    button = qt.QPushButton("Restore")
    button.toolTip = "Starts & ends <soon>"
    assert button.toolTip == "<p>Starts &amp; ends &lt;soon&gt;</p>"
    button.setToolTip("Again.")
    assert button.toolTip == "<p>Again.</p>"
    button.toolTip = "<b>Rich</b>"
    assert button.toolTip == "<b>Rich</b>"
    button.toolTip = ""
    assert button.toolTip == ""


def test_a_label_takes_what_looks_like_html_for_html(window):
    import qt

    label = qt.QLabel("<h1>big</h1>")
    plain = qt.QLabel("<h1>big</h1>")
    plain.textFormat = qt.Qt.PlainText
    assert label.sizeHint.width() < plain.sizeHint.width()


def test_a_folded_section_keeps_hidden_what_was_hidden_by_hand(window):
    import ctk
    import qt

    section = ctk.ctkCollapsibleButton()
    window.layout().addWidget(section)
    rows = qt.QVBoxLayout(section)
    seen, hidden = qt.QLabel("seen"), qt.QLabel("hidden")
    rows.addWidget(seen)
    rows.addWidget(hidden)
    hidden.visible = False
    window.show()
    assert seen.visible and not hidden.visible
    section.collapsed = True
    assert not seen.visible and not hidden.visible
    hidden.visible = True
    assert not hidden.visible, "it comes when the section is opened"
    section.collapsed = False
    assert seen.visible and hidden.visible


def test_a_section_is_a_button(window):
    import ctk

    section = ctk.ctkCollapsibleButton()
    section.text = "Report"
    folded = []
    section.connect("contentsCollapsed(bool)", folded.append)
    assert section.checked and not section.collapsed
    section.click()
    assert section.collapsed and not section.checked
    section.collapsed = True
    section.collapsed = False
    assert section.checked
    assert folded == [True, False]


def test_a_folded_section_leaves_a_margin(window):
    import ctk

    section = ctk.ctkCollapsibleButton()
    section.collapsed = True
    wide = section.minimumSizeHint if not callable(section.minimumSizeHint) else section.minimumSizeHint()
    section.collapsedHeight = 0
    narrow = section.minimumSizeHint if not callable(section.minimumSizeHint) else section.minimumSizeHint()
    assert wide.height() - narrow.height() == 14


def test_a_slider_rounds_what_it_shows_and_not_its_value(window):
    import ctk

    slider = ctk.ctkSliderWidget()
    slider.decimals = 0
    values = []
    slider.connect("valueChanged(double)", values.append)
    slider.value = 41.6
    assert slider.value == 41.6 and values == [41.6]
    slider.value = 41.6
    assert values == [41.6]
    slider.value = 1000
    assert slider.value == slider.maximum


def test_a_step_wider_than_the_range_is_not_taken(window):
    import ctk

    slider = ctk.ctkSliderWidget()
    slider.maximum = 1
    slider.singleStep = 0.05
    assert slider.singleStep == 0.05
    slider.singleStep = 2
    assert slider.singleStep == 0.05


def test_what_an_object_does_not_have_cannot_be_set(window):
    import qt

    button = qt.QPushButton("Restore")
    for name, value in (("txet", "Cancel"), ("setText", "Cancel"), ("iconSize", "large")):
        with pytest.raises(AttributeError):
            setattr(button, name, value)

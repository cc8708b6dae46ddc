"""Text that comes from files is shown as it is: Qt takes labels and tool tips for HTML where they look like it."""

import html

import pytest

MARKUP = '<img src="file:///no/such/picture.png"> & <b>bold</b>'


def test_every_label_shows_plain_text(panel):
    import qt

    labels = [widget for widget in vars(panel.ui).values() if isinstance(widget, qt.QLabel)]
    assert len(labels) > 20
    assert [label.objectName for label in labels if label.textFormat != qt.Qt.PlainText] == []


def test_a_volume_whose_name_is_html_is_restored_and_named_in_full(panel, add_ct, wait_for):
    panel.ui.inputSelector.setCurrentNode(add_ct(name=MARKUP))
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert f"Restored as '{MARKUP} restored'" in panel.ui.statusLabel.text


@pytest.mark.parametrize("text", [MARKUP, "a < b\nsecond line", ""])
def test_tool_tips_show_every_character(panel, text):
    from LRformerSlicerLib.panel.messages import toolTipOf

    tip = toolTipOf(text)
    lines = tip.removeprefix("<p>").removesuffix("</p>").split("<br>")
    assert "\n".join(html.unescape(line) for line in lines) == text
    assert not any(character in line for line in lines for character in '<>"')


def test_tool_tips_of_the_tables_hold_no_markup_of_a_file(panel, add_ct, wait_for):
    add_ct(name="A")
    panel.ui.batchSection.collapsed = False
    panel.batch._queued = panel.batch._ids[:1]
    panel.batch._oneFailed(0, MARKUP)
    tip = panel.ui.batchTable.item(0, 1).toolTip()
    assert "<img" not in tip and "&lt;img" in tip

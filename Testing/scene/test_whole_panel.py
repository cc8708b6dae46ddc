"""The panel as a whole: it fits a screen, and every control explains itself."""


def test_the_panel_fits_one_screen_of_1080_lines(restored):
    # Slicer's own menu, tool bars and the module panel's head take about 150 lines.
    assert restored.uiWidget.minimumSizeHint().height() <= 930
    assert restored.ui.advancedSection.collapsed


def test_every_control_has_a_tool_tip(restored):
    import qt

    kinds = (qt.QPushButton, qt.QComboBox, qt.QCheckBox, qt.QSpinBox, qt.QLineEdit, qt.QTableWidget)
    controls = [
        widget
        for name, widget in vars(restored.ui).items()
        if not name.startswith("qt_") and (isinstance(widget, kinds) or name.endswith(("Selector", "Slider")))
    ]
    assert len(controls) > 25
    assert [widget.objectName for widget in controls if not widget.toolTip.endswith(".")] == []

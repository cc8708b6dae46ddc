"""Which widget can be bound to a parameter of which type, and what the binding does to the widget.

A connector has read(), write(value), connect(slot) and disconnect(slot).
"""

from __future__ import annotations

import enum
import logging

import slicer

from SlicerHost import annotations as notes


def create(widget, dataType):
    """The connector of `widget` for a parameter of `dataType`. Raises RuntimeError where Slicer has none."""
    for connector in CONNECTORS:
        if connector.fits(widget, notes.split(dataType)[0]):
            return connector(widget, dataType)
    raise RuntimeError(
        f"Unable to create GUI connector from datatype '{dataType}' to widget type '{type(widget)}'. "
        "(What Slicer can bind and this module does not use is not in the host.)"
    )


class Connector:
    """Follows one signal of a widget and shows the value in one of its properties."""

    WIDGETS: tuple[str, ...] = ()
    TYPES: tuple[type, ...] = ()
    SIGNAL, PROPERTY = "", ""

    @classmethod
    def fits(cls, widget, bareType) -> bool:
        # The very class, not one derived from it.
        return bareType in cls.TYPES and type(widget) in widgetClasses(cls.WIDGETS)

    def __init__(self, widget, dataType):
        self._widget = widget
        self._type, self._annotations = notes.split(dataType)

    def connect(self, slot):
        getattr(self._widget, self.SIGNAL).connect(slot)

    def disconnect(self, slot):
        getattr(self._widget, self.SIGNAL).disconnect(slot)

    def read(self):
        return getattr(self._widget, self.PROPERTY)

    def write(self, value):
        setattr(self._widget, self.PROPERTY, value)


def widgetClasses(names) -> list[type]:
    """Of these classes those that the host has."""
    import ctk
    import qt

    return [getattr(module, name) for module in (qt, ctk, slicer) for name in names if hasattr(module, name)]


class CheckBox(Connector):
    WIDGETS, TYPES = ("QCheckBox",), (bool,)
    SIGNAL, PROPERTY = "stateChanged", "checked"


class PushButton(Connector):
    WIDGETS, TYPES = ("QPushButton",), (bool,)
    SIGNAL, PROPERTY = "toggled", "checked"

    def __init__(self, widget, dataType):
        super().__init__(widget, dataType)
        if not widget.checkable:
            logging.warning("Making push button checkable for conversion to bool: button %s", widget)
            widget.checkable = True


class Number(Connector):
    """A number in a spin box or slider; the annotations, and not the .ui file, set the widget's limits."""

    SIGNAL, PROPERTY = "valueChanged", "value"
    NEED_LIMITS: tuple[str, ...] = ()
    REFUSAL = ""
    LOWEST, HIGHEST = -(2**31), 2**31 - 1

    def __init__(self, widget, dataType):
        super().__init__(widget, dataType)
        self._setDigits()
        step = notes.first(self._annotations, notes.SingleStep)
        if step is not None:
            widget.singleStep = step.value
        limits = notes.first(self._annotations, notes.WithinRange)
        low = limits or notes.first(self._annotations, notes.Minimum)
        high = limits or notes.first(self._annotations, notes.Maximum)
        if (low is None or high is None) and type(widget) in widgetClasses(self.NEED_LIMITS):
            raise RuntimeError(self.REFUSAL)
        widget.minimum = self.LOWEST if low is None else low.minimum
        widget.maximum = self.HIGHEST if high is None else high.maximum

    def _setDigits(self):
        decimals = notes.first(self._annotations, notes.Decimals)
        if decimals is not None:
            self._widget.decimals = decimals.value


class WholeNumber(Number):
    WIDGETS, TYPES = ("QSlider", "QSpinBox"), (int,)
    NEED_LIMITS = ("QSlider",)
    REFUSAL = "Cannot have a connection to QSlider where the int type is unbounded."


class DecimalNumber(Number):
    WIDGETS, TYPES = ("QDoubleSpinBox", "ctkSliderWidget"), (float, int)
    NEED_LIMITS = ("ctkSliderWidget",)
    REFUSAL = "Cannot have a connection to ctkSliderWidget where the float types is unbounded."
    LOWEST, HIGHEST = float("-inf"), float("inf")

    def _setDigits(self):
        if self._type is int:
            self._widget.decimals = 0
        else:
            super()._setDigits()

    def read(self):
        return self._type(super().read())

    def write(self, value):
        super().write(self._type(value))


class ListedChoice(Connector):
    """One of some values in a combo box: Slicer demands the annotation Choice."""

    WIDGETS, TYPES = ("QComboBox",), (int, float, str, bool)
    SIGNAL = "currentIndexChanged"

    def __init__(self, widget, dataType):
        super().__init__(widget, dataType)
        choice = notes.first(self._annotations, notes.Choice)
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        self._values = list(choice.choices)
        widget.clear()
        widget.addItems([str(value) for value in self._values])

    def read(self):
        return self._values[self._widget.currentIndex]

    def write(self, value):
        if value not in self._values:
            raise ValueError(f"Unable to find value {value} in choices {self._values}")
        self._widget.currentIndex = self._values.index(value)


class EnumChoice(Connector):
    """One of an enumeration in a combo box, which is filled anew with each binding."""

    SIGNAL = "currentIndexChanged"

    @classmethod
    def fits(cls, widget, bareType):
        return type(widget) in widgetClasses(("QComboBox",)) and issubclass(bareType, enum.Enum)

    def __init__(self, widget, dataType):
        super().__init__(widget, dataType)
        self._members = list(self._type)
        labelOf = getattr(self._type, "label", lambda member: member.name)
        chosen = self.read()  # of an empty list this is the last one, there as here
        widget.clear()
        for member in self._members:
            widget.addItem(labelOf(member))
        self.write(chosen)

    def read(self):
        return self._members[self._widget.currentIndex]

    def write(self, value):
        self._widget.currentIndex = self._members.index(value)


class LineEdit(Connector):
    WIDGETS, TYPES = ("QLineEdit",), (str,)
    SIGNAL, PROPERTY = "textChanged", "text"

    def write(self, value):
        if value != self.read():  # writing moves the cursor to the end
            super().write(value)


class Label(Connector):
    """Shows a text; a label has no signal of its text."""

    WIDGETS, TYPES = ("QLabel",), (str,)
    PROPERTY = "text"

    def connect(self, slot):
        pass

    def disconnect(self, slot):
        pass


class NodeSelector(Connector):
    """A node in a qMRMLNodeComboBox, which from then on offers what the parameter takes."""

    SIGNAL = "currentNodeChanged"

    @classmethod
    def fits(cls, widget, bareType):
        return type(widget) is slicer.qMRMLNodeComboBox and issubclass(bareType, slicer.vtkMRMLNode)

    def __init__(self, widget, dataType):
        super().__init__(widget, dataType)
        widget.nodeTypes = (self._type().GetClassName(),)

    def read(self):
        return self._widget.currentNode()

    def write(self, value):
        self._widget.setCurrentNode(value)


CONNECTORS = (CheckBox, PushButton, WholeNumber, DecimalNumber, ListedChoice, EnumChoice, LineEdit, Label, NodeSelector)

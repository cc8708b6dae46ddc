"""``slicer.parameterNodeWrapper`` for the parameter types of this module: nodes, enumerations, numbers, truth, text.

As in Slicer the values live in a vtkMRMLScriptedModuleNode (text parameters, node references), and a widget with the
dynamic property SlicerParameterName follows its parameter both ways.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing

import slicer
import vtk

PROPERTY_NAME = "SlicerParameterName"


def makeModule() -> types.ModuleType:
    """The module ``slicer.parameterNodeWrapper``."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.WithinRange = WithinRange
    return module


@dataclasses.dataclass(frozen=True)
class WithinRange:
    """Annotation: the limits of a number, both included."""

    minimum: float
    maximum: float


def parameterNodeWrapper(cls: type) -> type:
    """Class decorator: annotated names become parameters of the wrapped node."""
    parameters = {}
    for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
        dataType, *annotations = typing.get_args(annotated) if hasattr(annotated, "__metadata__") else (annotated,)
        limits = next((one for one in annotations if isinstance(one, WithinRange)), None)
        if issubclass(dataType, slicer.vtkMRMLNode):
            parameters[name] = NodeParameter(name, dataType)
        elif issubclass(dataType, enum.Enum):
            parameters[name] = EnumParameter(name, dataType, getattr(cls, name, next(iter(dataType))))
        elif dataType in PLAIN_WIDGETS:
            parameters[name] = PlainParameter(name, dataType, getattr(cls, name, dataType()), limits)
        else:
            raise TypeError(f"SlicerHost has no parameter of type {dataType}")
        setattr(cls, name, _attribute(parameters[name]))
    return type(cls.__name__, (cls, _WrapperMixin), {"_parameters": parameters, "__doc__": cls.__doc__})


class NodeParameter:
    """A node of class `dataType`, held as a node reference."""

    def __init__(self, name, dataType):
        self.name, self.dataType = name, dataType

    def read(self, node):
        return node.GetNodeReference(self.name)

    def write(self, node, value):
        if value is not None and not isinstance(value, self.dataType):
            raise TypeError(f"{self.name} takes a {self.dataType.__name__}")
        node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)

    def connector(self, widget):
        if type(widget) is not slicer.qMRMLNodeComboBox:
            raise RuntimeError(f"{self.name} needs a qMRMLNodeComboBox")
        return widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode


class EnumParameter:
    """One of an enumeration, held by its name."""

    def __init__(self, name, dataType, default):
        self.name, self.dataType, self.default = name, dataType, default

    def read(self, node):
        text = node.GetParameter(self.name)
        return self.dataType[text] if text else self.default

    def write(self, node, value):
        if not isinstance(value, self.dataType):
            raise TypeError(f"{self.name} takes a {self.dataType.__name__}")
        node.SetParameter(self.name, value.name)

    def connector(self, widget):
        import qt

        if type(widget) is not qt.QComboBox:
            raise RuntimeError(f"{self.name} needs a QComboBox")
        members = list(self.dataType)
        labelOf = getattr(self.dataType, "label", lambda member: member.name)
        widget.clear()
        for member in members:
            widget.addItem(labelOf(member))
        return (
            widget.currentIndexChanged,
            lambda: members[widget.currentIndex],
            lambda value: widget.setCurrentIndex(members.index(value)),
        )


PLAIN_WIDGETS = {
    bool: {"QCheckBox": "toggled", "QPushButton": "toggled"},
    int: {"QSpinBox": "valueChanged", "ctkSliderWidget": "valueChanged"},
    float: {"QDoubleSpinBox": "valueChanged", "ctkSliderWidget": "valueChanged"},
    str: {"QLineEdit": "textChanged"},
}
"""Which widgets take a parameter of a type, and the signal that tells of a change."""

PLAIN_PROPERTIES = {bool: "checked", int: "value", float: "value", str: "text"}


class PlainParameter:
    """A number, a text or yes and no."""

    def __init__(self, name, dataType, default, limits):
        self.name, self.dataType, self.default, self.limits = name, dataType, default, limits

    def read(self, node):
        text = node.GetParameter(self.name)
        if text == "":  # never set; an empty text is what a text parameter has before it is set, too
            return self.default
        return text == "True" if self.dataType is bool else self.dataType(text)

    def write(self, node, value):
        if isinstance(value, bool) != (self.dataType is bool) or not isinstance(value, (self.dataType, int)):
            raise TypeError(f"{self.name} takes a {self.dataType.__name__}, not {value!r}")
        if self.limits is not None and not self.limits.minimum <= value <= self.limits.maximum:
            raise ValueError(f"{self.name} must lie within {self.limits.minimum} and {self.limits.maximum}")
        node.SetParameter(self.name, str(self.dataType(value)))

    def _setLimits(self, widget, kind):
        """As Slicer: a slider needs limits, and a spin box without them loses those it had."""
        if self.limits is not None:
            widget.minimum, widget.maximum = self.limits.minimum, self.limits.maximum
        elif kind == "ctkSliderWidget":
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
        elif self.dataType is int:
            widget.minimum, widget.maximum = -(2**31), 2**31 - 1
        else:
            widget.minimum, widget.maximum = float("-inf"), float("inf")

    def connector(self, widget):
        kind = type(widget).__name__
        if kind not in PLAIN_WIDGETS[self.dataType]:
            raise RuntimeError(f"{self.name} cannot be bound to a {kind}")
        if self.dataType in (int, float):
            self._setLimits(widget, kind)
        signal = getattr(widget, PLAIN_WIDGETS[self.dataType][kind])
        attribute = PLAIN_PROPERTIES[self.dataType]
        return (
            signal,
            lambda: self.dataType(getattr(widget, attribute)),
            lambda value: getattr(widget, attribute) != value and setattr(widget, attribute, value),
        )


class _WrapperMixin:
    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis = {}
        self._nextTag = 0
        self._isUpdatingGui = False

    def connectGui(self, gui):
        """Bind the widgets among the attributes of `gui`; returns a tag for disconnectGui."""
        bindings = []
        for widget in gui.__dict__.values():
            parameterName = widget.property(PROPERTY_NAME)
            if not parameterName:
                continue
            parameter = self._parameters[parameterName]  # KeyError: the .ui names a parameter that is none
            signal, read, write = parameter.connector(widget)
            write(parameter.read(self.parameterNode))
            slot = self._guiSlot(parameter, read)
            signal.connect(slot)
            bindings.append((parameter, signal, slot, write))
        observation = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._updateGui())
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        self._guis[tag] = bindings, observation
        return tag

    def disconnectGui(self, tag):
        bindings, observation = self._guis.pop(tag)
        for _parameter, signal, slot, _write in bindings:
            signal.disconnect(slot)
        self.parameterNode.RemoveObserver(observation)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def _guiSlot(self, parameter, read):
        def slot(*_):
            if not self._isUpdatingGui:
                parameter.write(self.parameterNode, read())

        return slot

    def _updateGui(self):
        if self._isUpdatingGui:
            return
        self._isUpdatingGui = True
        try:
            for bindings, _observation in self._guis.values():
                for parameter, _signal, _slot, write in bindings:
                    write(parameter.read(self.parameterNode))
        finally:
            self._isUpdatingGui = False


def _attribute(parameter):
    return property(
        lambda self: parameter.read(self.parameterNode), lambda self, value: parameter.write(self.parameterNode, value)
    )

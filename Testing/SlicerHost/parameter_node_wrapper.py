"""``slicer.parameterNodeWrapper`` for the parameter types of this module: nodes, enumerations, numbers, truth, text.

As in Slicer the values live in a vtkMRMLScriptedModuleNode (text parameters, node references) and are cached; a widget
with the dynamic property SlicerParameterName follows its parameter both ways (SlicerHost.gui_connectors).
"""

from __future__ import annotations

import enum
import logging
import types
import typing
import weakref

import slicer
import slicer.util
import vtk

from SlicerHost import annotations as notes
from SlicerHost import gui_connectors

PROPERTY_NAME = "SlicerParameterName"


def makeModule() -> types.ModuleType:
    """The module ``slicer.parameterNodeWrapper``."""
    module = types.ModuleType("slicer.parameterNodeWrapper")
    module.parameterNodeWrapper = parameterNodeWrapper
    module.SlicerParameterNamePropertyName = PROPERTY_NAME
    module.isParameterNodeWrapper = lambda obj: hasattr(obj, "_isParameterNodeWrapper")
    for public in notes.PUBLIC:
        setattr(module, public.__name__, public)
    return module


def parameterNodeWrapper(cls: type | None = None):
    """Class decorator, with or without parentheses: annotated names become parameters of the wrapped node."""
    return _wrap if cls is None else _wrap(cls)


def _wrap(cls: type) -> type:
    parameters = {}
    for name, dataType in typing.get_type_hints(cls, include_extras=True).items():
        parameters[name] = Parameter(name, dataType, *([getattr(cls, name)] if hasattr(cls, name) else []))
    for reserved, value in {"allParameters": parameters, "_isParameterNodeWrapper": True, **METHODS}.items():
        if reserved in parameters or hasattr(cls, reserved):
            raise ValueError(f"Cannot use reserved name '{reserved}' in a parameterNodeWrapper")
        setattr(cls, reserved, value)
    for name in parameters:
        setattr(cls, name, _attribute(name))
    cls.__init__ = _initialize
    return cls


def _attribute(name):
    return property(lambda self: self._values[name].value, lambda self, value: self._values[name].write(value))


class Parameter:
    """Name, type and default of a parameter, and how the node holds its value."""

    def __init__(self, name, dataType, *default):
        self.name, self.dataType = name, dataType
        bareType, annotations = notes.split(dataType)
        self._store, ownDefault, ownValidators = _storageOf(bareType)
        self._validators = [*ownValidators, *(one for one in annotations if isinstance(one, notes.Validator))]
        given = notes.first(annotations, notes.Default)
        self.default = notes.Default(*default) if default else given or notes.Default(ownDefault)
        known = (notes.Validator, *(() if default else (notes.Default,)))
        unused = [one for one in annotations if not isinstance(one, known)]
        if unused:
            logging.warning("Unused annotations: %s", unused)

    def write(self, node, value):
        for validator in self._validators:
            validator.validate(value)
        self._store.write(node, self.name, value)

    def read(self, node):
        if not node.HasParameter(self.name):
            self.write(node, self.default.value)
        return self._store.read(node, self.name)


def _storageOf(bareType):
    """How the node holds a value of this type, the default of the type, and what every value must fulfil."""
    if bareType in (int, float):
        kinds = int if bareType is int else (int, float)
        return TextStorage(str, bareType), 0, [notes.NotNone(), notes.IsInstance(kinds)]
    if bareType is bool:
        store = TextStorage(lambda value: "True" if value else "False", lambda text: text == "True")
        return store, False, [notes.NotNone(), notes.IsInstance(bool)]
    if bareType is str:
        return TextStorage(str, str), "", [notes.NotNone(), notes.IsInstance(str)]
    if isinstance(bareType, type) and issubclass(bareType, enum.Enum):
        store = TextStorage(lambda value: value.name, lambda text: _memberOf(bareType, text))
        return store, next(iter(bareType)), [notes.IsInstance(bareType)]
    if isinstance(bareType, type) and issubclass(bareType, slicer.vtkMRMLNode):
        return NodeStorage(), None, [notes.IsInstance(bareType)]
    raise TypeError(f"SlicerHost has no parameter of type {bareType}")


def _memberOf(enumeration, text):
    if text not in enumeration.__members__:
        raise ValueError(f"Found {text!r} in parameter node but it is not a name in {enumeration!r}")
    return enumeration[text]


class TextStorage:
    """As a text parameter of the node."""

    def __init__(self, toText, fromText):
        self._toText, self._fromText = toText, fromText

    def write(self, node, name, value):
        node.SetParameter(name, self._toText(value))

    def read(self, node, name):
        return self._fromText(node.GetParameter(name))


class NodeStorage:
    """As a node reference, beside an empty text that says that it was set."""

    def write(self, node, name, value):
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node, name):
        return node.GetNodeReference(name)


class CachedValue:
    """A parameter's value in one node. It is read anew only when the node says that it was modified."""

    def __init__(self, parameter, node):
        self._parameter, self._node = parameter, node
        self._isWriting = False
        self.value = parameter.read(node)
        weak = weakref.ref(self)  # the observer must not keep this alive
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: weak()._onModified())

    def __del__(self):
        if hasattr(self, "_tag"):
            self._node.RemoveObserver(self._tag)

    def write(self, value):
        self._isWriting = True
        try:
            with slicer.util.NodeModify(self._node):
                self._parameter.write(self._node, value)
                self.value = self._parameter.read(self._node)  # before any observer asks for it
        finally:
            self._isWriting = False

    def _onModified(self):
        if not self._isWriting:
            self.value = self._parameter.read(self._node)


def _initialize(self, parameterNode):
    self.parameterNode = parameterNode
    self._guis = {}
    self._tagCount = 0
    self._isUpdatingGui = False
    self._values = {name: CachedValue(parameter, parameterNode) for name, parameter in self.allParameters.items()}


def _parameterOf(self, name):
    if name not in self.allParameters:
        known = ", ".join(self.allParameters)
        raise ValueError(f"Cannot find a param with the given name: {name}. Found parameters: {known}")
    return self.allParameters[name]


def _connectGui(self, gui):
    """Bind the widgets among the attributes (or children) of `gui`; returns a tag for disconnectGui."""
    isWidget = getattr(gui, "isWidgetType", lambda: False)()
    widgets = slicer.util.findChildren(gui) if isWidget else gui.__dict__.values()
    named = {widget.property(PROPERTY_NAME): widget for widget in widgets if widget.property(PROPERTY_NAME)}
    return _connectParametersToGui(self, named)


def _connectParametersToGui(self, mapping):
    """Bind a widget to each parameter by name; nothing is bound where one of them cannot be."""
    for name in mapping:
        _parameterOf(self, name)
    connectors = {
        name: gui_connectors.create(widget, self.allParameters[name].dataType) for name, widget in mapping.items()
    }
    tag, self._tagCount = self._tagCount, self._tagCount + 1
    slots = {name: _slotOf(self, name, connector) for name, connector in connectors.items()}
    for name, connector in connectors.items():
        connector.write(self.getValue(name))
        connector.connect(slots[name])
    observation = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _updateGui(self))
    self._guis[tag] = connectors, slots, observation
    return tag


def _disconnectGui(self, tag):
    if tag in self._guis:
        connectors, slots, observation = self._guis.pop(tag)
        for name, connector in connectors.items():
            connector.disconnect(slots[name])
        self.parameterNode.RemoveObserver(observation)


def _slotOf(self, name, connector):
    def slot():
        with slicer.util.NodeModify(self.parameterNode):
            if not self._isUpdatingGui:
                self.setValue(name, connector.read())

    return slot


def _updateGui(self):
    if self._isUpdatingGui:
        return
    self._isUpdatingGui = True
    try:
        with slicer.util.NodeModify(self.parameterNode):
            for connectors, _slots, _observation in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
    finally:
        self._isUpdatingGui = False


def _getValue(self, name):
    _parameterOf(self, name)
    return self._values[name].value


def _setValue(self, name, value):
    _parameterOf(self, name)
    self._values[name].write(value)


METHODS = {
    "connectGui": _connectGui,
    "connectParametersToGui": _connectParametersToGui,
    "disconnectGui": _disconnectGui,
    "getValue": _getValue,
    "setValue": _setValue,
    "default": lambda self, name: _parameterOf(self, name).default,
    "isCached": lambda self, name: _parameterOf(self, name) is not None,
    "dataType": classmethod(lambda cls, name: _parameterOf(cls, name).dataType),
    "StartModify": lambda self: self.parameterNode.StartModify(),
    "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    "Modified": lambda self: self.parameterNode.Modified(),
    "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    ),
    "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
}
"""What every wrapper has besides its parameters; a parameter of such a name is refused."""

"""Makes PySide6 behave like PythonQt, and stricter than PySide6 where PythonQt is stricter.

Qt properties become attributes (``button.text``, no ``button.text()``); ``connect("clicked(bool)", f)`` checks that the
signal exists; constructors take no keyword arguments; new attributes on Qt objects are refused.  Only the classes in
CLASSES are there: what this module uses and no more.
"""

from __future__ import annotations

import os
import types

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["PYSIDE6_OPTION_LAZY"] = "0"  # classes that PySide6 makes late would be made without our changes

from PySide6 import QtCore, QtGui, QtWidgets  # noqa: E402

CLASSES = {
    QtCore: ("QFile", "QSettings", "QTimer", "QUrl"),
    QtGui: ("QAction", "QDesktopServices", "QIcon", "QKeySequence", "QShortcut"),
    QtWidgets: (
        *("QAbstractButton", "QApplication", "QCheckBox", "QComboBox", "QDoubleSpinBox", "QLabel", "QLineEdit"),
        *("QMenu", "QProgressBar", "QPushButton", "QSlider", "QSpinBox", "QTableWidget", "QTableWidgetItem"),
        *("QVBoxLayout", "QWidget"),
    ),
}


BASES = (QtWidgets.QWidget, QtWidgets.QAbstractButton)
"""Python classes derive from these, and then neither connect nor setting attributes can be replaced in them."""


class PropertyAttribute:
    """A Q_PROPERTY as an attribute of its class."""

    _asked: set[str] = set()

    def __init__(self, name: str, isWritable: bool, virtual=None) -> None:
        self.name = name
        self.isWritable = isWritable
        self._virtual = virtual

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        if self._virtual is None:
            return instance.property(self.name)
        # To read a property that is virtual in C++, Qt asks Python for an override of that name: not this one.
        if self.name in self._asked:
            return self._virtual.__get__(instance, owner)
        self._asked.add(self.name)
        try:
            return instance.property(self.name)
        finally:
            self._asked.discard(self.name)

    def __set__(self, instance, value) -> None:
        if not self.isWritable:
            raise AttributeError(f"Qt property {self.name} is read-only")
        isAccepted = instance.setProperty(self.name, value)
        if not isAccepted:
            raise AttributeError(f"Qt property {self.name} does not take {value!r}")
        if self.name == "toolTip":
            wrapToolTip(instance)  # Qt sets a property in C++, past setToolTip


def makeModule() -> types.ModuleType:
    """The module ``qt``: patches the classes (once a process) and holds them."""
    qt = types.ModuleType("qt")
    for source, names in CLASSES.items():
        for name in names:
            cls = getattr(source, name)
            if "_isPythonQtLike" not in cls.__dict__:
                _patch(cls)
            setattr(qt, name, cls)
    QtWidgets.QWidget.setToolTip = _setToolTip
    qt.Qt = QtCore.Qt  # the enumerations
    return qt


def _exposeProperties(cls: type) -> None:
    """Turn the Qt properties of `cls`, its bases' included, into attributes."""
    metaObject = cls.staticMetaObject
    for index in range(metaObject.propertyCount()):
        qtProperty = metaObject.property(index)
        name = qtProperty.name()
        virtual = getattr(cls, name, None) if name in ("sizeHint", "minimumSizeHint") else None
        virtual = virtual._virtual if isinstance(virtual, PropertyAttribute) else virtual
        setattr(cls, name, PropertyAttribute(name, qtProperty.isWritable(), virtual))
    cls.name = PropertyAttribute("objectName", True)  # PythonQt's own alias, slicer.util relies on it


def _patch(cls: type) -> None:
    cls._isPythonQtLike = True
    isObject = issubclass(cls, QtCore.QObject)
    if isObject:
        _exposeProperties(cls)
    originalInit, originalGetattribute = cls.__init__, cls.__getattribute__

    def strictInit(self, *args, **keywords):
        if keywords and type(self) is cls:
            raise TypeError(f"PythonQt takes no keyword arguments: {cls.__name__}({', '.join(keywords)}=...)")
        originalInit(self, *args, **keywords)

    def getattribute(self, name):
        # PySide6 resolves these two before it looks into the class, so that a method there would never be found.
        if name in ("connect", "disconnect"):
            return types.MethodType(_connect if name == "connect" else _disconnect, self)
        return originalGetattribute(self, name)

    def strictSetattr(self, name, value):
        qtProperty = getattr(type(self), name, None)
        if isinstance(qtProperty, PropertyAttribute):
            qtProperty.__set__(self, value)
        elif type(self).__module__.startswith("PySide6") and not isinstance(qtProperty, QtCore.Signal):
            raise AttributeError(f"PythonQt makes no new attributes on Qt objects: {type(self).__name__}.{name}")
        else:  # of a class that Python code has derived, or a signal, which PySide6 keeps there
            self.__dict__[name] = value

    cls.__init__ = strictInit
    if isObject and cls not in BASES:
        cls.__getattribute__, cls.__setattr__ = getattribute, strictSetattr


def _setToolTip(self, text) -> None:
    self.toolTip = text


def wrapToolTip(widget: QtWidgets.QWidget) -> None:
    """As Slicer's application does with every plain tool tip: make it rich text, so that long ones are wrapped."""
    if isinstance(widget, QtWidgets.QWidget) and widget.toolTip and not QtGui.Qt.mightBeRichText(widget.toolTip):
        widget.toolTip = QtGui.Qt.convertFromPlainText(widget.toolTip, QtGui.Qt.WhiteSpaceMode.WhiteSpaceNormal)


def signalOf(sender, signature: str):
    """The PySide signal for a C++ signature such as "clicked(bool)". Raises ValueError when there is none."""
    normalized = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    if sender.metaObject().indexOfSignal(normalized) < 0:
        raise ValueError(f"{type(sender).__name__} has no signal {signature}")
    return getattr(sender, normalized[: normalized.index("(")])


def _connect(self, signature, slot):
    signalOf(self, signature).connect(slot)
    return True


def _disconnect(self, signature, slot):
    signalOf(self, signature).disconnect(slot)
    return True

"""Makes PySide6 behave like PythonQt, and stricter than PySide6 where PythonQt is stricter.

Qt properties become attributes (``button.text``, no ``button.text()``); ``connect("clicked(bool)", f)`` checks that the
signal exists; constructors take no keyword arguments; new attributes on Qt objects are found (strayAttributes).  Only
the classes in CLASSES are there: what this module uses and no more.
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
        *("QApplication", "QCheckBox", "QComboBox", "QLabel", "QLineEdit", "QMenu", "QProgressBar", "QPushButton"),
        *("QSlider", "QDoubleSpinBox", "QSpinBox", "QTableWidget", "QTableWidgetItem", "QVBoxLayout", "QWidget"),
    ),
}


VIRTUAL_GETTERS = ("sizeHint", "minimumSizeHint")
"""Virtual in C++: PySide6 would take an attribute of that name for an override and call it for ever."""


class PropertyAttribute:
    """A Q_PROPERTY as an attribute of its class."""

    def __init__(self, name: str, isWritable: bool) -> None:
        self.name = name
        self.isWritable = isWritable

    def __get__(self, instance, owner=None):
        return self if instance is None else instance.property(self.name)

    def __set__(self, instance, value) -> None:
        if not self.isWritable:
            raise AttributeError(f"Qt property {self.name} is read-only")
        isAccepted = instance.setProperty(self.name, value)
        if not isAccepted:
            raise TypeError(f"Qt property {self.name} does not take {value!r}")


def makeModule() -> types.ModuleType:
    """The module ``qt``: patches the classes (once a process) and holds them."""
    qt = types.ModuleType("qt")
    for source, names in CLASSES.items():
        for name in names:
            cls = getattr(source, name)
            if "_isPythonQtLike" not in cls.__dict__:
                _patch(cls)
            setattr(qt, name, cls)
    qt.Qt = QtCore.Qt  # the enumerations
    return qt


def _exposeProperties(cls: type) -> None:
    """Turn the Qt properties of `cls`, its bases' included, into attributes."""
    metaObject = cls.staticMetaObject
    for index in range(metaObject.propertyCount()):
        qtProperty = metaObject.property(index)
        if qtProperty.name() in VIRTUAL_GETTERS:
            continue
        setattr(cls, qtProperty.name(), PropertyAttribute(qtProperty.name(), qtProperty.isWritable()))
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

    cls.__init__ = strictInit
    if isObject and cls is not QtWidgets.QWidget:  # Python classes derive from QWidget, where this cannot be applied
        cls.__getattribute__ = getattribute


def strayAttributes(root: QtCore.QObject) -> list[str]:
    """Attributes that Python code made on the Qt objects under `root`: PythonQt would have raised there."""
    return [
        f"{type(obj).__name__}.{name}"
        for obj in (root, *root.findChildren(QtCore.QObject))
        if type(obj).__module__.startswith("PySide6")
        for name in getattr(obj, "__dict__", {})
        if not hasattr(type(obj), name)
    ]


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

"""What Slicer's Python refuses or forbids, seen in the source: the host cannot notice all of it."""

import ast
from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "LRformerSlicer"
LIBRARY = MODULE_FOLDER / "LRformerSlicerLib"
MODULE = MODULE_FOLDER / "LRformerSlicer.py"
SLICER_FACING = [MODULE, *sorted((LIBRARY / "scene").glob("*.py")), *sorted((LIBRARY / "panel").glob("*.py"))]
IN_SLICERS_PROCESS = [*SLICER_FACING, LIBRARY / "worker" / "client.py", LIBRARY / "worker" / "messages.py"]

OURS = {"LRformerSlicerLib"}
FROM_SLICER = {"slicer", "vtk", "qt", "ctk", "SimpleITK", "numpy", "scipy"}
STANDARD = {
    *("__future__", "collections", "contextlib", "dataclasses", "enum", "html", "importlib", "inspect", "itertools"),
    *("json", "logging", "math", "os", "pathlib", "re", "shutil", "signal", "subprocess", "sys", "tempfile", "time"),
    "typing",
}

PROPERTIES = {
    *(
        "text",
        "toolTip",
        "checked",
        "enabled",
        "visible",
        "maximum",
        "minimum",
        "currentIndex",
        "currentText",
        "suffix",
    ),
    *("plainText", "windowTitle", "objectName", "styleSheet", "collapsed", "value", "decimals", "singleStep", "prefix"),
    *("placeholderText", "readOnly", "iconSize", "width", "height", "size", "rowCount", "columnCount"),
}
"""Qt properties that are called as functions in PySide; in PythonQt the call fails."""

NOT_IN_PYTHONQT = {"QThread", "Signal", "Slot", "pyqtSignal", "Property"}
ONLY_IN_ONE_QT = {"QTextCodec", "QRegExp", "QDesktopWidget", "QRegExpValidator", "QSound"}
QT_METHODS = {
    *("value", "setValue", "addAction", "addItem", "addItems", "addWidget", "setItem", "setText", "setToolTip"),
    *("getOpenFileName", "getSaveFileName", "getExistingDirectory", "findChild", "findChildren", "singleShot"),
}
"""Names of Qt's methods, and of nobody else's here: a call of them takes no keyword argument."""

BYTE_ARRAYS = ("readAll", "readAllStandardOutput", "readAllStandardError", "readLine", "toUtf8", "toBase64", "toHex")
"""Methods that give a QByteArray."""


def pythonqt_problems(tree: ast.AST) -> list[str]:
    """What passes in PySide and fails in PythonQt, or exists in only one of Qt 5 and Qt 6."""
    problems = []
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', 0)}: "
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
            if module.startswith(("PySide", "PyQt")):
                problems.append(f"{where}imports {module}")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("qt", "ctk"):
            if node.attr in NOT_IN_PYTHONQT | ONLY_IN_ONE_QT:
                problems.append(f"{where}qt.{node.attr}")
        if isinstance(node, ast.Attribute) and node.attr in ("metaObject", "singleShot"):
            problems.append(f"{where}.{node.attr} does not work as in PySide")
        if not isinstance(node, ast.Call):
            continue
        function = ast.unparse(node.func)
        isQt = function.split(".")[0] in ("qt", "ctk")
        if node.keywords and (isQt or isinstance(node.func, ast.Attribute) and node.func.attr in QT_METHODS):
            problems.append(f"{where}keyword arguments to {function}")
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in PROPERTIES and not node.args:
                problems.append(f"{where}{function}() is a property")
            if node.func.attr == "exec":
                problems.append(f"{where}exec is exec_ in Slicer")
        isDecoding = isinstance(node.func, ast.Name) and node.func.id in ("bytes", "len") and len(node.args) == 1
        if isDecoding and isinstance(node.args[0], ast.Call) and ast.unparse(node.args[0].func).endswith(BYTE_ARRAYS):
            problems.append(f"{where}{node.func.id}() of a QByteArray: use .data()")
    return problems


def imported_at_file_scope(tree: ast.AST) -> list[str]:
    """Modules that are imported when the file is, also those under a condition or a try."""
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return []
    if isinstance(tree, ast.Import):
        return [alias.name for alias in tree.names]
    if isinstance(tree, ast.ImportFrom):
        return [tree.module or ""]
    return [name for child in ast.iter_child_nodes(tree) for name in imported_at_file_scope(child)]


@pytest.mark.parametrize("path", IN_SLICERS_PROCESS, ids=lambda path: path.name)
def test_file_scope_imports_only_what_slicer_ships(path):
    for name in imported_at_file_scope(ast.parse(path.read_text(encoding="utf-8"))):
        assert name.split(".")[0] in OURS | FROM_SLICER | STANDARD, f"{path.name} imports {name} at file scope"


def test_an_import_is_found_wherever_it_runs_with_the_file():
    code = (
        "try:\n    import torch\nexcept ImportError:\n    pass\nclass A:\n    import timm\n    def b(self): import os"
    )
    assert imported_at_file_scope(ast.parse(code)) == ["torch", "timm"]


@pytest.mark.parametrize("path", SLICER_FACING, ids=lambda path: path.name)
def test_nothing_is_used_that_pythonqt_refuses(path):
    assert pythonqt_problems(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "qt.QPushButton(text='Restore')",
        "button.text()",
        "self.ui.slider.maximum()",
        "thread = qt.QThread()",
        "class A(qt.QObject):\n    done = qt.Signal(int)",
        "qt.QRegExp('a')",
        "len(process.readAll())",
        "bytes(process.readAllStandardOutput())",
        "settings.value(key, type=bool)",
        "menu.addAction(text='Sample')",
        "slider.value()",
        "timer.singleShot",
        "dialog.exec()",
        "widget.metaObject().className()",
        "from PySide6 import QtWidgets",
    ],
)
def test_the_lint_finds_what_it_must(line):
    assert len(pythonqt_problems(ast.parse(line))) == 1


def test_the_classes_stand_in_slicers_order():
    names = [node.name for node in ast.parse(MODULE.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    slicers = [name for name in names if name.startswith("LRformerSlicer")]
    assert slicers == [f"LRformerSlicer{part}" for part in ("", "ParameterNode", "Widget", "Logic", "Test")]

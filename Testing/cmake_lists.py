"""What LRformerSlicer/CMakeLists.txt must list: Slicer packages no file that is not named there.

After adding or removing a file of the module: python3 Testing/cmake_lists.py
"""

from __future__ import annotations

import re
from pathlib import Path

MODULE_FOLDER = Path(__file__).resolve().parent.parent / "LRformerSlicer"
PREFIX = "  "


def scripts_in_tree(folder: Path = MODULE_FOLDER) -> list[str]:
    """The module file and every .py of its helper package, relative to the module folder."""
    package = sorted(path.relative_to(folder).as_posix() for path in folder.glob("LRformerSlicerLib/**/*.py"))
    return ["${MODULE_NAME}.py", *package]


def resources_in_tree(folder: Path = MODULE_FOLDER) -> list[str]:
    """Every file under Resources, relative to the module folder; hidden and temporary files apart."""
    files = (path for path in folder.glob("Resources/**/*") if path.is_file())
    return sorted(
        path.relative_to(folder).as_posix()
        for path in files
        if not path.name.startswith(".") and path.suffix not in (".pyc", ".tmp")
    )


def listed(variable: str, text: str) -> list[str]:
    """The entries of ``set(variable ...)`` in the text of a CMakeLists.txt."""
    block = re.search(rf"^set\({variable}\n(.*?)^\s*\)", text, re.MULTILINE | re.DOTALL)
    if block is None:
        raise ValueError(f"The CMakeLists.txt has no set({variable} ...), one entry a line.")
    return [line.strip() for line in block[1].splitlines() if line.strip()]


def with_list(variable: str, entries: list[str], text: str) -> str:
    """The text with the entries of one variable exchanged."""
    block = "".join(f"{PREFIX}{line}\n" for line in [*entries, ")"])
    pattern = rf"^set\({variable}\n.*?^\s*\)\n"
    return re.sub(pattern, lambda _: f"set({variable}\n{block}", text, count=1, flags=re.MULTILINE | re.DOTALL)


def main() -> None:
    path = MODULE_FOLDER / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    text = with_list("MODULE_PYTHON_SCRIPTS", scripts_in_tree(), text)
    text = with_list("MODULE_PYTHON_RESOURCES", resources_in_tree(), text)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Names that ITK can open: it takes UTF-8 only, and some of its formats small letters only."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .check import CheckedFile, suffix_of


def is_utf8(path: Path) -> bool:
    """Whether the bytes of a path are UTF-8; Python keeps others as lone surrogates."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def plainly_named(path: Path, checked: CheckedFile) -> Iterator[Path]:
    """A name under which ITK reads the file: its own, or that of a link in a temporary folder."""
    suffix = suffix_of(path.name)
    if suffix == suffix.lower() and is_utf8(path.absolute()):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="lrformer-") as folder:
        for file in checked.files:
            is_header_of_another = file != path and checked.image_io != "NiftiImageIO"
            name = (
                str(file.relative_to(path.parent)) if is_header_of_another else "volume" + suffix_of(file.name).lower()
            )
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            _link(file.absolute(), Path(folder) / name)
        yield Path(folder) / ("volume" + suffix.lower())


def _link(file: Path, link: Path) -> None:
    """A link to a file, or its copy where there are no links (Windows gives them to few)."""
    for make in (os.symlink, os.link):
        with contextlib.suppress(OSError):
            make(file, link)
            return
    shutil.copyfile(file, link)

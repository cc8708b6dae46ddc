"""Files that appear complete and together, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import SimpleITK as sitk

from ..errors import UserError, is_out_of_memory
from .native_output import silent_native_libraries
from .nifti_image import POSITION_KEY, write_nifti
from .volume_files.check import NIFTI_SUFFIXES, suffix_of
from .volume_files.plain_names import is_utf8

TEMPORARY_PREFIX = ".lrformer-"
MARKER_NAME = "lrformer-temporary"
"""Lies in each temporary folder of ours: a user's own folder that happens to be called alike has none."""


def write_volume(image: sitk.Image, path: Path | str) -> None:
    """Write one image atomically; see `write_all`."""
    write_all({path: image})


def write_all(images: Mapping[Path | str, sitk.Image], texts: Mapping[Path | str, str] | None = None) -> None:
    """Write several images and text files, all of them or none; existing files are replaced at the very end.

    Everything is first written beside its destination in a hidden temporary folder and only then moved into place.
    Raises UserError on a missing or read-only folder, an unknown file type or a full disk.
    """
    with OutputFiles() as outputs:
        for path, image in images.items():
            outputs.add_image(image, path)
        for path, text in (texts or {}).items():
            outputs.add_text(text, path)
        outputs.commit()


class OutputFiles:
    """Files that appear together at `commit` or not at all.

    Use as a context manager; images are added one after another so that only one need be in memory::

        with OutputFiles() as outputs:
            outputs.add_image(result.restored, "restored.nii.gz")
            outputs.add_text(report, "report.json")
            outputs.commit()
    """

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._moves: list[tuple[Path, Path]] = []
        self._stale: list[Path] = []

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def add_image(self, image: sitk.Image, path: Path | str) -> None:
        """Write an image beside `path`, to be moved there by `commit`."""
        path = Path(path)
        staging = self._staging_folder(path)
        try:
            written = write_under_name(image, staging, path.name)
        except (RuntimeError, OSError, ValueError) as error:
            raise write_error(path, image, error) from error
        self._add_moves(path.parent, written)

    def add_text(self, text: str, path: Path | str) -> None:
        """Write UTF-8 text beside `path`, to be moved there by `commit`.

        What is not UTF-8, in the name of a file for instance, is written as JSON escapes it.
        """
        path = Path(path)
        staging = self._staging_folder(path)
        try:
            (staging / path.name).write_bytes(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise write_error(path, None, error) from error
        self._add_moves(path.parent, [staging / path.name])

    def add_folder(self, folder: Path, make: Callable[[Path], None], stale: Iterable[Path] = ()) -> None:
        """Have `make` fill an empty folder with files, to be moved into `folder` (made where missing) by `commit`.

        Of the files `stale`, which an earlier run has written there, those that are not written again are then removed.
        """
        staging = self._staging_folder(folder)
        try:
            make(staging)
        except OSError as error:
            raise write_error(folder / "a file", None, error) from error
        self._add_moves(folder, sorted(staging.iterdir()))
        self._stale += [file for file in stale if file.parent.resolve() == folder.resolve()]

    def commit(self) -> list[Path]:
        """Move everything into place; returns the files that are there now.

        What was moved is moved back where a later file cannot be, and what it had replaced is there again.
        """
        moves, self._moves = self._moves, []
        for _, destination in moves:
            check_replaceable(destination)
        undo = contextlib.ExitStack()
        with undo:
            for number, (written, destination) in enumerate(moves):
                try:
                    _make_folder(destination.parent, undo)
                    _move(written, destination, written.parent.parent / f"replaced-{number}", undo)
                except OSError as error:
                    raise write_error(destination, None, error) from error
            undo.pop_all()
        destinations = [destination for _, destination in moves]
        for folder in {destination.parent for destination in destinations}:
            _flush_folder(folder)
        now_there = {destination.resolve() for destination in destinations}
        for stale in self._stale:
            if stale.resolve() not in now_there:
                _quietly(stale.unlink)
        return destinations

    def _add_moves(self, folder: Path, written: list[Path]) -> None:
        try:
            for file in written:
                _flush_file(file)
        except OSError as error:
            raise write_error(folder / "a file", None, error) from error
        self._moves += [(file, folder / file.name) for file in written]

    def _staging_folder(self, path: Path) -> Path:
        check_folder(path)
        folder = make_temporary_folder(path)
        self._folders.append(folder)
        inner = folder / "files"
        try:
            inner.mkdir()
        except OSError as error:
            raise write_error(path, None, error) from error
        return inner


def write_under_name(image: sitk.Image, folder: Path, name: str) -> list[Path]:
    """Write an image into an empty folder as the file `name`; returns all files that make it up.

    ITK takes names in UTF-8 only, and the suffixes of some formats in small letters only: files are renamed afterwards.
    Raises RuntimeError as ITK does, ValueError as nibabel does, and OSError.
    """
    suffix = suffix_of(name)
    stem = name[: len(name) - len(suffix)]
    plain = (stem if is_utf8(Path(stem)) else "volume") + suffix.lower()
    with contextlib.ExitStack() as stack:
        place = folder
        if not is_utf8(folder.absolute()):
            outer = stack.enter_context(tempfile.TemporaryDirectory(prefix="lrformer-"))
            place = Path(outer) / "link"
            place.symlink_to(folder.absolute(), target_is_directory=True)
        if suffix.lower() in NIFTI_SUFFIXES:
            write_nifti(image, place / plain)
        else:
            _write_with_itk(image, place / plain)
    if plain != name:
        for file in list(folder.iterdir()):
            if file.name == plain:
                file.rename(folder / name)
            elif suffix.lower().startswith((".hdr", ".img")):
                other = suffix_of(file.name)
                file.rename(folder / (stem + (other.upper() if suffix.isupper() else other)))
    return sorted(folder.iterdir())


def _write_with_itk(image: sitk.Image, path: Path) -> None:
    # NRRD would hold every metadata entry; the position of NIfTI means nothing there.
    position = image.GetMetaData(POSITION_KEY) if image.HasMetaDataKey(POSITION_KEY) else None
    if position is not None:
        image.EraseMetaData(POSITION_KEY)
    try:
        with silent_native_libraries():
            # NRRD and MetaImage stay plain so that they are written fast.
            sitk.WriteImage(image, str(path))
    finally:
        if position is not None:
            image.SetMetaData(POSITION_KEY, position)


def set_aside(path: Path) -> Path:
    """Rename a file that is not ours to a name that is free, such as scan.nrrd.kept-1; returns it. Raises UserError."""
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.kept-{number}")):
        number += 1
    try:
        os.rename(path, kept)
    except OSError as error:
        raise write_error(path, None, error) from error
    return kept


def check_folder(path: Path) -> None:
    """UserError where the folder of `path` does not exist."""
    if not path.parent.is_dir():
        raise UserError(f'There is no folder "{path.parent}" to write into: make it first or choose another.')


def check_replaceable(path: Path) -> None:
    """UserError where something is at `path` that is no file: a folder, a device, a pipe."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return  # nothing, or a link that leads to nothing
    except OSError as error:
        raise write_error(path, None, error) from error
    if stat.S_ISDIR(mode):
        raise UserError(f'The output "{path}" is a folder: give the name of a file.')
    if not stat.S_ISREG(mode):
        raise UserError(f'The output "{path}" is a device or a pipe: give the name of a file.')


def make_temporary_folder(path: Path) -> Path:
    """A hidden folder beside `path`; asking for one is the only sure test of the right to write there."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
        (folder / MARKER_NAME).touch()
    except OSError as error:
        raise write_error(path, None, error) from error
    return folder


def remove_temporary_folders(folder: Path) -> None:
    """Remove the temporary folders of ours, below `folder`, that a killed run has left."""
    for root, folders, _ in os.walk(folder):
        for name in [name for name in folders if name.startswith(TEMPORARY_PREFIX)]:
            folders.remove(name)
            found = Path(root) / name
            if (found / MARKER_NAME).is_file() and not found.is_symlink():
                shutil.rmtree(found, ignore_errors=True)


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    if not folder.is_dir():
        folder.mkdir()
        undo.callback(_quietly, folder.rmdir)


def _move(written: Path, destination: Path, replaced: Path, undo: contextlib.ExitStack) -> None:
    """Move a file into place, so that `undo` brings back what was there."""
    if os.path.lexists(destination):
        try:
            os.link(destination, replaced, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a file system without hard links
            os.replace(destination, replaced)
        undo.callback(_quietly, os.replace, replaced, destination)
    else:
        undo.callback(_take_back, written, destination)
    os.replace(written, destination)


def _take_back(written: Path, destination: Path) -> None:
    if not written.exists():
        _quietly(destination.unlink)


def _quietly(action: Callable, *arguments: object) -> None:
    with contextlib.suppress(OSError):
        action(*arguments)


def _flush_file(path: Path) -> None:
    """Onto the disk before it gets its name: after a power cut a name must not lead to an empty file."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_error(path: Path, image: sitk.Image | None, error: Exception) -> UserError:
    """The sentence for a failure to write `path`."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or _disk_is_full(path, image, error):
        size = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() if image is not None else 0
        return UserError(disk_full_sentence(path, size))
    if code == errno.ENAMETOOLONG:
        return UserError(
            f'The name "{path.name[:60]}..." or its folder is too long for this disk: choose a shorter one.'
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS) or code is not None:
        return UserError(f'The folder "{path.parent}" cannot be written to: choose another or change its permissions.')
    if is_out_of_memory(error):
        return UserError(f'There is not enough memory to write "{path}": close other programs, then try again.')
    reason = str(error).strip().splitlines()[-1].split("ERROR:")[-1].strip()
    return UserError(f'"{path}" cannot be written ({reason}): choose another file type, such as .nii.gz.')


def _disk_is_full(path: Path, image: sitk.Image | None, error: Exception) -> bool:
    if image is None or isinstance(error, OSError):
        return False
    if any(sign in str(error) for sign in ("No space left", "File too large", "wrote only", "out of disk space")):
        return True
    needed = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    return shutil.disk_usage(path.parent).free < needed


def disk_full_sentence(path: Path, size_bytes: int) -> str:
    """The sentence for a disk on which `size_bytes` (0: unknown) do not fit."""
    needed = f" (up to {max(1, round(size_bytes / 2**20))} MiB needed)" if size_bytes else ""
    return f'The disk of "{path.parent}" is full{needed}: free some space or choose another folder.'

"""All files that a run will write, held against all files that it reads, before any work is done."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from ..errors import UserError
from ..weights.folder import EXTENSION_FOLDER
from .output_files import check_folder, check_replaceable, disk_full_sentence, make_temporary_folder, write_under_name
from .volume_files.check import files_of, suffix_of
from .volume_files.plain_names import is_utf8

_COMPANIONS = {".mhd": ".raw", ".nhdr": ".raw", ".hdr": ".img", ".img": ".hdr", ".hdr.gz": ".img.gz",
               ".img.gz": ".hdr.gz"}  # fmt: skip
"""Suffix of an image file to that of the second file that is written with it."""


def written_with(path: Path) -> tuple[Path, ...]:
    """The files that writing an image to `path` makes: itself, and for some formats the one with its voxels."""
    suffix = suffix_of(path.name)
    companion = _COMPANIONS.get(suffix.lower())
    if companion is None:
        return (path,)
    if suffix.isupper() and suffix.lower().startswith((".hdr", ".img")):
        companion = companion.upper()
    return path, path.with_name(path.name[: -len(suffix)] + companion)


@dataclass
class OutputPlan:
    """The files of a run: what it reads, and what it will write.

    Files are the same by what they are on the disk (links and hard links included), and two outputs also where they
    differ in capital and small letters or in how an umlaut is written only, which some file systems take for the same.
    """

    _read: set[tuple[int, int]] = field(default_factory=set)
    _written: dict[str, str] = field(default_factory=dict)

    def read(self, path: Path | None) -> None:
        """Note a file, a model with its card, or a folder with all files below it, as an input."""
        if path is None:
            return
        if path.is_dir():
            seen: set[tuple[int, int]] = set()
            for root, folders, files in os.walk(path, followlinks=True):
                state = os.stat(root)
                if (state.st_dev, state.st_ino) in seen:  # a link to a folder above
                    folders.clear()
                    continue
                seen.add((state.st_dev, state.st_ino))
                for name in files:
                    self._note_read(Path(root) / name)
            return
        for file in files_of(path) if suffix_of(path.name) else (path,):
            self._note_read(file)
        if path.suffix.lower() == ".safetensors":
            self._note_read(path.with_suffix(".json"))

    def write(self, path: Path, by: str = "another output") -> None:
        """Note a file that will be written, together with its companions.

        Raises UserError where it is an input, a file of another output (`by` names it to those that come later),
        something that is no file, or where a companion would replace a file that belongs to something else.
        """
        files = written_with(path)
        for file in files:
            said = f'The output "{path}"' if file == path else f'The output "{path}", which comes with "{file.name}",'
            check_replaceable(file)
            if self.is_read(file):
                raise UserError(f"{said} is also an input: choose another name.")
            clash = self._written.get(_key(file))
            if clash is not None:
                raise UserError(f"{said} is also {clash}: choose another name.")
            if file != path and file.exists() and not _belong_together(path, file):
                raise UserError(f'{said} would replace a file "{file.name}" of something else: choose another name.')
        self._written.update((_key(file), by) for file in files)

    def is_read(self, path: Path) -> bool:
        """Whether a file is one of the inputs, under whatever name."""
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            return False
        return (state.st_dev, state.st_ino) in self._read

    def _note_read(self, path: Path) -> None:
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            return
        self._read.add((state.st_dev, state.st_ino))


def check_outputs(
    inputs: Iterable[Path | None], images: list[tuple[Path, sitk.Image]], texts: list[Path], image_bytes: int = 0
) -> None:
    """Refuse destinations that cannot work, before any work is done.

    `inputs` are all files and folders that the run reads; None counts for nothing. `images` pairs each destination with
    a small image of the pixel type and dimension that will go there; it is really written to a temporary folder and
    read back. `image_bytes` is what the first one will take uncompressed, held against the free space where its format
    does not compress.
    Raises UserError: an output equal to an input or another output, a folder missing, read-only or full, a
    format that cannot hold the image, a folder or a device in the place of a file.
    """
    plan = OutputPlan()
    for path in (*inputs, EXTENSION_FOLDER / "Resources" / "Models"):
        plan.read(path)
    for path, small in [*images, *((path, None) for path in texts)]:
        plan.write(path)
        check_folder(path)
        folder = make_temporary_folder(path)
        try:
            if small is not None:
                (folder / "files").mkdir()
                _try_format(small, folder / "files" / path.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if images and not images[0][0].name.lower().endswith(".gz"):
        path = images[0][0]
        if shutil.disk_usage(path.parent).free < image_bytes:
            raise UserError(disk_full_sentence(path, image_bytes))


def check_written_files(inputs: Iterable[Path | None], outputs: Iterable[Path | None]) -> None:
    """As `check_outputs`, for a run that writes no images: nothing that is read is written over. Raises UserError."""
    plan = OutputPlan()
    for path in inputs:
        plan.read(path)
    for path in outputs:
        if path is not None:
            plan.write(path)


def check_stays_inside(folder: Path, path: Path) -> None:
    """UserError where `path`, below `folder` by its name, lies elsewhere because a folder between is a link."""
    # A DICOM series at the top of the input goes into the output folder itself.
    if path != folder and not path.parent.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f'"{path.parent}" is a link that leads out of the output folder "{folder}": remove the link, or choose '
            "another output folder."
        )


def small_like(image: sitk.Image, pixel_type: int | None = None) -> sitk.Image:
    """A few voxels of the dimension of `image` and of its or the given pixel type, for `check_outputs`."""
    return sitk.Image([2] * image.GetDimension(), image.GetPixelID() if pixel_type is None else pixel_type)


def _try_format(small: sitk.Image, path: Path) -> None:
    """Write and read back a few voxels: formats refuse types (DICOM: float) and lose slices (PNG) each in their way."""
    from .volume_io import read_checked

    if not is_utf8(Path(path.name)) and len(written_with(path)) > 1:
        raise UserError(f'The name of "{path.name}" is not UTF-8: choose another name, or a format of one file.')
    try:
        write_under_name(small, path.parent, path.name)
        back = read_checked(path)
        kept = back.GetSize() == small.GetSize() and back.GetPixelID() == small.GetPixelID()
    except (RuntimeError, OSError, ValueError, UserError):
        kept = False
    if not kept:
        kind = f"a {small.GetDimension()}-D image of {small.GetPixelIDTypeAsString()}"
        raise UserError(f'The file type of "{path.name}" cannot hold {kind}: choose .nii.gz, .nrrd or .mha.')


def _belong_together(path: Path, companion: Path) -> bool:
    """Whether `companion` is part of the image that is already at `path`."""
    return path.exists() and any(os.path.samefile(file, companion) for file in files_of(path) if file.exists())


def _key(path: Path) -> str:
    return unicodedata.normalize("NFC", os.path.realpath(path.parent) + os.sep + path.name).casefold()

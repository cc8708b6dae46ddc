"""The volumes in a folder, and the file or folder that each one's restoration goes to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .dicom_input import DicomSeries, find_series, with_header
from .dicom_output import FILE_PATTERN
from .folder_record import RECORD_NAME
from .output_plan import OutputPlan, check_stays_inside, written_with

FORMATS = ("same", "dicom", "nii.gz", "nii", "nrrd", "mha")
"""What results can be written as; "same" is the input's own format."""

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")
"""Files that are volumes by their name; an .img, .raw or .zraw belongs to one of them."""

_NO_DICOM_SUFFIXES = (
    *(".img", ".img.gz", ".raw", ".zraw", ".raw.gz", ".json", ".txt", ".csv", ".tsv", ".md", ".pdf", ".xml"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".zip", ".tar", ".gz", ".py", ".html"),
)


@dataclass(frozen=True)
class FoundVolume:
    """One volume of a folder: its name for people, its files, and whether they are a DICOM series.

    `place` is where it lies below the folder, without a file's suffix; `suffix` is that of a file, else empty.
    """

    name: str
    place: Path
    suffix: str
    files: tuple[Path, ...]

    @property
    def is_dicom(self) -> bool:
        """Whether the files are the slices of one DICOM series."""
        return not self.suffix

    def output(self, out_folder: Path, form: str) -> Path:
        """The file, or with the format dicom the folder, that the restored volume goes to.

        Raises UserError where a file that is no DICOM is to become a DICOM series.
        """
        if form == "same":
            return out_folder / self.place if self.is_dicom else out_folder / (str(self.place) + self.suffix)
        if form == "dicom":
            if not self.is_dicom:
                raise UserError(
                    f'"{self.name}" is no DICOM, so no DICOM series can be derived from it: choose --format same.'
                )
            return out_folder / self.place
        if self.place == Path("."):
            return out_folder / f"{self.files[0].parent.resolve().name}.{form}"
        return out_folder / f"{self.place}.{form}"


def find_volumes(folder: Path, without: Path) -> tuple[list[FoundVolume], list[str]]:
    """All volumes in `folder` and the folders below it, except in `without`; and a line for each series left out.

    DICOM localizers and series of other modalities than CT and MR (reports, segmentations) are left out. Hidden
    files and folders are not looked at. Raises UserError where the folder does not exist or cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f'There is no folder "{folder}": check the path.')
    volumes: list[FoundVolume] = []
    left_out: list[str] = []

    def refuse(error: OSError) -> None:
        raise UserError(f'The folder "{error.filename}" cannot be read: check its permissions.') from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        here = Path(root)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _is_same(here / name, without))
        files = sorted(name for name in files if not name.startswith("."))
        volumes += [_file_volume(here / name, folder) for name in files if suffix_of(name)]
        if any(not suffix_of(name) and not name.lower().endswith(_NO_DICOM_SUFFIXES) for name in files):
            series, lines = _series_of(here, folder)
            volumes += series
            left_out += lines
    return volumes, left_out


def one_file(path: Path) -> FoundVolume:
    """The one volume in a file, DICOM or other. Raises UserError where there is no such file."""
    if not path.is_file():
        raise UserError(f'There is no file "{path}": check the path.')
    if suffix_of(path.name):
        return _file_volume(path, path.parent)
    return FoundVolume(path.name, Path(path.stem), "", (path,))


def check_outputs_differ(volumes: Iterable[FoundVolume], out_folder: Path, form: str) -> dict[str, tuple[Path, ...]]:
    """The files that each volume's result will be, by the volume's name.

    Raises UserError where two volumes would be written to one place, one would be written over an input, a DICOM series
    into the folder of a source, or a result out of `out_folder` through a link.
    """
    volumes, plan, planned = list(volumes), OutputPlan(), {}
    for file in (file for volume in volumes for file in volume.files):
        plan.read(file)
    sources = {file.parent.resolve() for volume in volumes for file in volume.files}
    plan.write(out_folder / RECORD_NAME, "the record of the folder")
    taken: dict[str, str] = {}
    for volume in volumes:
        output = volume.output(out_folder, form)
        # Some file systems take capital and small letters for the same.
        key = str(output).casefold()
        if key in taken:
            raise UserError(
                f'"{taken[key]}" and "{volume.name}" would both be written to "{output}": choose --format same, or '
                "rename one of them."
            )
        taken[key] = volume.name
        check_stays_inside(out_folder, output)
        if form == "dicom" or form == "same" and volume.is_dicom:
            if output.resolve() in sources:
                raise UserError(f'"{volume.name}" would be written over or beside its source: choose another folder.')
            check_stays_inside(out_folder, output / "a file")
            files = tuple(
                output / FILE_PATTERN.replace("*", f"{number + 1:04d}") for number in range(len(volume.files))
            )
            written = files
        else:
            files, written = written_with(output), (output,)
        for file in files:
            if plan.is_read(file):
                raise UserError(f'"{file}" is an input and would be written over: choose another output folder.')
        for file in written:
            plan.write(file, f'a result of "{volume.name}"')
        planned[volume.name] = files
    return planned


def suffix_of(name: str) -> str:
    """The suffix by which a file is a volume, as it is written; empty where it is none."""
    suffix = next((one for one in VOLUME_SUFFIXES if name.lower().endswith(one)), "")
    return name[-len(suffix) :] if suffix and len(name) > len(suffix) else ""


def _file_volume(path: Path, folder: Path) -> FoundVolume:
    relative, suffix = path.relative_to(folder), suffix_of(path.name)
    return FoundVolume(relative.as_posix(), relative.with_name(path.name[: -len(suffix)]), suffix, (path,))


def _series_of(here: Path, folder: Path) -> tuple[list[FoundVolume], list[str]]:
    place = here.relative_to(folder)
    name = place.as_posix() if place != Path(".") else here.resolve().name
    kept: list[DicomSeries] = []
    left_out: list[str] = []
    for series in map(with_header, find_series(here)):
        if series.is_localizer:
            left_out.append(f"{name}: {series.label} is a localizer")
        elif series.modality not in ("CT", "MR", ""):
            left_out.append(f"{name}: {series.label} is of modality {series.modality}")
        else:
            kept.append(series)
    if len(kept) == 1:
        return [FoundVolume(name, place, "", kept[0].files)], left_out
    volumes = []
    labels: dict[str, int] = {}
    for series in sorted(kept, key=lambda one: (one.label, one.files)):
        labels[series.label] = labels.get(series.label, 0) + 1
        label = series.label + (f"-{labels[series.label]}" if labels[series.label] > 1 else "")
        full = f"{name}/{label}" if place != Path(".") else label
        volumes.append(FoundVolume(full, place / label, "", series.files))
    return volumes, left_out


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False

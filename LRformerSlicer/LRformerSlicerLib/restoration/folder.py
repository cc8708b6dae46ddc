"""The volumes in a folder, and the file or folder that each one's restoration goes to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .dicom_file import is_dicom
from .dicom_input import DIRECTORY_NAME, planes_in, sort_by_folder, walk
from .dicom_output import FILE_PATTERN
from .dicom_plane import planes_of
from .dicom_series import DicomSeries, labelled, sort_planes
from .folder_record import RECORD_NAME
from .output_plan import OutputPlan, check_stays_inside, written_with
from .volume_files.check import refused_by_name

FORMATS = ("same", "dicom", "nii.gz", "nii", "nrrd", "mha")
"""What results can be written as; "same" is the input's own format."""

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr")
"""Files that are volumes by their name; an .img, .raw or .zraw belongs to one of them."""

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")


@dataclass(frozen=True)
class FoundVolume:
    """One volume of a folder: its name for people, its files, and whether they are a DICOM series.

    `place` is where it lies below the folder, without a file's suffix; `suffix` is that of a file, else empty. `series`
    is what a DICOM volume is made of, with the sentence for one that cannot be read.
    """

    name: str
    place: Path
    suffix: str
    files: tuple[Path, ...]
    series: DicomSeries | None = None

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


def find_volumes(folder: Path, without: Path | None = None) -> tuple[list[FoundVolume], list[str]]:
    """All volumes in `folder` and the folders below it, except in `without`; and a line for whatever is left out.

    DICOM localizers, copies and series of other modalities than CT and MR (reports, segmentations) are left out. Hidden
    files and folders are not looked at. Raises UserError where the folder does not exist or cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f'There is no folder "{folder}": check the path.')
    volumes: list[FoundVolume] = []
    left_out: list[str] = []
    others: list[Path] = []
    for here, names in walk(folder, without):
        volumes += [_file_volume(here / name, folder) for name in names if suffix_of(name)]
        others += [here / name for name in names if not suffix_of(name)]
        left_out += [
            f"{(here / name).relative_to(folder).as_posix()} is an archive: unpack it first"
            for name in names
            if name.lower().endswith(_ARCHIVE_SUFFIXES)
        ]
    planes, errors = planes_in(others)
    series, lines = sort_by_folder(planes)
    left_out += [f"{_folder_name(one.planes[0].file.parent, folder)}: {one}" for one in lines]
    left_out += [f"{_folder_name(error.file.parent, folder)}: {error.message.rstrip('.')}" for error in errors]
    return volumes + _series_volumes(series, folder), left_out


def volumes_in_file(path: Path) -> tuple[list[FoundVolume], list[str]]:
    """The volumes in one file, and a line for whatever is left out: one, or those of a DICOM file.

    A DICOMDIR stands for its folder. Raises UserError where there is no such file.
    """
    if not path.is_file():
        raise UserError(f'There is no file "{path}": check the path.')
    if path.name.upper() == DIRECTORY_NAME:
        return find_volumes(path.parent)
    if suffix_of(path.name):
        return [_file_volume(path, path.parent)], []
    if not is_dicom(path):
        raise UserError(
            refused_by_name(path) or f'"{path}" is no volume: choose a NIfTI, NRRD, MetaImage or DICOM file.'
        )
    series, left_out = sort_planes(planes_of(path))
    volumes = [
        FoundVolume(
            path.name if len(series) == 1 else f"{path.name}/{label}",
            Path(path.stem) if len(series) == 1 else Path(path.stem) / label,
            "",
            (path,),
            one,
        )
        for label, one in labelled(series).items()
    ]
    return volumes, [f"{path.name}: {one}" for one in left_out]


def called(volumes: Iterable[FoundVolume], series: str) -> list[FoundVolume]:
    """The DICOM volumes that have this name, label, series number or series instance UID. Raises UserError for none."""
    dicom = [volume for volume in volumes if volume.series is not None]
    fitting = [
        volume
        for volume in dicom
        if volume.name == series or volume.place.name == series or volume.series.is_called(series)
    ]
    if not fitting:
        names = ", ".join(f"{volume.name} ({volume.series.title})" for volume in dicom) or "none"
        raise UserError(f'No DICOM series is called "{series}": let --series be one of those that are there: {names}.')
    return fitting


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
            check_stays_inside(out_folder, output / "a file")
            if output.resolve() in sources:
                raise UserError(f'"{volume.name}" would be written over or beside its source: choose another folder.')
            files = tuple(
                output / FILE_PATTERN.replace("*", f"{number + 1:04d}") for number in range(_slices_of(volume))
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


def _slices_of(volume: FoundVolume) -> int:
    """The number of files of a derived series: one a slice."""
    return len(volume.series.planes if volume.series else volume.files)


def _file_volume(path: Path, folder: Path) -> FoundVolume:
    relative, suffix = path.relative_to(folder), suffix_of(path.name)
    return FoundVolume(relative.as_posix(), relative.with_name(path.name[: -len(suffix)]), suffix, (path,))


def _series_volumes(series: Iterable[DicomSeries], folder: Path) -> list[FoundVolume]:
    """DICOM volumes, each named by the folder that holds all its files, and by its label where that holds several."""
    of_folder: dict[Path, list[DicomSeries]] = {}
    for one in series:
        common = Path(os.path.commonpath([file.parent for file in one.files]))
        of_folder.setdefault(common, []).append(one)
    volumes = []
    for here, members in sorted(of_folder.items()):
        place = here.relative_to(folder)
        for label, one in labelled(members).items():
            within = place if len(members) == 1 else place / label
            name = within.as_posix() if within != Path(".") else here.resolve().name
            volumes.append(FoundVolume(name, within, "", one.files, one))
    return volumes


def _folder_name(here: Path, folder: Path) -> str:
    return here.relative_to(folder).as_posix() if here != folder else here.resolve().name


def _is_same(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False

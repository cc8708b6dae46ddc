"""DICOM series in files and folders: which there are, and reading one of them as a volume."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from .dicom_file import DicomError, is_dicom
from .dicom_pixels import same_pixels
from .dicom_plane import Plane, planes_of
from .dicom_series import DicomSeries, LeftOut, labelled, sort_planes
from .dicom_values import read_values
from .volume import MODALITY_TAG

SLICE_AXIS = 2
"""The image axis across the slices of every volume that comes from DICOM: the stored plane is the acquisition's."""
DIRECTORY_NAME = "DICOMDIR"
_NAMED_DICOM = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class DicomVolume:
    """A volume read from DICOM: its image, where its voxels are padding (K, J, I) or None, and warnings."""

    image: sitk.Image
    padding: np.ndarray | None
    warnings: tuple[str, ...]
    series: DicomSeries


def walk(folder: Path, without: Path | None = None) -> Iterator[tuple[Path, list[str]]]:
    """The folders at and below `folder`, linked ones once, with the names of their files; hidden ones are passed over.

    Raises UserError where a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f'The folder "{error.filename}" cannot be read: check its permissions.') from error

    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(root)
        state = here.stat()
        if (state.st_dev, state.st_ino) in seen:
            folders[:] = []
            continue
        seen.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _is(here / name, without))
        yield here, sorted(name for name in files if not name.startswith("."))


def _is(path: Path, other: Path | None) -> bool:
    try:
        return other is not None and os.path.samefile(path, other)
    except OSError:
        return False


def planes_in(files: Sequence[Path]) -> tuple[list[Plane], list[DicomError]]:
    """The planes in those of the files that are DICOM, and what is wrong with files that cannot be read."""
    planes: list[Plane] = []
    errors: list[DicomError] = []
    for file in files:
        try:
            if is_dicom(file):
                planes += planes_of(file)
            elif file.suffix.lower() in _NAMED_DICOM:
                raise DicomError(file, "is no DICOM file, although it is named like one")
        except DicomError as error:
            errors.append(error)
    return planes, errors


def sort_by_folder(planes: Sequence[Plane]) -> tuple[list[DicomSeries], list[LeftOut]]:
    """The volumes in planes of many folders.

    A series that is spread over folders is put together. Folders that hold other images under the same UIDs, as badly
    anonymised studies do, are sorted each by itself.
    """
    of_folder: dict[tuple[str, Path], list[Plane]] = {}
    for plane in planes:
        of_folder.setdefault((plane.series_uid, plane.file.parent), []).append(plane)
    wholes: dict[tuple, list[dict[tuple, Plane]]] = {}
    alone: list[list[Plane]] = []
    for members in of_folder.values():
        owners = {(plane.series_uid, plane.study_uid, plane.patient) for plane in members}
        if len(owners) > 1 or not members[0].series_uid or all(plane.left_out for plane in members):
            alone.append(members)
            continue
        found = {(plane.instance_uid, plane.frame) if plane.instance_uid else id(plane): plane for plane in members}
        if len(found) < len(members):  # copies within the folder: `sort_planes` looks at them
            found |= {id(plane): plane for plane in members}
        candidates = wholes.setdefault(next(iter(owners)), [])
        whole = next((one for one in candidates if _are_copies(one, found)), None)
        if whole is None:
            candidates.append(found)
        else:
            whole.update({key if key not in whole else id(plane): plane for key, plane in found.items()})
    volumes: list[DicomSeries] = []
    left_out: list[LeftOut] = []
    groups = [list({id(plane): plane for plane in one.values()}.values()) for many in wholes.values() for one in many]
    for group in [*groups, *alone]:
        found_volumes, lines = sort_planes(group)
        volumes += found_volumes
        left_out += lines
    return volumes, left_out


def _are_copies(whole: dict[tuple, Plane], found: dict[tuple, Plane]) -> bool:
    """Whether planes of one UID in two parts of a series are the same images; so where they share none."""
    try:
        return all(
            whole[key].position == found[key].position and same_pixels(whole[key], found[key])
            for key in whole.keys() & found.keys()
        )
    except DicomError:
        return False


def find_series(folder: Path) -> list[DicomSeries]:
    """The volumes among the DICOM files in a folder and those below it."""
    return sort_by_folder(planes_in([here / name for here, names in walk(folder) for name in names])[0])[0]


def read_dicom(path: Path, warn: Callable[[str], None], series: str | None = None) -> DicomVolume:
    """The volume in a DICOM file or the largest one in a folder, or that called `series`.

    `warn` is told what else there is, what is left out and what is odd. Raises UserError where there is none, where
    it cannot be read, and where its slices make no regular grid.
    """
    if path.name.upper() == DIRECTORY_NAME and path.is_file():
        path = path.parent
    if path.is_dir():
        planes, errors = planes_in([here / name for here, names in walk(path) for name in names])
    else:
        planes, errors = planes_of(path), []
    volumes, left_out = sort_by_folder(planes)
    chosen = _choose(path, volumes, left_out, errors, warn, series)
    series_uid = chosen.planes[0].series_uid
    for one in left_out:
        if one.planes[0].series_uid == series_uid or not one.is_whole or path.is_dir():
            warn(f"Left out: {one}.")
    for error in errors:
        warn(f"Left out: {error.message}")
    volume = load(chosen)
    for sentence in volume.warnings:
        warn(sentence)
    return volume


def load(series: DicomSeries, keeps_places: bool = False) -> DicomVolume:
    """Read the voxels of a series.

    `keeps_places` says that each slice will be written at the place of its source, so that the slices need not make a
    regular grid. Raises UserError where they do not and where they cannot be read.
    """
    if series.problem or series.geometry is None:
        raise UserError(series.problem)
    geometry = series.geometry
    if geometry.irregular and not keeps_places:
        raise UserError(
            f"The slices of {series.title} make no regular grid ({geometry.irregular}), and only DICOM output keeps "
            "them in their places: let OUT be a folder, with --format dicom."
        )
    values, padding, warnings = read_values(series.planes)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    if series.planes[0].modality:
        image.SetMetaData(MODALITY_TAG, series.planes[0].modality)
    return DicomVolume(image, padding, (*warnings, *series.notes), series)


def read_series(
    files: Sequence[Path], frames: Sequence[Sequence[int]] | None = None, keeps_places: bool = False
) -> DicomVolume:
    """The one volume in these files, or in these of their frames as `DicomSeries.frames` gives them; see `load`."""
    planes, errors = planes_in(files)
    if errors:
        raise errors[0]
    if frames is not None:
        wanted = dict(zip(files, frames, strict=True))
        planes = [plane for plane in planes if plane.frame is None or plane.frame in wanted[plane.file]]
    volumes, left_out = sort_planes(planes)
    if len(volumes) != 1:
        raise UserError(_nothing(files[0].parent, left_out, []))
    return load(volumes[0], keeps_places)


def _choose(
    path: Path,
    volumes: list[DicomSeries],
    left_out: list[LeftOut],
    errors: list[DicomError],
    warn: Callable[[str], None],
    wanted: str | None,
) -> DicomSeries:
    if not volumes:
        raise UserError(_nothing(path, left_out, errors))
    by_label = labelled(volumes)
    names = ", ".join(by_label)
    if wanted is not None:
        fitting = {name: one for name, one in by_label.items() if name == wanted or one.is_called(wanted)}
        if len(fitting) != 1:
            found = "no" if not fitting else "more than one"
            raise UserError(f'"{path}" holds {found} volume called "{wanted}": let --series be one of {names}.')
        return next(iter(fitting.values()))
    label, chosen = max(by_label.items(), key=lambda item: len(item[1].planes))
    if len(volumes) > 1:
        kind = "The folder" if path.is_dir() else "The file"
        count = len(chosen.files)
        warn(
            f'{kind} "{path}" holds {len(volumes)} DICOM series or parts of one ({names}): the largest, {label} of '
            f'{count} {"file" if count == 1 else "files"} beginning with "{chosen.files[0].name}", is taken; --series '
            "chooses another."
        )
    return chosen


def _nothing(path: Path, left_out: Sequence[LeftOut], errors: Sequence[DicomError]) -> str:
    """The sentence for a path without a volume."""
    kind = "folder" if path.is_dir() else "file"
    reasons = [*map(str, left_out), *(error.message.rstrip(".") for error in errors)]
    if not reasons:
        if path.is_dir() and any(name.lower().endswith(".zip") for _, names in walk(path) for name in names):
            return f'The folder "{path}" holds no DICOM series, but zip archives: unpack them first.'
        return f'The {kind} "{path}" holds no DICOM series: choose a folder of DICOM files.'
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return f'The {kind} "{path}" holds no CT or MR volume ({"; ".join(reasons[:3])}{more}): choose another.'

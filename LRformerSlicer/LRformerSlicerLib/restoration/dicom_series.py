"""The volumes in a set of DICOM planes: which planes belong together, which are left out, and what cannot be a volume.

Planes of one series UID need not be one volume: scanners and archives put echoes, phases, diffusion weightings, scouts
and copies into one. What the header tells apart is split and named; what it does not is a problem in one sentence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .dicom_geometry import StackGeometry, by_place, geometry_of
from .dicom_parts import (
    consecutive,
    in_plain_letters,
    must_be_alike,
    names_that_differ,
    part_name,
    split_by,
    told_apart,
    what_differs,
)
from .dicom_pixels import same_pixels
from .dicom_plane import Plane

_NAMED = 3
_SMALLEST_REGULAR_PART = 3
_FEW_MISSING = 5
"""A gap of so many slices may lie between two volumes; fewer are files that were lost."""


@dataclass(frozen=True)
class DicomSeries:
    """The planes of one volume in the order of its slices; the whole of a series, or a part of it that has a name.

    `geometry` is None where a `problem` says, in one sentence, why the planes are no volume. `notes` are warnings.
    """

    planes: tuple[Plane, ...]
    part: str = ""
    geometry: StackGeometry | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the planes, each once, in the order of the slices."""
        return tuple(dict.fromkeys(plane.file for plane in self.planes))

    @property
    def frames(self) -> tuple[tuple[int, ...], ...]:
        """For each of `files` the frames that belong to the volume; empty for a file of one image."""
        of_file: dict[Path, list[int]] = {file: [] for file in self.files}
        for plane in self.planes:
            of_file[plane.file] += [] if plane.frame is None else [plane.frame]
        return tuple(tuple(sorted(frames)) for frames in of_file.values())

    @property
    def label(self) -> str:
        """Number, description and part in letters that every file system takes, such as "3-Thorax-1.0"."""
        first = self.planes[0]
        return in_plain_letters(first.series_number, first.description, self.part) or "series"

    @property
    def title(self) -> str:
        """The label, with a word before it where it is a mere number."""
        return f"series {self.label}" if self.label.isdigit() else self.label

    def is_called(self, name: str) -> bool:
        """Whether `name` is the label, the series number or the series instance UID."""
        first = self.planes[0]
        return name in (self.label, first.series_number, first.series_uid)


@dataclass(frozen=True)
class LeftOut:
    """Planes that belong to no volume; `reason` says what they are, `is_whole` that they are all of their series."""

    planes: tuple[Plane, ...]
    reason: str
    is_whole: bool = False

    def __str__(self) -> str:
        title = DicomSeries(self.planes).title
        if self.is_whole:
            return f"{title} is {self.reason}"
        return f"{names_of(plane.file for plane in self.planes)} of {title} ({self.reason})"


def sort_planes(planes: Iterable[Plane]) -> tuple[list[DicomSeries], list[LeftOut]]:
    """The volumes in these planes, whatever series they are of, and the planes that were left out."""
    of_series: dict[object, list[Plane]] = defaultdict(list)
    for plane in planes:
        of_series[plane.series_uid or (plane.file.parent, plane.series_number)].append(plane)
    volumes: list[DicomSeries] = []
    left_out: list[LeftOut] = []
    for members in of_series.values():
        volumes += _volumes_of_series(members, left_out)
    return volumes, left_out


def labelled(volumes: Iterable[DicomSeries]) -> dict[str, DicomSeries]:
    """The volumes by their labels, in order; where several have one label, with a number each from the second on."""
    by_label: dict[str, DicomSeries] = {}
    for volume in sorted(volumes, key=lambda one: one.label):
        label, number = volume.label, 1
        while label in by_label:
            number += 1
            label = f"{volume.label}-{number}"
        by_label[label] = volume
    return by_label


def names_of(files: Iterable[Path]) -> str:
    """The first names of some files in quotation marks, and how many more there are."""
    names = list(dict.fromkeys(file.name for file in files))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f'"{name}"' for name in names[:_NAMED]) + more


def _volumes_of_series(planes: list[Plane], left_out: list[LeftOut]) -> list[DicomSeries]:
    reasons = defaultdict(list)
    for plane in planes:
        reasons[plane.left_out].append(plane)
    kept = reasons.pop("", [])
    left_out += [LeftOut(tuple(members), reason, not kept) for reason, members in reasons.items()]
    if not kept:
        return []
    if problem := _problem(kept):
        return [DicomSeries(tuple(kept), problem=problem)]
    try:
        kept = _without_copies(kept, left_out)
        groups = split_by(kept, must_be_alike(kept))
        largest = max(len(group) for _, group in groups)
        if largest == 1 and len({plane.position for plane in kept}) > 1:
            differing = " and ".join(list(dict.fromkeys(name for part, _ in groups for name in part))[:_NAMED])
            raise _NoVolume(
                f"{_of(kept)} holds {len(kept)} images of which no two make a volume (they differ in {differing}): "
                "restore each file by itself."
            )
        volumes = []
        for part, group in groups:
            if len(group) == 1 < largest:
                differing = what_differs(groups, part)
                left_out.append(LeftOut(tuple(group), f"one image of another {differing}"))
            else:
                volumes += _volumes_or_problem(part, group, left_out)
    except _NoVolume as problem:
        return [DicomSeries(tuple(kept), problem=str(problem))]
    volumes.sort(key=lambda volume: min(plane.instance_number or 0 for plane in volume.planes))
    return [_with_notes(volume) for volume in volumes]


def _volumes_or_problem(part: dict[str, str], planes: list[Plane], left_out: list[LeftOut]) -> list[DicomSeries]:
    try:
        return _volumes_of_group(part, planes, left_out)
    except _NoVolume as problem:
        return [DicomSeries(tuple(planes), part_name(part), problem=str(problem))]


def _with_notes(volume: DicomSeries) -> DicomSeries:
    notes = ()
    if volume.problem:
        return volume
    if volume.geometry.irregular:
        notes += (f"Of {volume.title}, {volume.geometry.irregular}: each slice is restored and written in its place.",)
    if volume.planes[0].position is None or volume.planes[0].orientation is None:
        notes += (f"Where {volume.title} lies is not said: its slice is taken for an axial one at the origin.",)
    return replace(volume, notes=notes)


def _of(planes: Sequence[Plane]) -> str:
    return f"The series {DicomSeries(tuple(planes)).label}"


def _problem(planes: Sequence[Plane]) -> str:
    """Why the planes of a series cannot be used at all; empty where they can."""
    for plane in planes:
        if plane.problem:
            return f'"{plane.file.name}" {plane.problem}.'
    for what, value in (
        ("patients", lambda plane: plane.patient),
        ("studies", lambda plane: plane.study_uid),
        ("modalities", lambda plane: plane.modality),
    ):
        found = {value(plane): plane for plane in planes}
        if len(found) > 1:
            names = names_of(plane.file for plane in found.values())
            return (
                f"{_of(planes)} holds images of {len(found)} {what} under one UID ({names}): put those of each "
                "into a folder of their own."
            )
    for plane in planes:
        if plane.spacing is None:
            return f'"{plane.file.name}" does not say how large its pixels are (PixelSpacing): export it again.'
        if len(planes) > 1 and (plane.position is None or plane.orientation is None):
            missing = "ImagePositionPatient" if plane.position is None else "ImageOrientationPatient"
            return f'"{plane.file.name}" does not say where it lies ({missing}): export the series again.'
    return ""


class _NoVolume(Exception):
    """Planes that cannot be sorted into volumes; the text is the sentence for the user."""


def _without_copies(planes: list[Plane], left_out: list[LeftOut]) -> list[Plane]:
    """The planes without further copies of one SOP instance, which are left out."""
    kept: dict[object, Plane] = {}
    copies = []
    # The shorter name first: "IM1.dcm" stays, "IM1 (1).dcm" goes.
    for place, plane in enumerate(sorted(planes, key=lambda one: (len(one.file.name), str(one.file), one.frame or 0))):
        first = kept.setdefault((plane.instance_uid, plane.frame) if plane.instance_uid else place, plane)
        if first is plane:
            continue
        if first.position != plane.position or not same_pixels(first, plane):
            raise _NoVolume(
                f'"{first.file.name}" and "{plane.file.name}" are different images with one SOP instance UID: export '
                "the series again."
            )
        copies.append(plane)
    if copies:
        left_out.append(LeftOut(tuple(copies), "identical copies"))
    return list(kept.values())


def _volumes_of_group(part: dict[str, str], planes: list[Plane], left_out: list[LeftOut]) -> list[DicomSeries]:
    """The volumes in planes that are alike: one, or several where many lie at one place."""
    if len(planes) == 1:
        return [_volume(part, planes)]
    places = by_place(planes)
    if len(places) < len(planes):
        if split := told_apart(places, planes):
            return [_volume({**part, **further}, members) for further, members in split]
        copies = []
        for place in places:
            copies += [one for one in place[1:] if one.position == place[0].position and same_pixels(place[0], one)]
        if copies:
            left_out.append(LeftOut(tuple(copies), "identical copies"))
            taken = {id(one) for one in copies}
            planes = [one for one in planes if id(one) not in taken]
            places = by_place(planes)
        if len(places) < len(planes):
            if split := consecutive(places):
                return [_volume({**part, **further}, members) for further, members in split]
            several = next(place for place in places if len(place) > 1)
            raise _NoVolume(
                f"{_of(planes)} holds {len(planes)} images at {len(places)} places, "
                f"such as {names_of(one.file for one in several)}, and nothing in their headers tells the volumes "
                "apart: put the files of one volume into a folder of its own."
            )
    volume = _volume(part, planes)
    if volume.geometry.irregular and not 0 < volume.geometry.missing < _FEW_MISSING:
        for name in names_that_differ(planes):
            split = split_by(planes, lambda plane, name=name: {name: plane.may_differ.get(name, "")})
            parts = [_volume({**part, **further}, members) for further, members in split]
            if all(len(one.planes) >= _SMALLEST_REGULAR_PART and not one.geometry.irregular for one in parts):
                return parts
    return [volume]


def _volume(part: dict[str, str], planes: Sequence[Plane]) -> DicomSeries:
    ordered = tuple(place[0] for place in by_place(planes)) if len(planes) > 1 else tuple(planes)
    return DicomSeries(ordered, part_name(part), geometry_of(ordered))

"""What the headers of DICOM planes say of the volumes that they belong to, and sorting them by it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from .dicom_geometry import axes, by_place, same_direction
from .dicom_plane import Plane

_NAMED = 3
_SAME_SPACING = 1e-4
_RANKED = ("acquisition", "frame acquisition", "trigger time", "trigger delay", "acquisition time", "content time")
_LONGEST_LABEL = 80
_SPEAKS_FOR_ITSELF = ("orientation", "matrix", "pixel spacing", "photometric interpretation", "frame of reference")

Split = list[tuple[dict[str, str], list[Plane]]]
"""Groups of planes, each with what tells it apart, by name."""


def must_be_alike(planes: Sequence[Plane]) -> Callable[[Plane], dict[str, str]]:
    """What all planes of a volume have in common, as texts by name."""
    directions: list[Plane] = []
    frames = list(dict.fromkeys(plane.frame_of_reference for plane in planes))
    spacings: list[tuple[float, ...]] = []

    def direction(plane: Plane) -> str:
        if plane.orientation is None:
            return ""
        alike = next((one for one in directions if same_direction(one, plane)), None)
        if alike is None:
            directions.append(plane)
            alike = plane
        name = ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(axes(alike)[2])))]
        same_name = [one for one in directions if np.argmax(np.abs(axes(one)[2])) == np.argmax(np.abs(axes(alike)[2]))]
        place = next(index for index, one in enumerate(same_name) if one is alike)
        return name + (f"-{place + 1}" if place else "")

    def spacing(plane: Plane) -> str:
        alike = next((one for one in spacings if np.allclose(one, plane.spacing, rtol=_SAME_SPACING, atol=0)), None)
        if alike is None:
            spacings.append(alike := plane.spacing)
        return f"{alike[1]:.6g}x{alike[0]:.6g}mm"

    def texts(plane: Plane) -> dict[str, str]:
        return {
            "orientation": direction(plane),
            "matrix": f"{plane.stored.columns}x{plane.stored.rows}",
            "pixel spacing": spacing(plane),
            "photometric interpretation": plane.stored.photometric,
            "frame of reference": f"frame-{frames.index(plane.frame_of_reference) + 1}",
            **{f"image type {index + 1}": value for index, value in enumerate(plane.image_type)},
            **plane.alike,
        }

    return texts


def split_by(planes: Sequence[Plane], value: Callable[[Plane], dict[str, str]]) -> Split:
    """The planes grouped by `value`, each group with those of its values that are not common to all."""
    groups: dict[tuple, list[Plane]] = defaultdict(list)
    for plane in planes:
        groups[tuple(sorted(value(plane).items()))].append(plane)
    every = [dict(key) for key in groups]
    names = list(dict.fromkeys(name for one in every for name in one))
    differing = [name for name in names if len({one.get(name) for one in every}) > 1]
    return [
        ({name: dict(key)[name] for name in differing if name in dict(key)}, members) for key, members in groups.items()
    ]


def what_differs(groups: Split, part: dict[str, str]) -> str:
    """In which respects a group is unlike the largest one."""
    main = max(groups, key=lambda group: len(group[1]))[0]
    names = [name for name in {**main, **part} if main.get(name) != part.get(name)]
    return " and ".join(names[:_NAMED])


def names_that_differ(planes: Sequence[Plane]) -> list[str]:
    names = dict.fromkeys(name for plane in planes for name in plane.may_differ)
    return [name for name in names if len({plane.may_differ.get(name) for plane in planes}) > 1]


def told_apart(places: list[list[Plane]], planes: list[Plane]) -> Split | None:
    """Volumes told apart by one header value, or by its order at each place; None where none does."""
    names = names_that_differ(planes)
    smallest = min(2, len(places))
    for name in names:
        split = split_by(planes, lambda plane, name=name: {name: plane.may_differ.get(name, "none")})
        if all(len(by_place(members)) == len(members) >= smallest for _, members in split):
            return split
    for name in (name for name in _RANKED if name in names):
        if split := _ranked(places, name, lambda plane, name=name: _as_number(plane.may_differ.get(name))):
            return split
    return None


def consecutive(places: list[list[Plane]]) -> Split | None:
    """Volumes whose images are numbered one volume after another."""
    split = _ranked(places, "volume", lambda plane: plane.instance_number)
    for (_, before), (_, after) in zip(split or [], (split or [])[1:], strict=False):
        if max(one.instance_number for one in before) >= min(one.instance_number for one in after):
            return None
    return split


def _ranked(places: list[list[Plane]], name: str, value: Callable[[Plane], float | None]) -> Split | None:
    """The n-th of each place together, by `value`; None where a place has another number of planes or equal values."""
    count = len(places[0])
    volumes: list[list[Plane]] = [[] for _ in range(count)]
    for place in places:
        values = {value(plane) for plane in place}
        if len(place) != count or len(values) != count or None in values:
            return None
        for members, plane in zip(volumes, sorted(place, key=value), strict=True):
            members.append(plane)
    return [({name: str(index + 1)}, members) for index, members in enumerate(volumes)]


def _as_number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def part_name(part: dict[str, str]) -> str:
    """What tells a part of a series apart, such as "echo-2"."""
    if "echo" in part:
        part = {name: value for name, value in part.items() if name not in ("echo time", "effective echo time")}
    texts = [
        value if name in _SPEAKS_FOR_ITSELF or name.startswith("image type") else f"{name} {value}"
        for name, value in part.items()
    ]
    return in_plain_letters(*texts)


def in_plain_letters(*texts: str) -> str:
    text = "-".join(part for part in texts if part)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:_LONGEST_LABEL].strip("-.")

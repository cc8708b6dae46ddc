"""Where the slices of a stack of DICOM planes lie, and whether they make a regular grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .dicom_plane import Plane

SAME_PLACE_MM = 5e-3
"""Planes nearer than this along their normal lie at one place."""
_EXACT_MM = 1e-4
_OFF_GRID_MM = 0.06
_OFF_GRID_SHARE = 0.01
_MOST_OFF_GRID_SHARE = 0.1
_DRIFT_SHARE = 5e-4
"""What rounded direction cosines may make of the height of a stack; a gantry tilt of 0.03 degrees is more."""
_MOST_GAPS = 0.25
_SAME_DIRECTION = 2e-4


@dataclass(frozen=True)
class StackGeometry:
    """Spacing in mm (i, j, k), origin in LPS mm and direction (row by row) of slices in their order.

    `irregular` says why these are not the whole truth, and is empty where the slices make a regular grid; `missing` is
    the number of slices that one gap lacks at most.
    """

    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    irregular: str = ""
    missing: int = 0


def axes(plane: Plane) -> np.ndarray:
    """Unit vectors along a row, along a column and along the normal, as the rows of a 3 x 3 array."""
    row, column = np.array(plane.orientation).reshape(2, 3)
    row = row / np.linalg.norm(row)
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    return np.array([row, np.cross(normal, row), normal])


def same_direction(plane: Plane, other: Plane) -> bool:
    """Whether rows and columns of two planes run alike."""
    return bool(np.allclose(plane.orientation, other.orientation, rtol=0, atol=_SAME_DIRECTION))


def in_order(planes: Sequence[Plane]) -> list[Plane]:
    """Parallel planes sorted along their normal."""
    normal = axes(planes[0])[2]
    return sorted(planes, key=lambda plane: float(np.dot(normal, plane.position)))


def by_place(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Parallel planes sorted along their normal, those at one place together."""
    normal = axes(planes[0])[2]
    places: list[list[Plane]] = []
    before = -np.inf
    for plane in in_order(planes):
        here = float(np.dot(normal, plane.position))
        if here - before > SAME_PLACE_MM:
            places.append([])
        places[-1].append(plane)
        before = here
    return places


def geometry_of(planes: Sequence[Plane]) -> StackGeometry:
    """The geometry of planes in their order, each at a place of its own."""
    first = planes[0]
    rows_mm, columns_mm = first.spacing
    if len(planes) == 1 and (first.position is None or first.orientation is None):
        return StackGeometry((columns_mm, rows_mm, first.thickness or 1.0), (0.0,) * 3, tuple(np.eye(3).ravel()))
    frame = axes(first)
    positions = np.array([plane.position for plane in planes])
    local = (positions - positions[0]) @ frame.T
    steps = np.diff(local[:, 2])
    thickness = first.thickness if first.thickness and first.thickness > 0 else 1.0
    step = float(np.median(steps)) if len(steps) else thickness
    irregular, missing = "", 0
    if len(steps):
        allowed = min(max(_OFF_GRID_MM, _OFF_GRID_SHARE * step), _MOST_OFF_GRID_SHARE * step)
        mean, first_height, uneven = _even_steps(local[:, 2])
        drift = float(np.linalg.norm(local[:, :2], axis=1).max())
        if uneven > allowed:
            irregular, missing = _uneven(planes, steps, step, allowed)
        else:
            step = mean
            positions[0] += first_height * frame[2]
        if drift > max(allowed, _DRIFT_SHARE * float(local[-1, 2])):
            irregular = " and ".join(part for part in (irregular, _shifted(local)) if part)
    return StackGeometry(
        (columns_mm, rows_mm, step),
        tuple(map(float, positions[0])),
        tuple(frame.T.ravel().tolist()),
        irregular,
        missing,
    )


def _even_steps(heights: np.ndarray) -> tuple[float, float, float]:
    """The even step nearest to these heights in mm, the height of the first slice, and how far off one is at most."""
    index = np.arange(len(heights))
    step = float(heights[-1]) / index[-1]
    off = float(np.abs(heights - step * index).max())
    if off <= _EXACT_MM:
        return step, 0.0, off
    step, first = np.polyfit(index, heights, 1)
    return float(step), float(first), float(np.abs(heights - first - step * index).max())


def _uneven(planes: Sequence[Plane], steps: np.ndarray, step: float, allowed: float) -> tuple[str, int]:
    """Missing slices where a few steps are whole multiples of all others, else steps that differ."""
    multiples = np.rint(steps / step)
    whole = np.all(multiples >= 1) and np.abs(steps - multiples * step).max() <= allowed * max(1.0, multiples.max())
    gaps = np.flatnonzero(multiples > 1)
    if whole and 0 < len(gaps) <= _MOST_GAPS * len(steps):
        missing = int((multiples[gaps] - 1).sum())
        verb = "slice is" if missing == 1 else "slices are"
        place = gaps[0]
        between = f'"{planes[place].file.name}" and "{planes[place + 1].file.name}"'
        more = f" and at {len(gaps) - 1} more places" if len(gaps) > 1 else ""
        return f"{missing} {verb} missing between {between}{more}", int(multiples[gaps].max()) - 1
    return f"its slices are {steps.min():.4g} to {steps.max():.4g} mm apart", 0


def _shifted(local: np.ndarray) -> str:
    """A tilt where the slices lie on a line, else shifts that follow none."""
    heights, shifts = local[:, 2], local[:, :2]
    slope = shifts.T @ heights / (heights @ heights)
    off_line = float(np.linalg.norm(shifts - np.outer(heights, slope), axis=1).max())
    if off_line <= max(_OFF_GRID_MM, 0.02 * float(np.linalg.norm(shifts, axis=1).max())):
        angle = float(np.degrees(np.arctan(np.linalg.norm(slope))))
        return f"its slices are tilted by {angle:.3g} degrees against the way from one to the next"
    return f"its slices are shifted against each other by up to {np.linalg.norm(shifts, axis=1).max():.3g} mm"

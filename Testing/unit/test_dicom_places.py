"""Random valid DICOM series: every voxel has the place and the value that pydicom, read independently, gives it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.pixels import apply_modality_lut

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.dicom_input import find_series, load, read_dicom
from unit import dicom_phantom as phantom

ROWS, COLUMNS = 5, 4
OFF_GRID_MM = 0.065
"""What rounding in a header may make of a place; slices further off a grid are never put on it."""


@st.composite
def series(draw) -> dict:
    """What a series is made of: its grid or tilt, rescale, order of the files and copies among them."""
    count = draw(st.integers(1, 7))
    steps = draw(st.sampled_from(["even", "gap", "uneven"])) if count > 3 else "even"
    return {
        "count": count,
        "steps": steps,
        "step": draw(st.floats(0.3, 8)),
        "gap_at": draw(st.integers(1, count - 1)) if count > 3 else 0,
        "tilt": draw(st.sampled_from([0.0, 0.0, 0.05, 0.3])) if count > 1 else 0.0,
        "turn": draw(st.tuples(*[st.floats(-3, 3)] * 3)),
        "origin": draw(st.tuples(*[st.floats(-300, 300)] * 3)),
        "spacing": draw(st.tuples(*[st.floats(0.2, 3)] * 2)),
        "modality": draw(st.sampled_from(["CT", "MR"])),
        "signed": draw(st.lists(st.booleans(), min_size=count, max_size=count)),
        "slopes": draw(st.lists(st.sampled_from([1, 1, 2, 0.5, 0.0371]), min_size=count, max_size=count)),
        "intercepts": draw(st.lists(st.sampled_from([0, -1024, -7.25]), min_size=count, max_size=count)),
        "order": draw(st.permutations(range(count))),
        "copies": draw(st.lists(st.integers(0, count - 1), max_size=3, unique=True)),
        "seed": draw(st.integers(0, 2**16)),
    }


def directions(turn: tuple[float, float, float]) -> np.ndarray:
    """A rotation matrix; its columns are the directions along a row, along a column and of the normal."""
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(*turn)
    return np.array(rotation.GetMatrix()).reshape(3, 3)


def write(folder: Path, made: dict) -> None:
    rng = np.random.default_rng(made["seed"])
    axes = directions(made["turn"])
    height = 0.0
    for index, place in zip(range(made["count"]), made["order"], strict=True):
        if index:
            is_odd = index == made["gap_at"] and made["steps"] != "even"
            height += made["step"] * ({"gap": 2, "uneven": 1.37}[made["steps"]] if is_odd else 1)
        position = np.array(made["origin"]) + height * (axes[:, 2] + made["tilt"] * axes[:, 1])
        kind = np.int16 if made["signed"][index] else np.uint16
        limits = np.iinfo(kind)
        stored = rng.integers(limits.min, limits.max, (ROWS, COLUMNS), endpoint=True).astype(kind)
        one = phantom.image(
            stored, tuple(position), index + 1, made["modality"], slope=f"{made['slopes'][index]}",
            intercept=f"{made['intercepts'][index]}", PixelSpacing=[f"{one:.10g}" for one in made["spacing"]],
            ImageOrientationPatient=[f"{one:.12g}" for one in axes[:, :2].T.ravel()],
        )  # fmt: skip
        phantom.store(folder / f"{place}.dcm", one)
        if index in made["copies"]:
            shutil.copy(folder / f"{place}.dcm", folder / f"{place}-copy.dcm")


def told_by_pydicom(folder: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each file the values, the places of all pixels in mm (rows, columns, 3) and the height along the normal."""
    told = {}
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        values = np.asarray(apply_modality_lut(one.pixel_array, one), dtype=np.float64)
        row, column = np.array(one.ImageOrientationPatient, dtype=float).reshape(2, 3)
        down, right = (float(step) for step in one.PixelSpacing)
        places = (
            np.array(one.ImagePositionPatient, dtype=float)
            + np.arange(ROWS)[:, None, None] * down * column
            + np.arange(COLUMNS)[None, :, None] * right * row
        )
        told[one.SOPInstanceUID] = (values, places, float(np.dot(np.cross(row, column), places[0, 0])))
    return sorted(told.values(), key=lambda one: one[2])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(series())
def test_every_voxel_is_where_and_what_pydicom_says(made):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, made)
        told = told_by_pydicom(folder)
        (found,) = find_series(folder)
        values = sitk.GetArrayFromImage(load(found, keeps_places=True).image)
        assert len(values) == len(told) == made["count"]
        for index, (pixels, places, _) in enumerate(told):
            assert np.allclose(values[index], pixels, rtol=1e-6, atol=0)
            assert np.allclose(found.planes[index].position, places[0, 0], rtol=0, atol=1e-6)
        is_even = made["steps"] == "even" and made["tilt"] == 0
        try:
            grid = read_dicom(folder, lambda sentence: None).image
        except UserError as error:
            assert "make no regular grid" in error.message and not is_even
            return
        off = max(np.abs(places_on(grid, index) - places).max() for index, (_, places, _) in enumerate(told))
        assert off < (1e-5 if is_even else OFF_GRID_MM)


def places_on(grid: sitk.Image, index: int) -> np.ndarray:
    """The places of all pixels of a slice in mm (rows, columns, 3)."""
    return np.array(
        [[grid.TransformIndexToPhysicalPoint((column, row, index)) for column in range(COLUMNS)] for row in range(ROWS)]
    )

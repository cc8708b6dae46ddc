"""Voxel values of DICOM planes: each by its own rescale, in a type that holds them all, CT in Hounsfield units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from .dicom_pixels import PixelReader, in_file_order
from .dicom_plane import Plane
from .modality import AIR_HU

_UNSPECIFIED = "US"
_HOUNSFIELD_TYPES = ("", "HU", "HU_MOD", _UNSPECIFIED)
_NO_HOUNSFIELD = {
    "MAT_SPECIFIC": "a map of one material",
    "MAT_FRACTIONAL": "a map of fractions of a material",
    "MAT_VALUE_BASED": "a map of material values",
    "EFF_ATOMIC_NUM": "a map of effective atomic numbers",
    "ELECTRON_DENSITY": "a map of electron density",
}
"""Values of Image Type of multi-energy CT (PS3.3, C.8.15.2) whose voxels are no Hounsfield units."""
_LEAST_AIR = 5e-4
_PLAUSIBLE_HU = (-1100.0, 3100.0)
_LOWEST_PADDED = -3300.0
"""What padding of -2000 with an intercept of -1024 comes to, and a little less."""
_SAMPLED = 50_000


def read_values(planes: Sequence[Plane]) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Values (slices, rows, columns) of planes in their order, where they are padding (bool or None), and warnings.

    The type is the smallest of int16, uint16 and int32 that holds all values, where every slope and intercept is a
    whole number, else float32. Raises UserError where a plane cannot be read and where CT is not in Hounsfield units.
    """
    _check_units(planes)
    reader = PixelReader()
    stored: list[np.ndarray | None] = [None] * len(planes)
    for place in in_file_order(planes):
        stored[place] = reader.stored(planes[place])
    padding = _padding(planes, stored)
    inverted, warnings = _inversion(planes, stored)
    if inverted:
        for place, plane in enumerate(planes):
            stored[place] = _inverted(plane, stored[place])
    rescales = [(plane.slope if plane.slope is not None else 1.0, plane.intercept or 0.0) for plane in planes]
    values = np.empty((len(planes), *stored[0].shape), dtype=_value_type(stored, rescales))
    for place, (slope, intercept) in enumerate(rescales):
        values[place] = _rescaled(stored[place], slope, intercept)
        stored[place] = None
    if planes[0].modality == "CT":
        warnings += _check_hounsfield(planes, values, padding)
    return values, padding, warnings


def _rescaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    return stored.astype(np.float64) * slope + intercept


def _value_type(stored: Sequence[np.ndarray], rescales: Sequence[tuple[float, float]]) -> type:
    if not all(slope.is_integer() and intercept.is_integer() for slope, intercept in rescales):
        return np.float32
    ends = [
        float(end) * slope + intercept
        for pixels, (slope, intercept) in zip(stored, rescales, strict=True)
        for end in (pixels.min(), pixels.max())
    ]
    for kind in (np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
            return kind
    return np.float64


def _padding(planes: Sequence[Plane], stored: Sequence[np.ndarray]) -> np.ndarray | None:
    found = None
    for place, (plane, pixels) in enumerate(zip(planes, stored, strict=True)):
        if plane.padding is None:
            continue
        here = (pixels >= plane.padding[0]) & (pixels <= plane.padding[1])
        if here.any():
            if found is None:
                found = np.zeros((len(planes), *pixels.shape), dtype=bool)
            found[place] = here
    return found


def _inversion(planes: Sequence[Plane], stored: Sequence[np.ndarray]) -> tuple[bool, list[str]]:
    """Whether the stored numbers are to be turned round, as MONOCHROME1 is displayed, and what to say of it.

    In CT the rescaled numbers are Hounsfield units, however they are displayed; some writers turn them round all the
    same. What looks like Hounsfield units decides.
    """
    first = planes[0]
    if first.stored.photometric != "MONOCHROME1":
        return False, []
    sentence = "The images are stored with bright for dark (MONOCHROME1): they are restored and written the usual way."
    if first.modality != "CT":
        return True, [sentence]
    samples = []
    for turn in (False, True):
        pixels = [_inverted(plane, one) if turn else one for plane, one in zip(planes, stored, strict=True)]
        samples.append(
            np.concatenate(
                [
                    _rescaled(one.ravel()[:: max(1, one.size // 2000)], plane.slope or 1.0, plane.intercept or 0.0)
                    for plane, one in zip(planes, pixels, strict=True)
                ]
            )
        )
    for measure in (_share_of_air, _is_in_range):
        as_they_are, turned = (measure(sample) for sample in samples)
        if as_they_are or turned:
            return turned > as_they_are, [sentence]
    raise UserError(
        f'The CT images beginning with "{first.file.name}" are stored with bright for dark (MONOCHROME1) and hold no '
        "Hounsfield units either way: export them again as MONOCHROME2."
    )


def _inverted(plane: Plane, stored: np.ndarray) -> np.ndarray:
    ends = -1 if plane.stored.is_signed else (1 << plane.stored.bits_stored) - 1
    return (ends - stored.astype(np.int64)).astype(np.int64 if plane.stored.bits_allocated == 32 else np.int32)


def _share_of_air(values: np.ndarray) -> float:
    """How much of a CT is air, lung or bowel gas; 0 where it is next to nothing or the values are those of no CT."""
    low, high = np.percentile(values, (0.5, 99.5))
    share = float(np.mean(values < AIR_HU))
    return share if share > _LEAST_AIR and low > _LOWEST_PADDED and high < _PLAUSIBLE_HU[1] else 0.0


def _is_in_range(values: np.ndarray) -> bool:
    low, high = np.percentile(values, (1, 99))
    return bool(low >= _PLAUSIBLE_HU[0] and high <= _PLAUSIBLE_HU[1])


def _check_units(planes: Sequence[Plane]) -> None:
    """UserError where the header of a CT says that its values are no Hounsfield units, or says so of some slices."""
    for plane in planes if planes[0].modality == "CT" else ():
        name = f'"{plane.file.name}"'
        if plane.rescale_type not in _HOUNSFIELD_TYPES:
            raise UserError(
                f"{name} is CT, but its values are {plane.rescale_type} and no Hounsfield units (RescaleType): choose "
                "the series in HU."
            )
        if kind := next((_NO_HOUNSFIELD[one] for one in plane.image_type if one in _NO_HOUNSFIELD), None):
            raise UserError(f"{name} is {kind} and not in Hounsfield units: choose the series in HU.")
    _check_all_rescaled(planes)


def _check_all_rescaled(planes: Sequence[Plane]) -> None:
    """UserError where some planes are rescaled and others say nothing of it."""
    without = [plane for plane in planes if plane.slope is None or plane.intercept is None]
    rescales = {(plane.slope, plane.intercept) for plane in planes if None not in (plane.slope, plane.intercept)}
    if without and rescales and (planes[0].modality == "CT" or rescales != {(1.0, 0.0)}):
        raise UserError(
            f'"{without[0].file.name}" has no RescaleSlope and RescaleIntercept, but other slices of its series have: '
            "export the series again."
        )


def _check_hounsfield(planes: Sequence[Plane], values: np.ndarray, padding: np.ndarray | None) -> list[str]:
    """A warning where the header does not say that the values are Hounsfield units; UserError where they are not."""
    first = planes[0]
    is_rescaled, is_stated = first.slope is not None and first.intercept is not None, first.rescale_type != _UNSPECIFIED
    if is_rescaled and is_stated:
        return []
    kept = values if padding is None else values[~padding]
    sample = kept.reshape(-1)[:: max(1, kept.size // _SAMPLED)]
    has_air = bool(sample.size) and _share_of_air(sample) > 0
    if is_rescaled:
        unsaid = "The CT images do not say that they are in Hounsfield units (RescaleType US), and hold no air"
        return [] if has_air else [f"{unsaid}: their values are taken for them."]
    if not has_air:
        raise UserError(
            f'The CT images beginning with "{first.file.name}" do not say how to get Hounsfield units (no RescaleSlope '
            "and RescaleIntercept), and no air lies near -1000: export the series again."
        )
    return ["The CT images have no RescaleSlope and RescaleIntercept: their values are taken for Hounsfield units."]

"""Voxel values as the 16-bit numbers that CT and MR images in DICOM hold, with rescale slope and intercept."""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass

import numpy as np

from ..errors import UserError

_INT16, _UINT16 = np.iinfo(np.int16), np.iinfo(np.uint16)
_LONGEST_DECIMAL_STRING = 16
_SMALLEST_SLOPE = 1e-30


@dataclass(frozen=True)
class StoredVoxels:
    """value = stored * slope + intercept; `slope` and `intercept` are texts of the DICOM type DS.

    `stored` is int16 or uint16 of the values' shape. `is_exact` says whether every value comes back as it was;
    otherwise it comes back within half a slope.
    """

    stored: np.ndarray
    slope: str
    intercept: str
    is_exact: bool

    @property
    def is_identity(self) -> bool:
        """Whether the stored numbers are the values."""
        return float(self.slope) == 1 and float(self.intercept) == 0

    def stored_value(self, value: float) -> int | None:
        """The stored number of one value, or None where there is none."""
        number = round((value - float(self.intercept)) / float(self.slope))
        limits = np.iinfo(self.stored.dtype)
        return number if limits.min <= number <= limits.max else None


def to_stored(values: np.ndarray) -> StoredVoxels:
    """Whole numbers as they are, if 16 bits hold them with at most an offset; everything else scaled to 16 bits.

    Raises UserError for values that are not finite: DICOM has no number for them.
    """
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise UserError("The restored volume holds values that are not numbers, which DICOM cannot: choose .nii.gz.")
    if np.issubdtype(values.dtype, np.integer) or np.array_equal(values, np.rint(values)):
        if _INT16.min <= lowest and highest <= _INT16.max:
            return StoredVoxels(values.astype(np.int16), "1", "0", is_exact=True)
        if highest - lowest <= _UINT16.max and len(f"{lowest:.0f}") <= _LONGEST_DECIMAL_STRING:
            offset = values.astype(np.float64) - lowest
            return StoredVoxels(offset.astype(np.uint16), "1", f"{lowest:.0f}", is_exact=True)
    # Rounded outwards, so that the range they span covers every value.
    intercept = _decimal_string(lowest, decimal.ROUND_FLOOR)
    span = highest - float(intercept)
    slope = _decimal_string(max(span / _UINT16.max, _SMALLEST_SLOPE), decimal.ROUND_CEILING)
    stored = np.rint((values.astype(np.float64) - float(intercept)) / float(slope))
    return StoredVoxels(stored.astype(np.uint16), slope, intercept, is_exact=False)


def _decimal_string(number: float, rounding: str) -> str:
    """The number as the at most 16 characters of a DS, with as many digits as they hold."""
    for digits in range(_LONGEST_DECIMAL_STRING, 0, -1):
        text = str(decimal.Context(prec=digits, rounding=rounding).create_decimal(number).normalize())
        if len(text) <= _LONGEST_DECIMAL_STRING:
            return text
    raise ValueError(f"no DS holds {number!r}")

"""The image planes of a DICOM file: what the header says of each, read once and checked for type and range.

A classic image is one plane; an enhanced multi-frame image has one for each frame, whose attributes lie in functional
groups (DICOM PS3.3, C.7.6.16).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .dicom_attributes import ALIKE, MAY_DIFFER, PRIVATE_B_VALUES, PRIVATE_DIRECTIONS
from .dicom_fields import Fields, WrongValue
from .dicom_file import DicomError, lenient_pydicom, read_dataset

if TYPE_CHECKING:
    from pydicom import Dataset

RESTORED_MODALITIES = ("CT", "MR", "")
"""Images of no stated modality are told apart by their values, as those of other formats are."""

_MODALITY_OF_CLASS = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
}
_DIRECTORY, _SECONDARY_CAPTURE = "1.2.840.10008.1.3.10", "1.2.840.10008.5.1.4.1.1.7"
_GREYSCALE = ("MONOCHROME1", "MONOCHROME2")
_BITS = (8, 16, 32)
_LARGEST_SIDE = 65535
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True)
class StoredFormat:
    """How the numbers of a plane are stored."""

    rows: int
    columns: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    is_signed: bool


@dataclass(frozen=True)
class Plane:
    """One image plane. `frame` counts from 0 in a multi-frame file and is None in a file of one image.

    `position` is the centre of the first pixel in LPS mm; `orientation` the directions of rows and columns; `spacing`
    the distances of rows and of columns in mm. `alike` and `may_differ` hold what sets volumes apart. `left_out` says
    what the plane is that belongs to no volume ("a localizer"), `problem` goes on from the file's name with why its
    series cannot be used ("is damaged: ...").
    """

    file: Path
    frame: int | None = None
    series_uid: str = ""
    study_uid: str = ""
    frame_of_reference: str = ""
    instance_uid: str = ""
    patient: tuple[str, str] = ("", "")
    modality: str = ""
    series_number: str = ""
    description: str = ""
    image_type: tuple[str, ...] = ()
    stored: StoredFormat | None = None
    position: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    spacing: tuple[float, ...] | None = None
    thickness: float | None = None
    slope: float | None = None
    intercept: float | None = None
    rescale_type: str = ""
    padding: tuple[int, int] | None = None
    instance_number: float | None = None
    alike: dict[str, str] = field(default_factory=dict)
    may_differ: dict[str, str] = field(default_factory=dict)
    left_out: str = ""
    problem: str = ""


class _NoPlaces(Exception):
    """Frames without functional groups; the text goes on from the file's name."""


def planes_of(path: Path) -> list[Plane]:
    """The planes of a DICOM file; none where it is a DICOMDIR. Raises DicomError where the file cannot be read."""
    dataset = read_dataset(path)
    with lenient_pydicom():
        try:
            return _planes(path, dataset)
        except DicomError:
            raise
        except Exception as error:  # pydicom converts values when they are asked for, with errors of every kind
            raise DicomError(path, "is damaged: its header cannot be read") from error


def _planes(path: Path, dataset: Dataset) -> list[Plane]:
    top = Fields(dataset)
    sop_class = top.text("SOPClassUID")
    if sop_class == _DIRECTORY or "DirectoryRecordSequence" in dataset:
        return []
    modality = top.text("Modality").upper() or _MODALITY_OF_CLASS.get(sop_class, "")
    if not (sop_class or modality or top.text("SeriesInstanceUID")):
        raise DicomError(path, "is no DICOM image: it says neither modality nor series")
    common = {
        "series_uid": top.text("SeriesInstanceUID"),
        "study_uid": top.text("StudyInstanceUID"),
        "frame_of_reference": top.text("FrameOfReferenceUID"),
        "instance_uid": top.text("SOPInstanceUID"),
        "patient": (top.text("PatientID"), top.text("PatientName").strip("^ ").upper()),
        "modality": modality,
        "series_number": top.text("SeriesNumber"),
        "description": top.text("SeriesDescription"),
        "instance_number": top.number("InstanceNumber"),
        "image_type": tuple(top.text("ImageType").upper().split("\\")),
    }
    if left_out := _reason_to_leave_out(top, modality, sop_class, common["image_type"]):
        return [Plane(path, **common, left_out=left_out)]
    try:
        common |= {"stored": _stored_format(top), "padding": _padding(top)}
        frames = _frames(dataset, top)
    except _NoPlaces as error:
        return [Plane(path, **common, problem=str(error))]
    except WrongValue as error:
        return [Plane(path, **common, problem=f"is damaged: {error}")]
    if "ModalityLUTSequence" in dataset:
        table = "stores its values through a table (ModalityLUTSequence): export it with RescaleSlope instead"
        return [Plane(path, **common, problem=table)]
    if mosaic := _mosaic(top, common["image_type"]):
        return [Plane(path, **common, problem=mosaic)]
    return [_plane(path, frame, fields, common) for frame, fields in frames]


def _plane(path: Path, frame: int | None, fields: Fields, common: dict) -> Plane:
    try:
        values = {
            "position": fields.numbers("ImagePositionPatient", 3, "PlanePositionSequence"),
            "orientation": _orientation(fields),
            "spacing": _spacing(fields),
            "slope": fields.number("RescaleSlope", "PixelValueTransformationSequence"),
            "intercept": fields.number("RescaleIntercept", "PixelValueTransformationSequence"),
        }
        if values["slope"] == 0:
            raise WrongValue("its RescaleSlope is 0")
    except WrongValue as error:
        return Plane(path, frame, **common, problem=f"is damaged: {error}")
    image_type = common["image_type"]
    for group in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence"):
        image_type = tuple(fields.text("FrameType", group).upper().split("\\")) if group in fields else image_type
    alike = {name: fields.text(*where) for name, where in ALIKE.items()}
    alike["b"] = alike["b"] or _first_private(fields, PRIVATE_B_VALUES).split("\\")[0]
    may_differ = {name: fields.text(*where) for name, where in MAY_DIFFER.items()}
    may_differ["diffusion direction"] = may_differ["diffusion direction"] or _first_private(fields, PRIVATE_DIRECTIONS)
    return Plane(
        path,
        frame,
        **{**common, "image_type": image_type},
        **values,
        thickness=fields.optional("SliceThickness", "PixelMeasuresSequence"),
        rescale_type=fields.text("RescaleType", "PixelValueTransformationSequence").upper(),
        alike={name: _rounded(value) for name, value in alike.items() if value},
        may_differ={name: value for name, value in may_differ.items() if value},
    )


def _reason_to_leave_out(top: Fields, modality: str, sop_class: str, image_type: tuple[str, ...]) -> str:
    photometric = top.text("PhotometricInterpretation").upper()
    if modality not in RESTORED_MODALITIES:
        return f"of modality {modality}"
    if not top.text("Rows"):
        return "no image"
    if "LOCALIZER" in image_type:
        return "a localizer"
    if photometric and photometric not in _GREYSCALE:
        return f"a colour image ({photometric})"
    if sop_class.startswith(_SECONDARY_CAPTURE) and "PlanePositionSequence" not in top:
        if not top.text("ImagePositionPatient"):
            return "a secondary capture"
    return ""


def _stored_format(top: Fields) -> StoredFormat:
    samples = top.whole("SamplesPerPixel", 1, 1)
    rows, columns = (top.whole(name, 1, _LARGEST_SIDE) for name in ("Rows", "Columns"))
    allocated = top.whole("BitsAllocated", 1, 64)
    if allocated not in _BITS or samples != 1:
        raise WrongValue(f"its voxels have {allocated} bits")
    stored = top.whole("BitsStored", 1, allocated)
    if top.whole("HighBit", 0, allocated - 1) != stored - 1:
        raise WrongValue("its HighBit is not BitsStored - 1")
    photometric = top.text("PhotometricInterpretation").upper()
    if photometric not in _GREYSCALE:
        raise WrongValue("it has no PhotometricInterpretation")
    signed = top.whole("PixelRepresentation", 0, 1)
    return StoredFormat(rows, columns, photometric, allocated, stored, bool(signed))


def _frames(dataset: Dataset, top: Fields) -> list[tuple[int | None, Fields]]:
    """The frames of a file, each with the fields that hold for it."""
    count = top.whole("NumberOfFrames", 1, 2**31 - 1) if top.text("NumberOfFrames") else 1
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if per_frame is None and shared is None:
        if count > 1:
            raise _NoPlaces(f"holds {count} frames and does not say where they lie: export single-frame images")
        return [(None, top)]
    if len(per_frame or []) != count and not (count == 1 and not per_frame):
        raise WrongValue(f"it has {count} frames, but says of {len(per_frame or [])} where they lie")
    common = [shared[0]] if shared else []
    return [(index, Fields(dataset, *(per_frame[index : index + 1] if per_frame else []), *common))
            for index in range(count)]  # fmt: skip


def _orientation(fields: Fields) -> tuple[float, ...] | None:
    orientation = fields.numbers("ImageOrientationPatient", 6, "PlaneOrientationSequence")
    if orientation is None:
        return None
    row, column = orientation[:3], orientation[3:]
    skew = abs(math.fsum(a * b for a, b in zip(row, column, strict=True)))
    if max(abs(math.hypot(*row) - 1), abs(math.hypot(*column) - 1), skew) > _UNIT_TOLERANCE:
        raise WrongValue("its ImageOrientationPatient holds no two perpendicular directions")
    return orientation


def _spacing(fields: Fields) -> tuple[float, ...] | None:
    spacing = fields.numbers("PixelSpacing", 2, "PixelMeasuresSequence")
    if spacing is not None and not all(1e-3 <= one <= 1e3 for one in spacing):
        raise WrongValue(f"its PixelSpacing of {spacing[0]:g} x {spacing[1]:g} mm is none")
    return spacing


def _padding(top: Fields) -> tuple[int, int] | None:
    """First and last stored number of PixelPaddingValue and PixelPaddingRangeLimit; None where there are none."""
    first = top.optional("PixelPaddingValue")
    if first is None:
        return None
    limit = top.optional("PixelPaddingRangeLimit")
    stored = _stored_format(top)
    bounds = [
        stored_number(int(one), stored.bits_stored, stored.is_signed)
        for one in (first, first if limit is None else limit)
    ]
    return min(bounds), max(bounds)


def stored_number(number: int, bits: int, is_signed: bool) -> int:
    """A number within the range of what is stored: some writers give a signed one as unsigned or the reverse."""
    number %= 1 << bits
    return number - (1 << bits) if is_signed and number >> (bits - 1) else number


def _mosaic(top: Fields, image_type: tuple[str, ...]) -> str:
    siemens = top.private(0x0019, "SIEMENS MR HEADER", 0x0A)
    united = top.private(0x0065, "Image Private Header", 0x50)
    if "MOSAIC" in image_type or "VFRAME" in image_type or any(one not in ("", "0", "1") for one in (siemens, united)):
        return "is a mosaic of many slices in one image: unpack it first, for instance with dcm2niix"
    return ""


def _first_private(fields: Fields, places: tuple[tuple[int, str, int], ...]) -> str:
    return next((value for place in places if (value := fields.private(*place))), "")


def _rounded(text: str) -> str:
    """A number to three digits, so that a scanner's last digits set nothing apart; other text as it is."""
    try:
        return f"{float(f'{float(text):.3g}'):g}"
    except ValueError:
        return text

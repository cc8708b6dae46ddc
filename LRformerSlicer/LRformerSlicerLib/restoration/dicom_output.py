"""A restored volume as a derived DICOM series of its source's study.

What a derived image keeps and what it says of itself: DICOM PS3.3, General Image Module (C.7.6.1), and PS3.16, CID 7202
and CID 7005 for the codes.
"""

from __future__ import annotations

import copy
import hashlib
import io
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..errors import UserError
from .dicom_fields import Fields
from .dicom_file import DicomError, lenient_pydicom, read_dataset
from .dicom_plane import stored_number
from .dicom_voxels import StoredVoxels, to_stored

if TYPE_CHECKING:
    from pydicom import Dataset

FILE_PATTERN = "restored-*.dcm"

_CLASSIC_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.4": "MR Image Storage",
}
_NOT_DERIVED = (
    # True of the source's pixels only, or of how they were stored.
    *("SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries"),
    *("PixelPaddingRangeLimit", "PixelAspectRatio", "ModalityLUTSequence", "VOILUTSequence", "IconImageSequence"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "DataSetTrailingPadding", "RealWorldValueMappingSequence"),
    # True of the source's making only.
    *("InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID", "SeriesDate", "SeriesTime"),
    *("DigitalSignaturesSequence", "MACParametersSequence", "ReferencedImageEvidenceSequence"),
    *("DerivationCodeSequence", "SourceImageSequence", "DerivationDescription"),
)
_OF_DARK_FOR_BRIGHT = ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "PixelPaddingValue")
"""True of the stored numbers of MONOCHROME1 and of no others."""
_NEEDED_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_SERIES_NUMBERS_APART = 1000
_LARGEST_SERIES_NUMBER = 2**31 - 1 - _SERIES_NUMBERS_APART
_LONGEST_LO, _LONGEST_ST = 64, 1024
_DIRECTION_TOLERANCE = 1e-3


def write_derived_series(folder: Path, restored: sitk.Image, files: tuple[Path, ...], report: dict) -> None:
    """Fill `folder` with one file a slice: patient, study and frame of reference of the source, UIDs of its own.

    `restored` is 3-D, on the grid of the source series or on a finer one in its slices; `files` are the source's, in
    the order of its slices; `report` is the restoration's. Each image lies where its source lies. The same input gives
    the same bytes, UIDs included, so a repeated run makes no second series. Raises UserError where the source is no
    classic CT or MR series or pydicom is missing.
    """
    sources = [_header(file) for file in files]
    if len(sources) != restored.GetSize()[2]:
        raise UserError(
            "The slices were made along another axis than the DICOM files': choose another format, such as .nii.gz."
        )
    array = sitk.GetArrayViewFromImage(restored)
    voxels = to_stored(array)
    identity = "\n".join(
        (sources[0].SeriesInstanceUID, description(report), hashlib.sha256(np.ascontiguousarray(array)).hexdigest())
    )
    for index, (source, stored) in enumerate(zip(sources, voxels.stored, strict=True)):
        with lenient_pydicom():
            dataset = _derived(source, report, identity, index)
            _set_voxels(dataset, source, stored, voxels)
            if stored.shape != (source.Rows, source.Columns):
                _set_geometry(dataset, source, stored.shape)
            dataset.save_as(folder / FILE_PATTERN.replace("*", f"{index + 1:04d}"), enforce_file_format=True)


def files_by_slice(files: tuple[Path, ...], image: sitk.Image) -> tuple[Path, ...]:
    """The files of a series in the order of the slices (k) of a volume that was made of them.

    Raises UserError where they are not its slices: another number, or cut in another direction.
    """
    direction = np.array(image.GetDirection()).reshape(3, 3)
    orientation = direction[:, :2].T.ravel()
    placed = []
    for file in files:
        header = _header(file)
        there, place = header.get("ImageOrientationPatient"), header.get("ImagePositionPatient")
        if there and place and np.allclose([float(one) for one in there], orientation, atol=_DIRECTION_TOLERANCE):
            placed.append((float(np.dot(direction[:, 2], [float(one) for one in place])), file))
    if not len(placed) == len(files) == image.GetSize()[2]:
        raise UserError("The volume is not made of its source's slices: choose another format, such as .nii.gz.")
    return tuple(file for _, file in sorted(placed))


def description(report: dict) -> str:
    """What made the image, for Derivation Description: task, model and prior with their SHA256.

    Plain letters only, which every character set has; of a long name of a model only the beginning.
    """
    prior = report["prior"]
    by = f"prior {prior['backbone']}" + (f" SHA256 {prior['sha256']}" if prior.get("sha256") else "")
    before = f"Restored by LRformerSlicer {__version__}, task {report['task']}, model "
    after = (
        f" SHA256 {report['model']['sha256']}, {by}, strength {report['strength']:g}. Research use, not for diagnosis."
    )
    return before + _plain(report["model"]["name"])[: _LONGEST_ST - len(before) - len(after)] + after


def _plain(text: str) -> str:
    return re.sub(r"[^ -~]|\\", "?", text)


def check_source(files: tuple[Path, ...]) -> None:
    """UserError where no derived series can be made of these files, before any work is done.

    The header of each derived image is made and written to memory, so that whatever DICOM or pydicom does not take
    shows now.
    """
    report = {
        "task": "ct-denoise",
        "strength": 1.0,
        "model": {"name": "", "sha256": "0" * 64},
        "prior": {"backbone": "none"},
    }
    for index, file in enumerate(files):
        header = _header(file)
        try:
            with lenient_pydicom():
                _derived(header, report, "", index).save_as(io.BytesIO(), enforce_file_format=True)
        except Exception as error:  # pydicom refuses values with errors of every kind
            raise _not_derivable(file, "has values that DICOM does not allow") from error


def _not_derivable(file: Path, reason: str) -> UserError:
    return UserError(
        f'"{file.name}" {reason}, so that no DICOM series can be derived from it: choose another format, such as '
        ".nii.gz."
    )


def _header(file: Path) -> Dataset:
    try:
        header = read_dataset(file)
    except DicomError as error:
        raise UserError(f'"{file}" cannot be read as DICOM: choose another format, such as .nii.gz.') from error
    with lenient_pydicom():
        fields = Fields(header)
        if fields.text("SOPClassUID") not in _CLASSIC_IMAGES or fields.text("NumberOfFrames") not in ("", "0", "1"):
            raise UserError(
                f'"{file.name}" is no single-frame CT or MR image, the kinds that a DICOM series is derived from: '
                "choose another format, such as .nii.gz."
            )
        if missing := next((keyword for keyword in _NEEDED_UIDS if not fields.text(keyword)), None):
            raise _not_derivable(file, f"has no {missing}")
        if not _is_number_or_empty(header):
            raise _not_derivable(file, "has a SeriesNumber that is no number")
    return header


def _is_number_or_empty(header: Dataset) -> bool:
    """Whether the SeriesNumber is one to which another can be added, or none."""
    element = header.get_item("SeriesNumber")
    if element is None or not element.value:
        return True
    number = Fields(header).optional("SeriesNumber")
    return number is not None and number.is_integer() and 0 <= number <= _LARGEST_SERIES_NUMBER


def _derived(source: Dataset, report: dict, identity: str, index: int) -> Dataset:
    """The header of one derived image, without voxels."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = copy.deepcopy(source)
    _remove_private(dataset)  # nobody can tell which of them hold for the new pixels
    for keyword in _NOT_DERIVED + (_OF_DARK_FOR_BRIGHT if _is_dark_for_bright(source) else ()):
        if keyword in dataset:
            delattr(dataset, keyword)
    for tag in list(dataset.keys()):
        if 0x6000 <= tag.group <= 0x60FF or 0x5000 <= tag.group <= 0x50FF:  # overlays and curves
            del dataset[tag]
    fields = Fields(source)
    dataset.SOPInstanceUID = _uid(identity, "image", str(index))
    dataset.SeriesInstanceUID = _uid(identity, "series")
    dataset.SeriesNumber = int(fields.optional("SeriesNumber") or 0) + _SERIES_NUMBERS_APART
    described = fields.text("SeriesDescription").replace("\\", "/")
    dataset.SeriesDescription = f"{described} LRformer {report['task']}".strip()[-_LONGEST_LO:].strip()
    kinds = list(source.get("ImageType") or [])
    dataset.ImageType = ["DERIVED", "SECONDARY", *kinds[2:]]
    dataset.DerivationDescription = description(report)
    dataset.SourceImageSequence = [_reference(source)]
    dataset.ContributingEquipmentSequence = [*(source.get("ContributingEquipmentSequence") or []), _equipment()]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _remove_private(dataset: Dataset) -> None:
    """Delete private elements, those within sequences too; other elements keep their bytes, whatever their text."""
    from pydicom.datadict import dictionary_VR

    for tag in list(dataset.keys()):
        if tag.is_private:
            del dataset[tag]
            continue
        try:
            is_sequence = (dataset.get_item(tag).VR or dictionary_VR(tag)) == "SQ"
        except KeyError:  # in no dictionary
            continue
        if is_sequence:
            for item in dataset[tag].value:
                _remove_private(item)


def _is_dark_for_bright(source: Dataset) -> bool:
    return Fields(source).text("PhotometricInterpretation").upper() == "MONOCHROME1"


def _reference(source: Dataset) -> Dataset:
    from pydicom import Dataset

    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = [
        _code("121322", "Source image for image processing operation"),
    ]
    return reference


def _equipment() -> Dataset:
    from pydicom import Dataset

    equipment = Dataset()
    equipment.Manufacturer = "LRformerSlicer contributors"
    equipment.ManufacturerModelName = "LRformerSlicer"
    equipment.SoftwareVersions = __version__
    equipment.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    return equipment


def _code(value: str, meaning: str) -> Dataset:
    from pydicom import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _set_voxels(dataset: Dataset, source: Dataset, stored: np.ndarray, voxels: StoredVoxels) -> None:
    is_signed = stored.dtype == np.int16
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(is_signed)
    # CT always has a rescale; MR images have none unless their values need one.
    is_ct = _CLASSIC_IMAGES[source.SOPClassUID].startswith("CT")
    if is_ct or not voxels.is_identity:
        dataset.RescaleSlope, dataset.RescaleIntercept = voxels.slope, voxels.intercept
        dataset.RescaleType = source.get("RescaleType") or ("HU" if is_ct else "US")
    if "PixelPaddingValue" in dataset:
        _set_padding(dataset, source, voxels)
    dataset.add_new("PixelData", "OW", stored.astype(stored.dtype.newbyteorder("<")).tobytes())


def _set_padding(dataset: Dataset, source: Dataset, voxels: StoredVoxels) -> None:
    """The padding value as the new stored numbers have it; none where they have not."""
    fields = Fields(source)
    slope, intercept = fields.optional("RescaleSlope"), fields.optional("RescaleIntercept")
    value, stored = fields.optional("PixelPaddingValue"), None
    if value is not None:
        value = stored_number(int(value), int(source.BitsStored), bool(source.PixelRepresentation))
        stored = voxels.stored_value(value * (1.0 if slope is None else slope) + (intercept or 0.0))
    del dataset.PixelPaddingValue
    if stored is not None:
        dataset.add_new("PixelPaddingValue", "SS" if voxels.stored.dtype == np.int16 else "US", stored)


def _set_geometry(dataset: Dataset, source: Dataset, shape: tuple[int, int]) -> None:
    """Other pixels over the same extent: spacing and the first pixel's centre follow from the source's."""
    fields = Fields(source)
    spacing, position = fields.numbers("PixelSpacing", 2), fields.numbers("ImagePositionPatient", 3)
    orientation = fields.numbers("ImageOrientationPatient", 6)
    finer = np.array([shape[0] / source.Rows, shape[1] / source.Columns])
    dataset.PixelSpacing = [_decimal(one) for one in np.array(spacing) / finer]
    if position and orientation:
        along_row, along_column = np.array(orientation).reshape(2, 3)
        down, right = np.array(spacing) * (1 / finer - 1) / 2
        first = np.array(position) + down * along_column + right * along_row
        dataset.ImagePositionPatient = [_decimal(coordinate) for coordinate in first]


def _decimal(number: float) -> str:
    """At most the 16 characters of a DS."""
    return f"{number:.9g}"


def _uid(*parts: str) -> str:
    """A UID made of a UUID (PS3.5, B.2) that follows from `parts`."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(('LRformerSlicer', *parts))).int}"

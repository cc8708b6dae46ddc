"""A restored volume as a derived DICOM series of its source's study.

What a derived image keeps and what it says of itself: DICOM PS3.3, General Image Module (C.7.6.1), and PS3.16, CID 7202
and CID 7005 for the codes.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..errors import UserError
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
_LONGEST_LO, _LONGEST_ST = 64, 1024
_DIRECTION_TOLERANCE = 1e-3


def write_derived_series(folder: Path, restored: sitk.Image, files: tuple[Path, ...], report: dict) -> None:
    """Fill `folder` with one file a slice: patient, study and frame of reference of the source, UIDs of its own.

    `restored` is 3-D, on the grid of the source series or on a finer one in its slices; `files` are the source's, in
    the order of its slices; `report` is the restoration's. The same input gives the same bytes, UIDs included, so a
    repeated run makes no second series. Raises UserError where the source is no classic CT or MR series or pydicom
    is missing.
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
        dataset = _derived(source, report, identity, index)
        _set_voxels(dataset, source, stored, voxels)
        if stored.shape != (source.Rows, source.Columns):
            _set_geometry(dataset, restored, index)
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
    """What made the image, for Derivation Description: task, model and prior with their SHA256."""
    prior = report["prior"]
    by = f"prior {prior['backbone']}" + (f" SHA256 {prior['sha256']}" if prior.get("sha256") else "")
    text = (
        f"Restored by LRformerSlicer {__version__}, task {report['task']}, model {report['model']['name']} "
        f"SHA256 {report['model']['sha256']}, {by}, strength {report['strength']:g}. Research use, not for diagnosis."
    )
    return text[:_LONGEST_ST]


def check_source(files: tuple[Path, ...]) -> None:
    """UserError where no derived series can be made of these files, before any work is done."""
    _header(files[0])


def _header(file: Path) -> Dataset:
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise UserError(
            "Writing DICOM needs the Python package pydicom: install it (pip install pydicom), or choose another "
            "format, such as .nii.gz."
        ) from error
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise UserError(f'"{file}" cannot be read as DICOM: choose another format, such as .nii.gz.') from error
    if header.get("SOPClassUID") not in _CLASSIC_IMAGES or int(header.get("NumberOfFrames") or 1) > 1:
        raise UserError(
            f'"{file.name}" is no single-frame CT or MR image, the kinds that a DICOM series is derived from: choose '
            "another format, such as .nii.gz."
        )
    return header


def _derived(source: Dataset, report: dict, identity: str, index: int) -> Dataset:
    """The header of one derived image, without voxels."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    dataset = copy.deepcopy(source)
    dataset.remove_private_tags()  # nobody can tell which of them hold for the new pixels
    for keyword in _NOT_DERIVED:
        if keyword in dataset:
            delattr(dataset, keyword)
    for element in list(dataset):
        if 0x6000 <= element.tag.group <= 0x60FF or 0x5000 <= element.tag.group <= 0x50FF:  # overlays and curves
            del dataset[element.tag]
    dataset.SOPInstanceUID = _uid(identity, "image", str(index))
    dataset.SeriesInstanceUID = _uid(identity, "series")
    dataset.SeriesNumber = int(source.get("SeriesNumber") or 0) + 1000
    dataset.SeriesDescription = f"{source.get('SeriesDescription') or ''} LRformer {report['task']}".strip()[
        -_LONGEST_LO:
    ]
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
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, source.get("PhotometricInterpretation")
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
    slope, intercept = float(source.get("RescaleSlope") or 1), float(source.get("RescaleIntercept") or 0)
    padding = voxels.stored_value(source.PixelPaddingValue * slope + intercept)
    del dataset.PixelPaddingValue
    if padding is not None:
        dataset.add_new("PixelPaddingValue", "SS" if voxels.stored.dtype == np.int16 else "US", padding)


def _set_geometry(dataset: Dataset, restored: sitk.Image, index: int) -> None:
    """Finer pixels over the same extent: spacing and the first pixel's centre are the restored volume's."""
    columns_mm, rows_mm, _ = restored.GetSpacing()
    dataset.PixelSpacing = [_decimal(rows_mm), _decimal(columns_mm)]
    place = restored.TransformIndexToPhysicalPoint((0, 0, index))
    dataset.ImagePositionPatient = [_decimal(coordinate) for coordinate in place]


def _decimal(number: float) -> str:
    """At most the 16 characters of a DS."""
    return f"{number:.9g}"


def _uid(*parts: str) -> str:
    """A UID made of a UUID (PS3.5, B.2) that follows from `parts`."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(('LRformerSlicer', *parts))).int}"

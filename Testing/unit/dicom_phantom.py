"""DICOM files as scanners and archives write them, right and wrong, for the tests of reading and writing them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT, MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
ROOT = "1.2.826.0.1.3680043.2.1125.17"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ROWS, COLUMNS = 20, 24


def ct_slices(count: int = 6, seed: int = 1) -> np.ndarray:
    """(slices, rows, columns) HU: a body in air with noise; row 4 of slice k has k + 1 voxels of 400, which name it."""
    rng = np.random.default_rng(seed)
    volume = np.full((count, ROWS, COLUMNS), -1000.0)
    volume[:, 5:16, 4:20] = 40
    volume += rng.normal(0, 10, volume.shape)
    for index in range(count):
        volume[index, 4, 2 : 3 + index] = 400
    return np.rint(volume).clip(-1024)


def mr_slices(count: int = 6, seed: int = 2) -> np.ndarray:
    """(slices, rows, columns) from 0 to about 900: a head in noise; slices are named as in `ct_slices`."""
    return np.rint(np.abs((ct_slices(count, seed) + 1000) * 0.6))


def image(
    stored: np.ndarray,
    position: tuple[float, ...],
    number: int,
    modality: str = "CT",
    series: int = 6,
    slope: float | str | None = 1,
    intercept: float | str | None = -1024,
    **changes: object,
) -> pydicom.Dataset:
    """One classic image of stored numbers; a change of None deletes the element."""
    one = pydicom.Dataset()
    one.SOPClassUID = {"CT": CT, "MR": MR}.get(modality, f"{ROOT}.1")
    one.SOPInstanceUID = f"{ROOT}.{series}.{number}"
    one.StudyInstanceUID, one.SeriesInstanceUID = f"{ROOT}.5", f"{ROOT}.{series}"
    one.FrameOfReferenceUID = f"{ROOT}.4"
    one.PatientName, one.PatientID, one.Modality = "A^B", "P-17", modality
    one.SeriesNumber, one.SeriesDescription, one.InstanceNumber = series, "Test", number
    one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.ImagePositionPatient = [f"{coordinate:.10g}" for coordinate in position]
    one.ImageOrientationPatient = list(AXIAL)
    one.PixelSpacing, one.SliceThickness = [0.8, 0.8], 2.5
    one.Rows, one.Columns = stored.shape[-2:]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = stored.dtype.itemsize * 8
    one.BitsAllocated, one.BitsStored, one.HighBit = bits, bits, bits - 1
    one.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    if slope is not None:
        one.RescaleSlope, one.RescaleIntercept = slope, intercept
    one.add_new("PixelData", "OW", stored.tobytes())
    for name, value in changes.items():
        if value is not None:
            setattr(one, name, value)
        elif name in one:
            delattr(one, name)
    return one


def store(path: Path, one: pydicom.Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set as a file; values that DICOM does not allow are written as they are."""
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = syntax
    one.file_meta.MediaStorageSOPClassUID = one.get("SOPClassUID") or CT
    one.file_meta.MediaStorageSOPInstanceUID = one.get("SOPInstanceUID") or f"{ROOT}.9"
    path.parent.mkdir(parents=True, exist_ok=True)
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(path, one, enforce_file_format=True)
    return path


def ct_image(values: np.ndarray, position: tuple[float, ...], number: int, **changes: object) -> pydicom.Dataset:
    """An axial CT image of HU, stored as unsigned numbers with the intercept -1024."""
    return image((values + 1024).astype(np.uint16), position, number, **changes)


def mr_image(values: np.ndarray, position: tuple[float, ...], number: int, **changes: object) -> pydicom.Dataset:
    """An axial MR image without rescale."""
    return image(values.astype(np.uint16), position, number, **{"modality": "MR", "slope": None, **changes})


def write_ct(folder: Path, heights: list[float], volume: np.ndarray | None = None, **changes: object) -> np.ndarray:
    """An axial CT series with slices at these z in mm, in files 000.dcm and on; gives its values."""
    volume = ct_slices(len(heights)) if volume is None else volume
    for index, height in enumerate(heights):
        store(folder / f"{index:03d}.dcm", ct_image(volume[index], (-9.0, -7.0, height), index + 1, **changes))
    return volume


def enhanced_mr(
    volume: np.ndarray,
    heights: list[float],
    order: list[int],
    slopes: list[float] | None = None,
    frame_changes: list[dict[str, dict[str, object]]] | None = None,
    **changes: object,
) -> pydicom.Dataset:
    """An enhanced MR image whose n-th frame is slice `order[n]` of a volume, stored with a slope of its own.

    `frame_changes` holds for each frame further functional groups: sequence to keyword to value.
    """
    slopes = slopes or [1.0] * len(order)
    stored = np.stack([np.rint(volume[k] / slope) for k, slope in zip(order, slopes, strict=True)]).astype(np.uint16)
    one = image(stored[0], (0, 0, 0), 1, "MR", slope=None, SOPClassUID=ENHANCED_MR, **changes)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(one, name)
    one.NumberOfFrames = len(order)
    one.SharedFunctionalGroupsSequence = [
        groups(
            PlaneOrientationSequence={"ImageOrientationPatient": list(AXIAL)},
            PixelMeasuresSequence={"PixelSpacing": [0.9, 0.9], "SliceThickness": 4},
        )
    ]
    one.PerFrameFunctionalGroupsSequence = [
        groups(
            PlanePositionSequence={"ImagePositionPatient": [-9.0, -7.0, heights[k]]},
            PixelValueTransformationSequence={"RescaleSlope": slope, "RescaleIntercept": 0, "RescaleType": "US"},
            **(frame_changes[place] if frame_changes else {}),
        )
        for place, (k, slope) in enumerate(zip(order, slopes, strict=True))
    ]
    one.add_new("PixelData", "OW", stored.tobytes())
    return one


def groups(**sequences: dict[str, object]) -> pydicom.Dataset:
    """Functional groups: sequences of one item each."""
    made = pydicom.Dataset()
    for name, values in sequences.items():
        item = pydicom.Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(made, name, [item])
    return made

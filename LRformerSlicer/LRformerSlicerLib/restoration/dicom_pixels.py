"""The stored numbers of DICOM planes: complete, or one sentence, and never more memory than the file accounts for.

pydicom reads what is not compressed and RLE; GDCM, which SimpleITK brings, decodes the rest. GDCM sees nothing but the
pixel data, so that it applies neither rescale nor photometric interpretation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from .dicom_file import DicomError, lenient_pydicom, read_dataset
from .dicom_plane import Plane
from .native_output import silent_native_libraries

if TYPE_CHECKING:
    from pydicom import Dataset

_CAPTURES = {1: "1.2.840.10008.5.1.4.1.1.7.2", 2: "1.2.840.10008.5.1.4.1.1.7.3", 4: "1.2.840.10008.5.1.4.1.1.7.3"}
"""Multi-frame greyscale secondary capture by the bytes of a voxel: images of which GDCM assumes nothing."""
_END_OF_IMAGE = b"\xff\xd9"
_SMALL_BYTES = 2**26
_BEST_COMPRESSION = {True: 128, False: 4096}  # RLE or another
_NATIVE_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


class PixelReader:
    """Reads planes; the frames of a multi-frame file are decoded together and kept until the next file is read."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._frames = np.empty((0, 0, 0))

    def stored(self, plane: Plane) -> np.ndarray:
        """The stored numbers (rows, columns) of a plane. Raises DicomError where they are not all there."""
        if plane.file != self._file:
            self._frames, self._file = _all_frames(plane.file, plane), plane.file
        if self._frames.shape[0] <= (plane.frame or 0):
            raise DicomError(plane.file, "is damaged: it has fewer frames than it says")
        return self._frames[plane.frame or 0]


def same_pixels(plane: Plane, other: Plane) -> bool:
    """Whether two planes hold the same values. Raises DicomError where one of them cannot be read."""
    if (plane.stored, plane.slope, plane.intercept) != (other.stored, other.slope, other.intercept):
        return False
    if plane.stored is None:
        return True
    return np.array_equal(PixelReader().stored(plane), PixelReader().stored(other))


def in_file_order(planes: Sequence[Plane]) -> list[int]:
    """The places of the planes, those of one file together."""
    return sorted(range(len(planes)), key=lambda place: (str(planes[place].file), planes[place].frame or 0))


def _all_frames(file: Path, plane: Plane) -> np.ndarray:
    """The stored numbers (frames, rows, columns) of a file."""
    dataset = read_dataset(file, with_pixels=True)
    if dataset.get("PixelData") is None:
        raise DicomError(file, "is damaged: it holds no pixel data")
    try:
        with lenient_pydicom():
            frames = _decoded(file, dataset, plane)
    except DicomError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # pydicom and GDCM meet damage with errors of every kind
        raise DicomError(file, "is damaged: its pixel data is incomplete or cannot be decoded") from error
    shape = (plane.stored.rows, plane.stored.columns)
    frames = frames.reshape(-1, *frames.shape[-2:])
    if frames.shape[1:] != shape:
        raise DicomError(file, "is damaged: its pixel data is of another size than its header says")
    return frames


def _decoded(file: Path, dataset: Dataset, plane: Plane) -> np.ndarray:
    from pydicom.pixels import pixel_array
    from pydicom.uid import UID, RLELossless

    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    if not syntax:  # a data set without file meta information
        implicit, little_endian = dataset.original_encoding
        syntax = UID(_NATIVE_SYNTAXES[0 if implicit else 1 if little_endian else 2])
        dataset.file_meta.TransferSyntaxUID = syntax
    if not syntax.is_transfer_syntax or syntax.is_private:
        raise DicomError(file, f"is compressed in a way that is not known ({syntax}): convert it without compression")
    stored = plane.stored
    count = int(dataset.get("NumberOfFrames") or 1)
    if syntax.is_encapsulated:
        needed = stored.rows * stored.columns * count * stored.bits_allocated // 8
        if needed > max(_SMALL_BYTES, _BEST_COMPRESSION[syntax == RLELossless] * len(dataset.PixelData)):
            raise DicomError(file, "is damaged: its pixel data is too short for its size")
        if syntax != RLELossless:
            return _decoded_by_gdcm(file, dataset, count)
    return pixel_array(dataset, raw=True)


def _decoded_by_gdcm(file: Path, dataset: Dataset, count: int) -> np.ndarray:
    import pydicom

    _check_ends(file, dataset, count)
    bare = pydicom.Dataset()
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(bare, keyword, int(dataset[keyword].value))
    bare.SOPClassUID = _CAPTURES[bare.BitsAllocated // 8]
    bare.SOPInstanceUID = "1.2.3"
    bare.SamplesPerPixel, bare.PhotometricInterpretation, bare.NumberOfFrames = 1, "MONOCHROME2", count
    bare.PixelData = dataset.PixelData
    bare["PixelData"].VR = "OB"
    bare["PixelData"].is_undefined_length = True
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory() as folder:
        bare.save_as(path := Path(folder) / "frames.dcm", enforce_file_format=True)
        with silent_native_libraries():
            return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _check_ends(file: Path, dataset: Dataset, count: int) -> None:
    """DicomError where a compressed frame is missing or does not end as JPEG does: decoders make up the rest."""
    from pydicom.encaps import generate_frames

    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    if len(frames) != count or not all(_END_OF_IMAGE in frame[-4:] for frame in frames):
        raise DicomError(file, "is damaged: its compressed pixel data ends early")

"""One DICOM file: whether it is one, its header and its data set, with every failure as one sentence."""

from __future__ import annotations

import contextlib
import stat
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE_BYTES = 128
_FIRST_GROUPS = (b"\x08\x00", b"\x02\x00")
"""The group of the first element where a file begins without preamble: identification or file meta information."""
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES = 1024
_MOST_INFLATED_BYTES = 2**28
_NEVER_WITHOUT_PREAMBLE = (
    *(".img", ".raw", ".zraw", ".gz", ".json", ".txt", ".csv", ".tsv", ".md", ".pdf", ".xml", ".nii", ".nrrd", ".mha"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".zip", ".tar", ".py", ".html", ".nhdr", ".mhd", ".hdr", ".npy"),
)


class DicomError(UserError):
    """A DICOM file that cannot be used; `reason` is the sentence without its file, such as "is damaged"."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f'"{file.name}" {reason}.')
        self.file, self.reason = file, reason


def is_dicom(path: Path) -> bool:
    """Whether a regular file begins as DICOM does: with a preamble, or with its first element.

    Raises DicomError where it may not be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as stream:
            head = stream.read(_PREAMBLE_BYTES + 4)
    except PermissionError as error:
        raise DicomError(path, "cannot be read: check its permissions") from error
    except OSError:  # a link to nothing
        return False
    return has_preamble(head) or (
        head[:2] in _FIRST_GROUPS and head[3:4] == b"\0" and not path.name.lower().endswith(_NEVER_WITHOUT_PREAMBLE)
    )


def has_preamble(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a DICOM file as PS3.10 wants it."""
    return head[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == b"DICM"


@contextlib.contextmanager
def lenient_pydicom() -> Iterator[None]:
    """Reading that neither prints nor refuses values that DICOM does not allow; whoever uses a value checks it."""
    from pydicom import config

    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def read_dataset(path: Path, with_pixels: bool = False) -> Dataset:
    """The data set of a file, without its pixel data unless that is asked for.

    Raises DicomError where it cannot be read, and UserError where pydicom is missing. Values are still unchecked.
    """
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise UserError(
            "Reading and writing DICOM needs the Python package pydicom: install it (pip install pydicom)."
        ) from error
    try:
        _check_inflated_size(path)
        with lenient_pydicom():
            dataset = pydicom.dcmread(path, stop_before_pixels=not with_pixels, force=True)
            if not hasattr(dataset, "file_meta"):  # a data set without file meta information
                dataset.file_meta = pydicom.dataset.FileMetaDataset()
            return dataset
    except OSError as error:
        raise DicomError(path, "cannot be read: check its permissions") from error
    except DicomError:
        raise
    except Exception as error:  # pydicom meets damage with errors of every kind
        raise DicomError(path, "is damaged: it cannot be read as DICOM") from error


def _check_inflated_size(path: Path) -> None:
    """DicomError where a data set that is compressed as a whole (deflated) inflates beyond every image."""
    with path.open("rb") as stream:
        if _DEFLATED not in stream.read(_HEAD_BYTES):
            return
        from pydicom.filereader import read_file_meta_info

        meta_length = read_file_meta_info(path).FileMetaInformationGroupLength
        stream.seek(_PREAMBLE_BYTES + 4 + 12 + meta_length)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        left = _MOST_INFLATED_BYTES
        while chunk := inflate.unconsumed_tail or stream.read(2**16):
            left -= len(inflate.decompress(chunk, 2**20))
            if left < 0:
                raise DicomError(path, "inflates to more than any image holds: convert it without compression")

"""What ITK's NIfTI reader does not tell: that a file is cut short, and where voxels were NaN or infinite.

The library behind it (niftilib) fills what is missing with zeros and turns NaN and infinities into zeros, both without
a word. The header's layout is that of the NIfTI-1 and NIfTI-2 standards (nifti.nimh.nih.gov).
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".hdr.gz")
_FLOAT_TYPES = {16: "f4", 64: "f8"}
_CHUNK_BYTES = 1 << 22


class DamagedNiftiError(Exception):
    """The file ends before its voxels do, or its compression is damaged."""


@dataclass(frozen=True)
class _Header:
    byte_order: str
    voxel_count: int
    datatype: int
    voxel_bytes: int
    offset: int


def non_finite_voxels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices (first image axis fastest) and values of the NaN and infinite voxels of a NIfTI file.

    Reads the whole file in chunks. Raises DamagedNiftiError where it is shorter than its header says.
    """
    try:
        with _open(_part(path, ".hdr")) as stream:
            header = _read_header(stream)
        with _open(_part(path, ".img")) as stream:
            return _scan(stream, header)
    except (EOFError, struct.error, gzip.BadGzipFile, OSError, ValueError) as error:
        raise DamagedNiftiError(str(error)) from error


def _part(path: Path, wanted: str) -> Path:
    """The header (.hdr) or voxel (.img) file of a pair; a single .nii file is both."""
    name = path.name
    for suffix in (".hdr.gz", ".img.gz", ".hdr", ".img"):
        if name.lower().endswith(suffix):
            stem = name[: -len(suffix)]
            for candidate in (stem + wanted, stem + wanted + ".gz"):
                if (path.parent / candidate).exists():
                    return path.parent / candidate
    return path


def _open(path: Path) -> BinaryIO:
    with open(path, "rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else open(path, "rb")


def _read_header(stream: BinaryIO) -> _Header:
    start = stream.read(540)
    for byte_order in "<>":
        (size,) = struct.unpack_from(byte_order + "i", start)
        if size == 348:
            dimensions = struct.unpack_from(byte_order + "8h", start, 40)
            datatype, bits = struct.unpack_from(byte_order + "2h", start, 70)
            (offset,) = struct.unpack_from(byte_order + "f", start, 108)
            break
        if size == 540:
            datatype, bits = struct.unpack_from(byte_order + "2h", start, 12)
            dimensions = struct.unpack_from(byte_order + "8q", start, 16)
            (offset,) = struct.unpack_from(byte_order + "q", start, 168)
            break
    else:
        raise DamagedNiftiError("no NIfTI header")
    count = int(np.prod([max(length, 1) for length in dimensions[1 : dimensions[0] + 1]], dtype=np.int64))
    return _Header(byte_order, count, datatype, bits // 8, int(offset))


def _scan(stream: BinaryIO, header: _Header) -> tuple[np.ndarray, np.ndarray]:
    stream.read(header.offset)
    left = header.voxel_count * header.voxel_bytes
    kind = _FLOAT_TYPES.get(header.datatype)
    places, values, first = [], [], 0
    while left:
        chunk = stream.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise DamagedNiftiError(f"{left} bytes are missing")
        if kind is not None:
            # A short read may end inside a voxel; ordinary files and gzip fill the chunk but for the last.
            voxels = np.frombuffer(chunk, dtype=header.byte_order + kind, count=len(chunk) // header.voxel_bytes)
            found = np.flatnonzero(~np.isfinite(voxels))
            places.append(found + first)
            values.append(voxels[found].astype(np.float64))
            first += voxels.size
        left -= len(chunk)
    # To the end, so that gzip compares its checksum.
    while stream.read(_CHUNK_BYTES):
        pass
    if not places:
        return np.empty(0, dtype=np.int64), np.empty(0)
    return np.concatenate(places), np.concatenate(values)

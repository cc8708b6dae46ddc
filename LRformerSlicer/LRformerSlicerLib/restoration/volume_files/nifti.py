"""NIfTI and Analyze headers, read before ITK does; the layout is that of the NIfTI-1 standard (nifti.nimh.nih.gov)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

from .text_header import LARGEST_AXIS
from .voxel_data import FileProblem, VoxelData, regular_file_bytes, voxel_chunks

_VOXEL_BYTES = {
    2: 1,
    4: 2,
    8: 4,
    16: 4,
    32: 8,
    64: 8,
    128: 3,
    256: 1,
    512: 2,
    768: 4,
    1024: 8,
    1280: 8,
    1792: 16,
    2304: 4,
}
_FLOAT_TYPES = {16: "f4", 64: "f8"}
HEADER_BYTES = 348
_LARGEST_OFFSET = 1 << 26
_PAIR = ((".hdr.gz", ".img.gz"), (".img.gz", ".hdr.gz"), (".hdr", ".img"), (".img", ".hdr"))


@dataclass(frozen=True)
class NiftiHeader:
    """What of a NIfTI header says where the voxels are: `data`, their numpy `float_type` (empty for others)."""

    data: VoxelData
    float_type: str


def nifti_header(path: Path) -> NiftiHeader:
    """The checked header of a NIfTI or Analyze file, named by either file of a pair. Raises FileProblem."""
    header_file, data_file = _files(path)
    start = _first_bytes(header_file, HEADER_BYTES)
    sizes = {order: struct.unpack_from(order + "i", start)[0] for order in "<>"} if len(start) >= 4 else {}
    if 540 in sizes.values():
        raise FileProblem("it is a NIfTI-2 file, which ITK does not read: save it as NIfTI-1")
    order = next((order for order, size in sizes.items() if size == HEADER_BYTES == len(start)), None)
    if order is None:
        raise FileProblem("it has no NIfTI header")
    dimensions = struct.unpack_from(order + "8h", start, 40)
    (datatype,) = struct.unpack_from(order + "h", start, 70)
    (offset,) = struct.unpack_from(order + "f", start, 108)
    magic = start[344:348]
    is_one_file = header_file == data_file
    if is_one_file and magic != b"n+1\0":
        raise FileProblem("its header is not that of a single NIfTI file")
    if not 1 <= dimensions[0] <= 7 or dimensions[1] < 1:
        raise FileProblem("its header gives no sizes")
    if datatype not in _VOXEL_BYTES:
        raise FileProblem(f"its voxels are of the unknown type {datatype}")
    length = _VOXEL_BYTES[datatype]
    for size in dimensions[1 : dimensions[0] + 1]:
        if size > LARGEST_AXIS:
            raise FileProblem("its header gives sizes that no volume has")
        length *= max(1, size)
    if not math.isfinite(offset) or not 0 <= offset <= _LARGEST_OFFSET:
        raise FileProblem("its header does not say where the voxels begin")
    _check_geometry(start, order, magic)
    skip = max(int(offset), HEADER_BYTES) if is_one_file else int(offset)
    if _is_gzip(data_file):
        data = VoxelData(data_file, 0, length, True, skip)
    else:
        data = VoxelData(data_file, skip, length)
    return NiftiHeader(data, order + _FLOAT_TYPES[datatype] if datatype in _FLOAT_TYPES else "")


def _check_geometry(start: bytes, order: str, magic: bytes) -> None:
    """Raises FileProblem for numbers that niftilib would put others in the place of, without a word."""
    used = list(struct.unpack_from(order + "3f", start, 80))
    if magic[:1] == b"n":
        qform, sform = struct.unpack_from(order + "2h", start, 252)
        forms = struct.unpack_from(order + "18f", start, 256)
        used += [*(forms[:6] if qform > 0 else ()), *(forms[6:] if sform > 0 else ())]
    if not all(map(math.isfinite, used)):
        raise FileProblem("its header gives no place to the voxels")


def pair_of(path: Path) -> tuple[Path, Path] | None:
    """Header and voxel file of a pair (.hdr, .img) that either of them names; None for a single file.

    Raises FileProblem where the other one is missing.
    """
    for mine, others in _PAIR:
        if path.name.lower().endswith(mine):
            other = _beside(path, path.name[: -len(mine)], others)
            return (path, other) if ".hdr" in mine else (other, path)
    return None


def _files(path: Path) -> tuple[Path, Path]:
    return pair_of(path) or (path, path)


def _beside(path: Path, stem: str, suffix: str) -> Path:
    """The other file of a pair, in capital or small letters, compressed or not."""
    bare = suffix.removesuffix(".gz")
    for ending in (suffix, bare, bare + ".gz"):
        for candidate in (stem + ending, stem + ending.upper()):
            if (path.parent / candidate).is_file():
                return path.parent / candidate
    raise FileProblem(f'its other half "{stem}{suffix}" is missing')


def _is_gzip(path: Path) -> bool:
    """Whether a file is compressed, as niftilib tells it: by name, and then by its first bytes."""
    if not path.name.lower().endswith(".gz"):
        return False
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _first_bytes(path: Path, count: int) -> bytes:
    regular_file_bytes(path)
    if not _is_gzip(path):
        with open(path, "rb") as stream:
            return stream.read(count)
    return b"".join(voxel_chunks(VoxelData(path, 0, count, True), to_end=False))

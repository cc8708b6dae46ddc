"""NIfTI and Analyze headers, read before nibabel does; the layout is that of the NIfTI-1 and NIfTI-2 standards
(nifti.nimh.nih.gov)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

from .text_header import LARGEST_AXIS
from .voxel_data import FileProblem, VoxelData, regular_file_bytes, voxel_chunks

_VOXEL_BYTES = {
    **{2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4},
    **{1024: 8, 1280: 8, 1792: 16, 2304: 4},
}
"""By the code of the data type; numbers of 16 bytes are left out."""
_LARGEST_OFFSET = 1 << 26
_PAIR = ((".hdr.gz", ".img.gz"), (".img.gz", ".hdr.gz"), (".hdr", ".img"), (".img", ".hdr"))


@dataclass(frozen=True)
class _Layout:
    """Where the fields of a header are, and how its numbers are written (struct's letters)."""

    size: int
    magics: tuple[bytes, ...]
    dimensions: tuple[str, int]
    datatype_at: int
    offset: tuple[str, int]
    magic_at: int
    steps: tuple[str, int]
    codes: tuple[str, int]
    forms: tuple[str, int]


_FIRST = _Layout(348, (b"n+1\0", b"ni1\0"), ("8h", 40), 70, ("f", 108), 344, ("3f", 80), ("2h", 252), ("18f", 256))
_SECOND = _Layout(540, (b"n+2\0", b"ni2\0"), ("8q", 16), 12, ("q", 168), 4, ("3d", 112), ("2i", 344), ("18d", 352))


def nifti_data(path: Path) -> VoxelData:
    """Where the voxels of a NIfTI or Analyze file lie, which either file of a pair names. Raises FileProblem."""
    header_file, data_file = pair_of(path) or (path, path)
    start = _first_bytes(header_file, _SECOND.size)
    layout, order = _layout_of(start)

    def read(field: tuple[str, int]) -> tuple:
        return struct.unpack_from(order + field[0], start, field[1])

    magic = start[layout.magic_at : layout.magic_at + 4]
    is_one_file = header_file == data_file
    if is_one_file and magic != layout.magics[0]:
        raise FileProblem("its header is not that of a single NIfTI file")
    dimensions, (datatype,), (offset,) = read(layout.dimensions), read(("h", layout.datatype_at)), read(layout.offset)
    count = dimensions[0]
    if not 1 <= count <= 7 or not all(1 <= size <= LARGEST_AXIS for size in dimensions[1 : count + 1]):
        raise FileProblem("its header gives no sizes that a volume has")
    if datatype not in _VOXEL_BYTES:
        raise FileProblem(f"its voxels are of the unknown type {datatype}")
    if not math.isfinite(offset) or not 0 <= offset <= _LARGEST_OFFSET:
        raise FileProblem("its header does not say where the voxels begin")
    used = [*read(layout.steps)]
    if magic in layout.magics:
        forms = read(layout.forms)
        qform, sform = read(layout.codes)
        used += [*(forms[:6] if qform > 0 else ()), *(forms[6:] if sform > 0 else ())]
    if not all(map(math.isfinite, used)):
        raise FileProblem("its header gives no place to the voxels")
    # Without an offset the voxels follow the header and the four bytes that announce extensions.
    skip = int(offset) or (layout.size + 4 if is_one_file else 0)
    _check_extensions(header_file, layout.size, order, skip if is_one_file else None)
    length = _VOXEL_BYTES[datatype] * math.prod(dimensions[1 : count + 1])
    if _is_gzip(data_file):
        return VoxelData(data_file, 0, length, True, skip)
    return VoxelData(data_file, skip, length)


def _layout_of(start: bytes) -> tuple[_Layout, str]:
    for layout in (_FIRST, _SECOND):
        for order in "<>":
            if len(start) >= layout.size and struct.unpack_from(order + "i", start)[0] == layout.size:
                return layout, order
    raise FileProblem("it has no NIfTI header")


def _check_extensions(path: Path, header_bytes: int, order: str, end: int | None) -> None:
    """Raises FileProblem for an extension that is said to be longer than its place: all the rest would be read for it.

    `end` is where the voxels begin, None for the file of a header alone.
    """
    most = _LARGEST_OFFSET if end is None else end
    place = header_bytes + 4
    content = _first_bytes(path, most) if most > place else b""
    if len(content) < place or not content[header_bytes]:
        return
    last = len(content) if end is None else end
    while place + 16 <= last:
        if place + 8 > len(content):
            raise FileProblem("its extensions are cut short")
        (size,) = struct.unpack_from(order + "i", content, place)
        if size < 16 or place + size > last:
            raise FileProblem("its extensions are longer than their place")
        place += size


def pair_of(path: Path) -> tuple[Path, Path] | None:
    """Header and voxel file of a pair (.hdr, .img) that either of them names; None for a single file.

    Raises FileProblem where the other one is missing.
    """
    for mine, others in _PAIR:
        if path.name.lower().endswith(mine):
            other = _beside(path, path.name[: -len(mine)], others)
            return (path, other) if ".hdr" in mine else (other, path)
    return None


def _beside(path: Path, stem: str, suffix: str) -> Path:
    """The other file of a pair, in capital or small letters, compressed or not."""
    bare = suffix.removesuffix(".gz")
    for ending in (suffix, bare, bare + ".gz"):
        for candidate in (stem + ending, stem + ending.upper()):
            if (path.parent / candidate).is_file():
                return path.parent / candidate
    raise FileProblem(f'its other half "{stem}{suffix}" is missing')


def _is_gzip(path: Path) -> bool:
    """Whether a file is compressed, as nibabel tells it: by name, and then by its first bytes."""
    if not path.name.lower().endswith(".gz"):
        return False
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _first_bytes(path: Path, count: int) -> bytes:
    """The first `count` bytes of a file, decompressed, or all of them where there are fewer."""
    there = regular_file_bytes(path)
    if not _is_gzip(path):
        with open(path, "rb") as stream:
            return stream.read(min(count, there))
    found = []
    try:
        for piece in voxel_chunks(VoxelData(path, 0, count, True), to_end=False):
            found.append(piece)
    except FileProblem:
        if not found:
            raise
    return b"".join(found)

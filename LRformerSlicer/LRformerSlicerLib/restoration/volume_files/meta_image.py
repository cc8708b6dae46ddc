"""MetaImage headers (.mha, .mhd), read before ITK does.

The fields are those of the MetaIO documentation (itk.org, MetaIO/Documentation). MetaIO reads as many numbers as it
expects, from the next lines if need be, into buffers of fixed size; so each field must have exactly its own.
"""

from __future__ import annotations

import re
from pathlib import Path

from .text_header import MOST_DIMENSIONS, check_numbers, header_lines, whole_number, whole_numbers
from .voxel_data import FileProblem, VoxelData, data_file_beside, regular_file_bytes

_LONGEST_HEADER_BYTES = 1 << 20
_LONGEST_LINE = 2000
_FIELD = re.compile(r"\s*([^=:\s](?:[^=:]{0,98}[^=:\s])?)\s*=\s*(.*?)\s*")
_VOXEL_BYTES = {
    **{"MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4},
    **{"MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8},
}
_VECTORS = ("Offset", "Position", "Origin", "CenterOfRotation", "ElementSpacing", "ElementSize")
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_SINGLE = ("ElementMin", "ElementMax", "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
_WHOLE = ("ID", "ParentID", "CompressedDataSize", "CompressionLevel")
_WORDS = ("ObjectType", "ObjectSubType", "NDims", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB",
          "CompressedData", "DimSize", "HeaderSize", "ElementNumberOfChannels", "ElementType", "ElementDataFile",
          "Color", "SequenceID", "AnatomicalOrientation", "Modality", "DistanceUnits")  # fmt: skip
_KNOWN = {name.lower(): name for name in (*_VECTORS, *_MATRICES, *_SINGLE, *_WHOLE, *_WORDS)}


def meta_image_data(path: Path) -> VoxelData:
    """Where the voxels of a MetaImage lie. Raises FileProblem for a header that is damaged or out of bounds."""
    with open(path, "rb") as stream:
        start = stream.read(_LONGEST_HEADER_BYTES)
    fields, header_bytes = _fields(start)
    if fields.get("ObjectType", "Image") != "Image":
        raise FileProblem("it is a MetaIO file, but no image")
    dimensions = whole_number(_needed(fields, "NDims"), "NDims", 1, MOST_DIMENSIONS)
    sizes = whole_numbers(_needed(fields, "DimSize"), dimensions, "DimSize")
    _check_other_numbers(fields, dimensions)
    element = _needed(fields, "ElementType")
    if element not in _VOXEL_BYTES:
        raise FileProblem(f'its ElementType "{element[:40]}" is none of {", ".join(_VOXEL_BYTES)}')
    length = _VOXEL_BYTES[element] * whole_number(fields.get("ElementNumberOfChannels", "1"), "the channels", 1, 1000)
    for size in sizes:
        length *= size
    if fields.get("BinaryData", "True").lower() not in ("true", "t", "1"):
        raise FileProblem("its voxels are written as text: save it with binary data")
    return _data(path, fields, header_bytes, length)


def _data(path: Path, fields: dict[str, str], header_bytes: int, length: int) -> VoxelData:
    name = fields["ElementDataFile"]
    is_local = name.upper() == "LOCAL"
    if not is_local and (name.split()[0].upper() == "LIST" or "%" in name):
        raise FileProblem("its voxels are spread over several files: save it as one file")
    file = path if is_local else data_file_beside(path, name)
    there = regular_file_bytes(file)
    start = header_bytes if is_local else 0
    skipped = whole_number(fields.get("HeaderSize", "0"), "HeaderSize", -1, there)
    is_compressed = _truth(fields, "CompressedData")
    if skipped and (is_local or is_compressed):
        raise FileProblem("its HeaderSize has no meaning here")
    start = max(0, there - length) if skipped == -1 else start + skipped
    if is_compressed:
        stored = fields.get("CompressedDataSize")
        told = None if stored is None else whole_number(stored, "CompressedDataSize", 1, there - start)
        # Without a size MetaIO takes the rest of the file into memory, however long it is.
        if told is None and there - start > length + (1 << 20):
            raise FileProblem("the size of its compressed data is not that of the file")
        return VoxelData(file, start, length, True, stored=told)
    return VoxelData(file, start, length)


def _fields(start: bytes) -> tuple[dict[str, str], int]:
    """The fields up to ElementDataFile, which ends the header, and the header's length."""
    end = re.search(rb"(?:^|\n)[ \t]*ElementDataFile[ \t]*=[^\n]*(?:\n|$)", start)
    if end is None:
        raise FileProblem("it has no MetaImage header")
    fields: dict[str, str] = {}
    for line in header_lines(start[: end.end()], _LONGEST_LINE):
        if not line.strip():
            continue
        found = _FIELD.fullmatch(line)
        if found is None:
            raise FileProblem("a line of its header is no field")
        name, value = found.groups()
        if _KNOWN.get(name.lower(), name) != name or name in fields:
            raise FileProblem(f'its header has the field "{name}" twice or misspelt')
        fields[name] = value
        if not value and name in _KNOWN.values():
            raise FileProblem(f'the field "{name}" of its header is empty')
    return fields, end.end()


def _check_other_numbers(fields: dict[str, str], dimensions: int) -> None:
    counts = {
        **dict.fromkeys(_VECTORS, dimensions),
        **dict.fromkeys(_MATRICES, dimensions**2),
        **dict.fromkeys(_SINGLE, 1),
    }
    for name, value in fields.items():
        if name in counts:
            check_numbers(value, counts[name], name)
        elif name in _WHOLE:
            whole_number(value, name, -1, 2**45)
        elif name in ("Color", "SequenceID"):
            check_numbers(value, 4, name)


def _needed(fields: dict[str, str], name: str) -> str:
    if name not in fields:
        raise FileProblem(f"its header lacks {name}")
    return fields[name]


def _truth(fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "False").lower()
    if value not in ("true", "t", "1", "false", "f", "0"):
        raise FileProblem(f"{name} is neither True nor False")
    return value in ("true", "t", "1")

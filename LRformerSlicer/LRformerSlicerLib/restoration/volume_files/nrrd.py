"""NRRD headers (.nrrd, .nhdr), read before ITK does; the fields are those of teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import re
from pathlib import Path

from .text_header import MOST_DIMENSIONS, header_lines, whole_number, whole_numbers
from .voxel_data import FileProblem, VoxelData, data_file_beside, regular_file_bytes

_LONGEST_HEADER_BYTES = 1 << 22
_LONGEST_LINE = 1 << 16
_END = re.compile(rb"\r?\n\r?\n")
_MAGIC = re.compile(r"NRRD000[1-5]")
_FIELD = re.compile(r"([A-Za-z][A-Za-z ]{0,40}): ?(.*?)\s*")
_KEY_VALUE = re.compile(r"[^:]+:=.*")
_BYTES_OF = {
    1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
    2: ("short", "short int", "signed short", "signed short int", "int16", "int16_t", "ushort", "unsigned short",
        "unsigned short int", "uint16", "uint16_t"),
    4: ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"),
    8: ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t",
        "ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t", "double"),
}  # fmt: skip
_VOXEL_BYTES = {name: size for size, names in _BYTES_OF.items() for name in names}


def nrrd_data(path: Path) -> VoxelData:
    """Where the voxels of a NRRD file lie. Raises FileProblem for a header that is damaged or out of bounds."""
    with open(path, "rb") as stream:
        start = stream.read(_LONGEST_HEADER_BYTES)
    end = _END.search(start)
    fields = _fields(start[: end.start()] if end else start)
    dimensions = whole_number(_needed(fields, "dimension"), "its dimension", 1, MOST_DIMENSIONS)
    kind = _needed(fields, "type").lower()
    if kind not in _VOXEL_BYTES:
        raise FileProblem(f'its type "{kind[:40]}" is none that voxels have')
    length = _VOXEL_BYTES[kind]
    for size in whole_numbers(_needed(fields, "sizes"), dimensions, "sizes"):
        length *= size
    if _VOXEL_BYTES[kind] > 1 and _needed(fields, "endian").lower() not in ("little", "big"):
        raise FileProblem("its endian is neither little nor big")
    encoding = _needed(fields, "encoding").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise FileProblem(f'its encoding is "{encoding[:40]}": save it with the encoding raw or gzip')
    return _data(path, fields, end.end() if end else None, length, encoding != "raw")


def _data(path: Path, fields: dict[str, str], header_end: int | None, length: int, is_compressed: bool) -> VoxelData:
    name = fields.get("data file", fields.get("datafile"))
    if name is not None:
        if "%" in name or name.split()[:1] == ["LIST"] or re.search(r"\s[0-9]+$", name):
            raise FileProblem("its voxels are spread over several files: save it as one file")
        file, start = data_file_beside(path, name), 0
    elif header_end is None:
        raise FileProblem("its header does not end")
    else:
        file, start = path, header_end
    there = regular_file_bytes(file)
    if whole_number(fields.get("line skip", fields.get("lineskip", "0")), "its line skip", 0, 0):
        raise FileProblem("it skips lines")
    skip = whole_number(fields.get("byte skip", fields.get("byteskip", "0")), "its byte skip", -1, there)
    if is_compressed:
        if skip < 0:
            raise FileProblem("its byte skip has no meaning in compressed data")
        return VoxelData(file, start, length, True, skip)
    return VoxelData(file, max(start, there - length) if skip == -1 else start + skip, length)


def _fields(text: bytes) -> dict[str, str]:
    lines = header_lines(text, _LONGEST_LINE)
    if not _MAGIC.fullmatch(lines[0].strip()):
        raise FileProblem("it has no NRRD header")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if not line.strip() or line.startswith("#") or _KEY_VALUE.fullmatch(line):
            continue
        found = _FIELD.fullmatch(line)
        if found is None:
            raise FileProblem("a line of its header is no field")
        name, value = found[1].lower(), found[2]
        if name in fields:
            raise FileProblem(f'its header has the field "{name}" twice')
        fields[name] = value
    return fields


def _needed(fields: dict[str, str], name: str) -> str:
    if not fields.get(name):
        raise FileProblem(f"its header lacks the field {name}")
    return fields[name]

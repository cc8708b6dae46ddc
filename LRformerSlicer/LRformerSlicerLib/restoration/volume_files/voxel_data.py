"""The voxels of a file as bytes: where they lie, and whether all of them are there."""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 22
LARGEST_EXCESS_BYTES = 1 << 20
"""Decompressed data may go on for so long behind the voxels."""

_MOST_A_BYTE_INFLATES_TO = 1032
"""The limit of deflate (zlib's documentation); more is claimed only by a damaged or hostile header."""


class FileProblem(Exception):
    """A file that is not read; its text completes "it is damaged (...)" or "it cannot be read (...)"."""


@dataclass(frozen=True)
class VoxelData:
    """Where the voxels of a volume lie.

    Attributes:
        file: the file that holds them.
        start: byte at which they, or their compressed stream, begin.
        length: bytes of all voxels, uncompressed.
        is_compressed: whether it is a gzip or zlib stream.
        skip: bytes of the decompressed stream before the voxels.
        stored: bytes of the compressed stream, where the header says it; ITK then reads no more.
    """

    file: Path
    start: int
    length: int
    is_compressed: bool = False
    skip: int = 0
    stored: int | None = None


def regular_file_bytes(path: Path) -> int:
    """Size of a regular file. Raises FileProblem for anything else, such as a pipe, which could block for ever."""
    try:
        state = os.stat(path)
    except (OSError, ValueError) as error:
        raise FileProblem(f'there is no file "{path.name}" that can be read beside it') from error
    if not stat.S_ISREG(state.st_mode):
        raise FileProblem(f'"{path.name}" is not a regular file')
    return state.st_size


def data_file_beside(header: Path, name: str) -> Path:
    """The file that a header names. Raises FileProblem where it lies outside of the header's folder."""
    refused = FileProblem("its voxels are said to lie in a file outside of its folder")
    relative = Path(name)
    if not name or "\0" in name or "\\" in name or relative.is_absolute() or ".." in relative.parts:
        raise refused
    path = header.parent / relative
    regular_file_bytes(path)
    # A store of blobs has links for both; then they lie beside one another there.
    homes = {header.parent.resolve(), header.resolve().parent}
    if not any(path.resolve().is_relative_to(home) for home in homes):
        raise refused
    return path


def check_size(data: VoxelData) -> None:
    """Raises FileProblem where the file is too small to hold the voxels; costs nothing."""
    there = regular_file_bytes(data.file) - data.start
    if data.is_compressed:
        there *= _MOST_A_BYTE_INFLATES_TO
    if there < data.skip + data.length:
        raise FileProblem(f"it ends before its voxels do: {data.length} bytes are needed")


def voxel_chunks(data: VoxelData, to_end: bool = True) -> Iterator[bytes]:
    """The voxels' bytes in pieces; a compressed stream is read `to_end`, so that its checksum is compared.

    Raises FileProblem where voxels are missing, the compression is damaged, or much more follows than the header says.
    """
    check_size(data)
    come, end = 0, data.skip + data.length
    with open(data.file, "rb") as stream:
        stream.seek(data.start)
        for piece in _inflated(_limited(stream, data.stored), end) if data.is_compressed else _plain(stream, end):
            if wanted := piece[max(0, data.skip - come) : max(0, end - come)]:
                yield wanted
            come += len(piece)
            if come >= end and not to_end:
                return
            if come > end + LARGEST_EXCESS_BYTES:
                raise FileProblem("it holds more than its header says")
    if come < end:
        raise FileProblem(f"it ends {end - come} bytes before its voxels do")


def check_complete(data: VoxelData) -> None:
    """Raises FileProblem where not every voxel is there."""
    check_size(data)
    if data.is_compressed:
        for _ in voxel_chunks(data):
            pass


def _limited(stream: BinaryIO, most: int | None) -> Callable[[int], bytes]:
    """A function that reads on from `stream`, at most `most` bytes in all."""
    left = sys.maxsize if most is None else most

    def read(count: int) -> bytes:
        nonlocal left
        piece = stream.read(min(count, left))
        left -= len(piece)
        return piece

    return read


def _plain(stream: BinaryIO, wanted: int) -> Iterator[bytes]:
    while wanted and (piece := stream.read(min(wanted, CHUNK_BYTES))):
        wanted -= len(piece)
        yield piece


def _inflated(read: Callable[[int], bytes], wanted: int) -> Iterator[bytes]:
    """The content of one or several gzip or zlib streams, until `wanted` bytes have come and that stream has ended."""
    come, fresh = 0, b""
    while come < wanted:
        inflater = zlib.decompressobj(wbits=47)  # gzip and zlib alike, told by the header
        if not (fresh := fresh or read(CHUNK_BYTES)):
            return
        while not inflater.eof:
            try:
                piece = inflater.decompress(fresh, CHUNK_BYTES)
            except zlib.error as error:
                raise FileProblem("its compression is damaged") from error
            fresh = inflater.unconsumed_tail
            come += len(piece)
            if piece:
                yield piece
            elif not fresh and not inflater.eof and not (fresh := read(CHUNK_BYTES)):
                raise FileProblem("its compressed data are cut short")
        fresh = inflater.unused_data

"""Reading the text headers of MetaImage and NRRD strictly: what ITK's parsers may stumble over is refused."""

from __future__ import annotations

import math
import re

from .voxel_data import FileProblem

MOST_DIMENSIONS = 4
LARGEST_AXIS = 2**31 - 1

_INTEGER = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")


def header_lines(text: bytes, longest_line: int) -> list[str]:
    """The lines of a header. Raises FileProblem for characters that no header has and for lines that are too long."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = text.decode("latin-1").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    for line in lines:
        if len(line) > longest_line:
            raise FileProblem("a line of its header is too long")
        if any(ord(letter) < 32 and letter != "\t" or ord(letter) == 127 for letter in line):
            raise FileProblem("its header holds characters that are no text")
    return lines


def whole_number(text: str, what: str, lowest: int = 0, highest: int = LARGEST_AXIS) -> int:
    """One integer between two limits. Raises FileProblem."""
    if not _INTEGER.fullmatch(text.strip()) or not lowest <= int(text) <= highest:
        raise FileProblem(f"{what} is not a number from {lowest} to {highest}")
    return int(text)


def whole_numbers(text: str, count: int, what: str) -> tuple[int, ...]:
    """Exactly `count` sizes of axes, each at least 1. Raises FileProblem."""
    words = text.split()
    if len(words) != count:
        raise FileProblem(f"{what} has {len(words)} numbers where {count} belong")
    return tuple(whole_number(word, what, 1) for word in words)


def check_numbers(text: str, count: int, what: str) -> None:
    """Raises FileProblem unless there are exactly `count` finite numbers."""
    words = text.split()
    if len(words) != count:
        raise FileProblem(f"{what} has {len(words)} numbers where {count} belong")
    if not all(_NUMBER.fullmatch(word) and math.isfinite(float(word)) for word in words):
        raise FileProblem(f"{what} holds what is no number")

"""Values of a DICOM header, checked for type, number and range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

_LONGEST_TEXT = 256


class WrongValue(ValueError):
    """A header value that cannot be used; its text goes on from "is damaged: "."""


class Fields:
    """The values of one frame: its own functional groups, those of all frames, and the data set's."""

    def __init__(self, dataset: Dataset, *groups: Dataset) -> None:
        self._dataset, self._groups = dataset, groups

    def __contains__(self, sequence: str) -> bool:
        return any(sequence in group for group in self._groups)

    def value(self, keyword: str, sequence: str | None = None):
        """The value as pydicom gives it, or None; `sequence` may name one within another ("A/B").

        Raises WrongValue where it cannot be read.
        """
        try:
            for group in self._groups if sequence else ():
                for name in sequence.split("/"):
                    group = (group.get(name) or [{}])[0]
                if (value := group.get(keyword)) is not None:
                    return value
            return self._dataset.get(keyword)
        except Exception as error:  # pydicom converts values when they are asked for, with errors of every kind
            raise WrongValue(f"its {keyword} cannot be read") from error

    def text(self, keyword: str, sequence: str | None = None) -> str:
        """The value as text, several ones with backslashes between; empty where there is none or it is none."""
        try:
            value = self.value(keyword, sequence)
        except WrongValue:
            return ""
        if value is None or isinstance(value, bytes):
            return ""
        parts = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
        text = "\\".join(str(part) for part in parts).encode("utf-8", "replace").decode("utf-8")
        return "".join(letter for letter in text if letter.isprintable()).strip()[:_LONGEST_TEXT]

    def numbers(self, keyword: str, count: int, sequence: str | None = None) -> tuple[float, ...] | None:
        """So many finite numbers, or None where there is no value. Raises WrongValue for anything else."""
        value = self.value(keyword, sequence)
        if value is None or value == "" or value == []:
            return None
        parts = [value] if count == 1 else value
        try:
            found = tuple(float(part) for part in parts)
        except (TypeError, ValueError) as error:
            raise WrongValue(f"its {keyword} is no number") from error
        if len(found) != count or not all(map(math.isfinite, found)):
            raise WrongValue(f"its {keyword} is not {count} finite numbers")
        return found

    def number(self, keyword: str, sequence: str | None = None) -> float | None:
        """One finite number, or None where there is no value. Raises WrongValue for anything else."""
        found = self.numbers(keyword, 1, sequence)
        return None if found is None else found[0]

    def optional(self, keyword: str, sequence: str | None = None) -> float | None:
        """One finite number, or None where there is none."""
        try:
            return self.number(keyword, sequence)
        except WrongValue:
            return None

    def whole(self, keyword: str, lowest: int, highest: int) -> int:
        """A whole number in this range. Raises WrongValue for anything else, a missing one included."""
        number = self.number(keyword)
        if number is None:
            raise WrongValue(f"it has no {keyword}")
        if number != int(number) or not lowest <= number <= highest:
            raise WrongValue(f"its {keyword} is {number:g}")
        return int(number)

    def private(self, group: int, creator: str, element: int) -> str:
        """A private value as text; empty where there is none."""
        try:
            value = self._dataset.private_block(group, creator)[element].value
        except Exception:  # absent (KeyError), or of no form that pydicom reads
            return ""
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        parts = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
        return "\\".join(str(part).strip(" \0") for part in parts)

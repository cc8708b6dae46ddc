"""A scan to be restored: the checked volume in a file or folder, with all that its source states of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import UserError
from .dicom_file import is_dicom
from .dicom_input import SLICE_AXIS, DicomVolume, read_dicom
from .volume import Volume, check_volume
from .volume_io import read_volume


def read_scan(
    path: Path, warn: Callable[[str], None] = lambda sentence: None, series: str | None = None
) -> tuple[Volume, list[str]]:
    """The volume in a file or folder, and the warnings that belong into a report of what is done with it.

    `series` names the DICOM series or part of one to take. `warn` is told each warning at once. Raises UserError where
    there is no volume or it cannot be restored.
    """
    warnings: list[str] = []

    def note(sentence: str) -> None:
        warnings.append(sentence)
        warn(sentence)

    if path.exists() and (path.is_dir() or is_dicom(path)):
        return checked(read_dicom(path, note, series)), warnings
    if series is not None:
        raise UserError(f'"{path}" is no DICOM, so it has no series: leave --series out.')
    return check_volume(read_volume(path, note)), warnings


def checked(volume: DicomVolume) -> Volume:
    """The checked volume of what was read from DICOM."""
    return check_volume(volume.image, volume.padding, SLICE_AXIS)

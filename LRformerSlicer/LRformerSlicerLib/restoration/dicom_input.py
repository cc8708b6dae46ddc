"""DICOM series in a folder: which there are, and reading one of them as a volume."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from ..errors import UserError
from .native_output import silent_native_libraries
from .volume import MODALITY_TAG

_SERIES_NUMBER, _SERIES_DESCRIPTION, _IMAGE_TYPE = "0020|0011", "0008|103e", "0008|0008"


@dataclass(frozen=True)
class DicomSeries:
    """The files of one series in the order of their slices, and what its first file says of it."""

    files: tuple[Path, ...]
    modality: str = ""
    number: str = ""
    description: str = ""
    is_localizer: bool = False

    @property
    def label(self) -> str:
        """Number and description in letters that every file system takes, such as "3-Thorax-1.0"."""
        text = "-".join(part for part in (self.number, self.description) if part) or "series"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "series"


def find_series(folder: Path) -> list[DicomSeries]:
    """The DICOM series among the files that lie in `folder` itself, without what their headers say."""
    with silent_native_libraries():
        names = [
            sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), identifier)
            for identifier in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        ]
    return [DicomSeries(tuple(Path(name) for name in files)) for files in names if files]


def with_header(series: DicomSeries) -> DicomSeries:
    """The series with modality, number and description from its first file; without them where it has no image."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(series.files[0]))
    try:
        with silent_native_libraries():
            reader.ReadImageInformation()
    except RuntimeError:
        return series

    def value(tag: str) -> str:
        # Text in another character set comes with bytes that are no UTF-8.
        text = reader.GetMetaData(tag) if reader.HasMetaDataKey(tag) else ""
        return text.encode("utf-8", "replace").decode("utf-8", "replace").strip()

    return DicomSeries(
        series.files,
        value(MODALITY_TAG),
        value(_SERIES_NUMBER),
        value(_SERIES_DESCRIPTION),
        "LOCALIZER" in value(_IMAGE_TYPE).split("\\"),
    )


def read_dicom_folder(folder: Path, warn: Callable[[str], None]) -> sitk.Image:
    """The largest series in a folder; `warn` is told where there are several. Raises UserError where there is none."""
    found = find_series(folder)
    if not found:
        raise UserError(f'The folder "{folder}" holds no DICOM series: choose a folder of DICOM files.')
    series = max(found, key=lambda one: len(one.files))
    if len(found) > 1:
        warn(
            f'The folder "{folder}" holds {len(found)} DICOM series: the largest, {len(series.files)} files beginning '
            f'with "{series.files[0].name}", is taken; put another one into a folder of its own to choose it.'
        )
    return read_series(series.files)


def read_series(files: tuple[Path, ...]) -> sitk.Image:
    """The volume in the files of one series, with its modality in the metadata entry 0008|0060.

    Raises UserError where they cannot be read.
    """
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in files])
    reader.MetaDataDictionaryArrayUpdateOn()
    try:
        with silent_native_libraries():
            image = reader.Execute()
    except RuntimeError as error:
        folder = files[0].parent
        raise UserError(f'The DICOM series in "{folder}" cannot be read: it is incomplete or damaged.') from error
    if reader.HasMetaDataKey(0, MODALITY_TAG):
        image.SetMetaData(MODALITY_TAG, reader.GetMetaData(0, MODALITY_TAG).strip())
    return image

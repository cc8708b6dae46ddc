"""Volumes from disk: checked before ITK reads them, so that no voxel is made up."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from ..errors import UserError, is_out_of_memory
from .dicom_file import is_dicom
from .dicom_input import read_dicom
from .native_output import silent_native_libraries
from .nifti_image import POSITION_KEY, read_nifti
from .output_files import OutputFiles, check_folder, write_all, write_volume
from .output_plan import check_outputs, small_like
from .volume import check_spacing
from .volume_files.check import check_volume_file, not_enough_memory, refused_by_name, suffix_of
from .volume_files.plain_names import plainly_named
from .volume_files.voxel_data import FileProblem

__all__ = [
    "OutputFiles",
    "check_folder",
    "check_outputs",
    "read_checked",
    "read_volume",
    "small_like",
    "write_all",
    "write_volume",
]


def read_volume(path: Path | str, warn: Callable[[str], None] = lambda sentence: None) -> sitk.Image:
    """The image in a file, or the largest DICOM series in a folder, in SimpleITK's geometry.

    DICOM keeps its modality in the metadata entry 0008|0060. `warn` is told what else is in a folder, and what of DICOM
    is left out or odd. Raises UserError where there is no such file, it is no image, or it is damaged.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise UserError(f'There is no file "{path}": check the path.')
    if not os.access(path, os.R_OK):
        raise UserError(f'"{path}" cannot be read: check its permissions.')
    if path.is_dir() or is_dicom(path):
        return read_dicom(path, warn).image
    if sentence := refused_by_name(path):
        raise UserError(sentence)
    return read_checked(path, warn)


def read_checked(path: Path, warn: Callable[[str], None] = lambda sentence: None) -> sitk.Image:
    """The image in a volume file, all of whose voxels are there. Raises UserError."""
    try:
        if not suffix_of(path.name):
            raise FileProblem("its name ends as that of no volume, and it is no DICOM")
        checked, doubt = check_volume_file(path), ""
        with plainly_named(path, checked) as plain:
            if checked.image_io == "NiftiImageIO":
                image, doubt = read_nifti(plain)
            else:
                image = _read(plain, checked.image_io)
                image.EraseMetaData(POSITION_KEY)  # it is read_nifti's own, and nobody else's to state
        _check_image(image, checked.data.length)
        if doubt:
            warn(doubt)
        return image
    except (RuntimeError, OSError, MemoryError, ValueError, ArithmeticError, LookupError, FileProblem) as error:
        if is_out_of_memory(error):
            raise UserError(not_enough_memory(path)) from error
        reason = f" ({error})" if isinstance(error, FileProblem) else ""
        raise UserError(
            f'"{path}" is not an image that can be read, or it is damaged{reason}: choose a NIfTI, NRRD, MetaImage or '
            "DICOM file, or a folder with a DICOM series."
        ) from error


def _read(path: Path, image_io: str) -> sitk.Image:
    # The reader that fits the check: ITK would choose one by the content, and read another format than was checked.
    with silent_native_libraries():
        return sitk.ReadImage(str(path), imageIO=image_io)


def _check_image(image: sitk.Image, checked_bytes: int) -> None:
    """Raises FileProblem where ITK has understood the file otherwise than the check, or places its voxels nowhere."""
    count = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel()
    if checked_bytes % count or checked_bytes // count not in (1, 2, 3, 4, 8, 16):
        raise FileProblem("its header can be understood in two ways")
    numbers = (*image.GetSpacing(), *image.GetOrigin(), *image.GetDirection())
    if not all(math.isfinite(number) for number in numbers):
        raise FileProblem("its header gives no place to the voxels")
    check_spacing(image)

"""Which volume files are read, and the check of each before ITK sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from ...errors import UserError
from .meta_image import meta_image_data
from .nifti import nifti_data, pair_of
from .nrrd import nrrd_data
from .voxel_data import FileProblem, VoxelData, check_complete, check_size, regular_file_bytes

_META, _NRRD = (".mha", ".mhd"), (".nrrd", ".nhdr")
NIFTI_SUFFIXES = (".nii.gz", ".nii", ".hdr.gz", ".img.gz", ".hdr", ".img")
VOLUME_SUFFIXES = (*NIFTI_SUFFIXES, *_NRRD, *_META)
"""Files that are volumes by their name, in small letters; a longer suffix comes before the one that ends it."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar", ".gz", ".bz2", ".xz")
_UNCHECKED = (
    *(".gipl", ".gipl.gz", ".vtk", ".vti", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".bmp", ".mnc"),
    *(".mnc.gz", ".h5", ".hdf5", ".hdf", ".lsm", ".mrc", ".rec", ".pic", ".spr", ".mgh", ".mgz", ".nia", ".nrrd.gz"),
)
"""Formats that ITK knows, or that scans come in, and that nothing here checks."""


@dataclass(frozen=True)
class CheckedFile:
    """A volume file whose header is sound: ITK's reader for it, the files it is made of, and where its voxels are."""

    image_io: str
    files: tuple[Path, ...]
    data: VoxelData


def suffix_of(name: str) -> str:
    """The suffix by which a file is a volume, as it is written; empty where it is none."""
    suffix = next((one for one in VOLUME_SUFFIXES if name.lower().endswith(one)), "")
    return name[-len(suffix) :] if suffix and len(name) > len(suffix) else ""


def check_header(path: Path) -> CheckedFile:
    """The header of a volume file, held against the size of its files; nothing large is read.

    Raises FileProblem for damaged, hostile and incomplete files and UserError for voxels that no memory here holds.
    """
    suffix = suffix_of(path.name).lower()
    regular_file_bytes(path)
    try:
        if suffix in _META:
            image_io, data = "MetaImageIO", meta_image_data(path)
        elif suffix in _NRRD:
            image_io, data = "NrrdImageIO", nrrd_data(path)
        elif suffix in NIFTI_SUFFIXES:
            image_io, data = "NiftiImageIO", nifti_data(path)
        else:
            raise FileProblem("it is none of these by its name")
        check_size(data)
    except OSError as error:
        raise FileProblem(f"it cannot be read: {error.strerror}") from error
    if data.length > psutil.virtual_memory().available:
        raise UserError(not_enough_memory(path))
    pair = pair_of(path) if image_io == "NiftiImageIO" else None
    return CheckedFile(image_io, pair or tuple(dict.fromkeys((path, data.file))), data)


def check_volume_file(path: Path) -> CheckedFile:
    """As `check_header`, and every voxel is there: compressed data are decompressed to their end."""
    checked = check_header(path)
    try:
        check_complete(checked.data)
    except OSError as error:
        raise FileProblem(f"it cannot be read: {error.strerror}") from error
    return checked


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that a volume file is made of, itself among them; of a damaged one itself alone."""
    try:
        return check_header(path).files
    except (FileProblem, UserError):
        return (path,)


def not_enough_memory(path: Path) -> str:
    """The sentence for a volume that memory does not hold."""
    return f'"{path}" does not fit into memory: close other programs or crop the volume.'


def refused_by_name(path: Path) -> str:
    """The sentence for a file that is not read for what its name says it is; empty where the name says nothing."""
    name = path.name.lower()
    advice = "NIfTI, NRRD, MetaImage or DICOM"
    if suffix_of(name):
        return ""
    if name.endswith(_UNCHECKED):
        return f'"{path}" is of a kind that is not read, for nothing tells whether it is complete: save it as {advice}.'
    if name.endswith(_ARCHIVES):
        return f'"{path}" is an archive: unpack it, then give the folder or the file that was in it.'
    return ""

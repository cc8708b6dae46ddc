"""Volumes from disk and back, so that a failure leaves nothing half-written behind."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import SimpleITK as sitk

from ..errors import UserError
from .dicom_input import read_dicom_folder
from .native_output import silent_native_libraries
from .nifti_voxels import SUFFIXES, DamagedNiftiError, non_finite_voxels

TEMPORARY_PREFIX = ".lrformer-"


def read_volume(path: Path | str, warn: Callable[[str], None] = lambda sentence: None) -> sitk.Image:
    """The image in a file, or the largest DICOM series in a folder, in SimpleITK's geometry.

    DICOM keeps its modality in the metadata entry 0008|0060. `warn` is told where a folder holds several series.
    Raises UserError where there is no such file or it is no image.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f'There is no file "{path}": check the path.')
    if path.is_dir():
        return read_dicom_folder(path, warn)
    if not os.access(path, os.R_OK):
        raise UserError(f'"{path}" cannot be read: check its permissions.')
    try:
        with silent_native_libraries():
            image = sitk.ReadImage(str(path))
        return _with_non_finite(image, path) if path.name.lower().endswith(SUFFIXES) else image
    except (RuntimeError, DamagedNiftiError) as error:
        if _is_out_of_memory(error):
            raise UserError(f'"{path}" does not fit into memory: close other programs or crop the volume.') from error
        raise UserError(
            f'"{path}" is not an image that can be read, or it is damaged: choose a NIfTI, NRRD, MetaImage or '
            "DICOM file, or a folder with a DICOM series."
        ) from error


def _with_non_finite(image: sitk.Image, path: Path) -> sitk.Image:
    """The image of a NIfTI file with the NaN and infinite voxels that ITK reads as zeros."""
    places, values = non_finite_voxels(path)
    if not places.size or image.GetNumberOfComponentsPerPixel() > 1:
        return image
    array = sitk.GetArrayViewFromImage(image)
    array = array.copy()
    array.reshape(-1)[places] = values
    repaired = sitk.GetImageFromArray(array)
    repaired.CopyInformation(image)
    return repaired


def write_volume(image: sitk.Image, path: Path | str) -> None:
    """Write one image atomically; see `write_all`."""
    write_all({path: image})


def write_all(images: Mapping[Path | str, sitk.Image], texts: Mapping[Path | str, str] | None = None) -> None:
    """Write several images and text files, all of them or none; existing files are replaced at the very end.

    Everything is first written beside its destination in a hidden temporary folder, checked for completeness
    (ITK's NIfTI writer does not notice a full disk) and only then moved into place.
    Raises UserError on a missing or read-only folder, an unknown file type or a full disk.
    """
    with OutputFiles() as outputs:
        for path, image in images.items():
            outputs.add_image(image, path)
        for path, text in (texts or {}).items():
            outputs.add_text(text, path)
        outputs.commit()


class OutputFiles:
    """Files that appear together at `commit` or not at all.

    Use as a context manager; images are added one after another so that only one need be in memory::

        with OutputFiles() as outputs:
            outputs.add_image(result.restored, "restored.nii.gz")
            outputs.add_text(report, "report.json")
            outputs.commit()
    """

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._moves: list[tuple[Path, Path]] = []

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def add_image(self, image: sitk.Image, path: Path | str) -> None:
        """Write an image beside `path`, to be moved there by `commit`."""
        path = Path(path)
        staging = self._staging_folder(path)
        try:
            with silent_native_libraries():
                # Compressed where the format can, as NIfTI .nii.gz is by its name; NRRD and MetaImage stay plain
                # so that they are written fast.
                sitk.WriteImage(image, str(staging / path.name))
            _check_complete(staging / path.name)
        except (RuntimeError, OSError) as error:
            raise _write_error(path, image, error) from error
        self._moves += [(written, path.parent / written.name) for written in sorted(staging.iterdir())]

    def add_text(self, text: str, path: Path | str) -> None:
        """Write UTF-8 text beside `path`, to be moved there by `commit`."""
        path = Path(path)
        staging = self._staging_folder(path)
        try:
            (staging / path.name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise _write_error(path, None, error) from error
        self._moves.append((staging / path.name, path))

    def add_folder(self, folder: Path, make: Callable[[Path], None]) -> None:
        """Have `make` fill an empty folder with files, to be moved into `folder` (made where missing) by `commit`."""
        staging = self._staging_folder(folder)
        try:
            make(staging)
        except OSError as error:
            raise _write_error(folder, None, error) from error
        self._moves += [(written, folder / written.name) for written in sorted(staging.iterdir())]

    def commit(self) -> list[Path]:
        """Move everything into place; returns the files that are there now."""
        moves, self._moves = self._moves, []
        for written, destination in moves:
            try:
                destination.parent.mkdir(exist_ok=True)
                os.replace(written, destination)
            except OSError as error:
                raise _write_error(destination, None, error) from error
        return [destination for _, destination in moves]

    def _staging_folder(self, path: Path) -> Path:
        check_folder(path)
        try:
            folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
        except OSError as error:
            raise _write_error(path, None, error) from error
        self._folders.append(folder)
        return folder


def check_outputs(
    inputs: list[Path], images: list[tuple[Path, sitk.Image]], texts: list[Path], image_bytes: int = 0
) -> None:
    """Refuse destinations that cannot work, before any work is done.

    `images` pairs each destination with a small image of the pixel type and dimension that will go there; it is
    really written to a temporary folder and read back. `image_bytes` is what the first one will take
    uncompressed, held against the free space where its format does not compress.
    Raises UserError: an output equal to an input or another output, a folder missing, read-only or full, a
    format that cannot hold the image, a folder in the place of a file.
    """
    taken: dict[Path, str] = {path.resolve(): "an input" for path in inputs}
    for path, small in [*images, *((path, None) for path in texts)]:
        clash = taken.get(path.resolve())
        if clash is None and path.exists() and any(one.exists() and os.path.samefile(path, one) for one in inputs):
            clash = "an input"
        if clash is not None:
            raise UserError(f'The output "{path}" is also {clash}: choose another name.')
        taken[path.resolve()] = "another output"
        if path.is_dir():
            raise UserError(f'The output "{path}" is a folder: give the name of a file.')
        check_folder(path)
        with _writable_folder(path) as folder:
            if small is not None:
                _try_format(small, folder / path.name)
    if images and not images[0][0].name.lower().endswith(".gz"):
        path = images[0][0]
        if shutil.disk_usage(path.parent).free < image_bytes:
            raise UserError(_disk_full_sentence(path, image_bytes))


def small_like(image: sitk.Image, pixel_type: int | None = None) -> sitk.Image:
    """A few voxels of the dimension of `image` and of its or the given pixel type, for `check_outputs`."""
    return sitk.Image([2] * image.GetDimension(), image.GetPixelID() if pixel_type is None else pixel_type)


def _try_format(small: sitk.Image, path: Path) -> None:
    """Write and read back a few voxels: formats refuse types (DICOM: float) and lose slices (PNG) each in their way."""
    try:
        with silent_native_libraries():
            sitk.WriteImage(small, str(path))
            back = sitk.ReadImage(str(path))
        kept = back.GetSize() == small.GetSize() and back.GetPixelID() == small.GetPixelID()
    except RuntimeError:
        kept = False
    if not kept:
        kind = f"a {small.GetDimension()}-D image of {small.GetPixelIDTypeAsString()}"
        raise UserError(f'The file type of "{path.name}" cannot hold {kind}: choose .nii.gz, .nrrd or .mha.')


@contextlib.contextmanager
def _writable_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; asking for one is the only sure test of the right to write there."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
    except OSError as error:
        raise _write_error(path, None, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_folder(path: Path) -> None:
    """UserError where the folder of `path` does not exist."""
    if not path.parent.is_dir():
        raise UserError(f'There is no folder "{path.parent}" to write into: make it first or choose another.')


def _check_complete(path: Path) -> None:
    """OSError(ENOSPC) where a NIfTI file is shorter than its voxels; the other writers notice by themselves."""
    if path.name.lower().endswith(SUFFIXES):
        try:
            non_finite_voxels(path)
        except DamagedNiftiError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _write_error(path: Path, image: sitk.Image | None, error: Exception) -> UserError:
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or _disk_is_full(path, image, error):
        size = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() if image is not None else 0
        return UserError(_disk_full_sentence(path, size))
    if code in (errno.EACCES, errno.EPERM, errno.EROFS) or code is not None:
        return UserError(f'The folder "{path.parent}" cannot be written to: choose another or change its permissions.')
    reason = str(error).strip().splitlines()[-1].split("ERROR:")[-1].strip()
    return UserError(f'"{path}" cannot be written ({reason}): choose another file type, such as .nii.gz.')


def _disk_is_full(path: Path, image: sitk.Image | None, error: Exception) -> bool:
    if image is None or isinstance(error, OSError):
        return False
    if any(sign in str(error) for sign in ("No space left", "File too large", "wrote only", "out of disk space")):
        return True
    needed = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    return shutil.disk_usage(path.parent).free < needed


def _disk_full_sentence(path: Path, size_bytes: int) -> str:
    needed = f" (up to {max(1, round(size_bytes / 2**20))} MiB needed)" if size_bytes else ""
    return f'The disk of "{path.parent}" is full{needed}: free some space or choose another folder.'


def _is_out_of_memory(error: Exception) -> bool:
    return "allocate" in str(error).lower() and "memory" in str(error).lower()

"""NIfTI images to SimpleITK's and back with nibabel, which keeps what ITK drops.

ITK keeps one of the two positions that a NIfTI file may state, refuses one that is sheared, and reads NaN as zero.
A file states its position by a matrix (sform) and by a quaternion (qform), each with a code that says which space it
leads to. Programs differ in which they believe: a result has both of its input's, moved alike where its grid differs.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .label_map import LABEL_KEY
from .slicing import SLICE_AXIS_KEY
from .volume_files.voxel_data import FileProblem

POSITION_KEY = "NIfTI position"
"""Metadata entry of an image that was read from NIfTI: JSON of the header fields that place it."""
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""By NIfTI's code of the unit of space: unknown, metre, mm, micrometre."""
LABEL_INTENT = 1002
"""NIFTI_INTENT_LABEL."""
FARTHEST_APART_MM = 0.1
_FIELDS = (
    *("dim_info", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z"),
)
_ROWS = ("srow_x", "srow_y", "srow_z")


def read_nifti(path: Path) -> tuple[sitk.Image, str]:
    """The image in a NIfTI or Analyze file, and a sentence where its two positions differ, else "".

    The position is the sform's where there is one, else the qform's, as nibabel, SPM and FSL have it; a sheared one
    becomes a direction matrix that is not orthogonal. Raises FileProblem.
    """
    import nibabel
    from nibabel.spatialimages import HeaderDataError, ImageDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        with _quiet():
            source = nibabel.load(path)
            array = _voxels(source)
            affine = np.asarray(source.affine, dtype=np.float64)
    except (HeaderDataError, ImageDataError, WrapStructError, nibabel.filebasedimages.ImageFileError) as error:
        raise FileProblem(f"nibabel cannot read it: {error}") from error
    except (ValueError, KeyError, EOFError, IndexError, TypeError) as error:
        raise FileProblem(f"its header contradicts itself: {error}") from error
    return _placed(array, affine, source.header)


def write_nifti(image: sitk.Image, path: Path) -> None:
    """Write an image with the position it was read with, or by its own geometry with both forms alike.

    `path` ends in .nii, .nii.gz, .hdr, .img or their .gz. Raises OSError, and ValueError for voxel types that NIfTI
    lacks.
    """
    import nibabel

    position = json.loads(image.GetMetaData(POSITION_KEY)) if image.HasMetaDataKey(POSITION_KEY) else None
    is_single = path.name.lower().endswith((".nii", ".nii.gz"))
    is_second = bool(position and position["is_second"]) or max(image.GetSize()) > np.iinfo(np.int16).max
    if is_second:
        kind = nibabel.Nifti2Image if is_single else nibabel.Nifti2Pair
    else:
        kind = nibabel.Nifti1Image if is_single else nibabel.Nifti1Pair
    array = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        array = np.moveaxis(array, -1, 0)[:, None] if image.GetDimension() == 3 else array
    made = kind(array.T, None, dtype=array.dtype)
    header = made.header
    if position is None:
        affine = _affine_of(image)
        header.set_zooms([*image.GetSpacing(), *[1.0] * (array.ndim - image.GetDimension())][: array.ndim])
        header.set_qform(affine, 1, strip_shears=True)
        header.set_sform(affine, 1)
        header.set_xyzt_units("mm")
    else:
        for name, value in position["fields"].items():
            header[name] = value
        pixdim = header["pixdim"].copy()
        pixdim[:4] = position["pixdim"]
        header["pixdim"] = pixdim
    made.to_filename(path)


def moved_position(image: sitk.Image, scale: list[float], first: list[float]) -> str | None:
    """The position of another grid on the same image: None where the image was not read from NIfTI.

    scale: the other grid's steps in those of the image, by axis; first: where its first voxel lies, in voxels of it.
    """
    if not image.HasMetaDataKey(POSITION_KEY):
        return None
    position = json.loads(image.GetMetaData(POSITION_KEY))
    fields, pixdim = position["fields"], position["pixdim"]
    scale, first = np.array(scale, dtype=np.float64), np.array(first, dtype=np.float64)
    for row in _ROWS:
        if row in fields:
            values = np.array(fields[row], dtype=np.float64)
            fields[row] = [*(values[:3] * scale).tolist(), float(values[3] + values[:3] @ first)]
    if "quatern_b" in fields:
        from nibabel.quaternions import fillpositive, quat2mat

        quaternion = [fields[f"quatern_{letter}"] for letter in "bcd"]
        # niftilib and nibabel alike: a rotation by half a turn rounds to a length slightly above one.
        turn = quat2mat(fillpositive(quaternion, w2_thresh=-1e-4))
        handed = -1.0 if pixdim[0] < 0 else 1.0
        steps = turn @ np.diag([pixdim[1], pixdim[2], handed * pixdim[3]])
        for axis, letter in enumerate("xyz"):
            fields[f"qoffset_{letter}"] += float((steps @ first)[axis])
    position["pixdim"] = [pixdim[0], *(np.array(pixdim[1:]) * scale).tolist()]
    return json.dumps(position)


def _voxels(source) -> np.ndarray:
    """Voxels as (i, j, k), with components last for colours and vectors, of a type and byte order of this machine."""
    data = source.dataobj
    kind = data.dtype if hasattr(data, "dtype") else None
    is_scaled = kind is not None and (data.slope, data.inter) != (1.0, 0.0)
    if is_scaled and kind.kind in "iu" and kind.itemsize <= 2:
        array = np.asarray(data, dtype=np.float32)
    else:
        array = np.asanyarray(data)
    if array.dtype.names:  # red, green, blue
        array = np.stack([array[name] for name in array.dtype.names], axis=-1)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _placed(array: np.ndarray, affine: np.ndarray, header) -> tuple[sitk.Image, str]:
    is_colour = "dim" in header and array.ndim > int(header["dim"][0])
    while array.ndim > 3 and not is_colour and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 5 and array.shape[3] == 1:  # a vector a voxel
        array, is_colour = array[:, :, :, 0], True
    if array.ndim > (5 if is_colour else 4) or array.ndim < 2:
        raise FileProblem(f"it has {array.ndim} dimensions")
    dimensions = array.ndim - is_colour
    ordered = np.transpose(array, (*range(dimensions)[::-1], *([dimensions] if is_colour else [])))
    image = sitk.GetImageFromArray(np.ascontiguousarray(ordered), isVector=is_colour)
    unit = MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0) if "xyzt_units" in header else 1.0
    matrix = LPS_FROM_RAS @ affine[:3, :3] * unit
    spacing = np.linalg.norm(matrix, axis=0)
    if not np.isfinite(affine).all() or not (spacing > 0).all() or abs(np.linalg.det(matrix / spacing)) < 1e-3:
        raise FileProblem("its header gives no place to the voxels")
    _place(image, spacing, matrix / spacing, LPS_FROM_RAS @ affine[:3, 3] * unit)
    if "qform_code" not in header:  # Analyze
        return image, ""
    fields = {name: header[name].item() for name in _FIELDS} | {name: header[name].tolist() for name in _ROWS}
    fields["xyzt_units"] = int(header["xyzt_units"])
    position = {
        "is_second": int(header["sizeof_hdr"]) == 540,
        "fields": fields,
        "pixdim": [float(step) for step in header["pixdim"][:4]],
    }
    image.SetMetaData(POSITION_KEY, json.dumps(position))
    across = header.get_dim_info()[2]
    if across is not None and image.GetDimension() == 3:
        image.SetMetaData(SLICE_AXIS_KEY, str(across))
    if int(header["intent_code"]) == LABEL_INTENT:
        image.SetMetaData(LABEL_KEY, "by its intent code")
    return image, _disagreement(header, array.shape[:3], unit)


def _place(image: sitk.Image, spacing: np.ndarray, direction: np.ndarray, origin: np.ndarray) -> None:
    count = image.GetDimension()
    if count == 2:
        image.SetSpacing(spacing[:2].tolist())
        image.SetOrigin(origin[:2].tolist())
        if abs(np.linalg.det(direction[:2, :2])) > 1e-3:
            image.SetDirection(direction[:2, :2].ravel().tolist())
        return
    whole = np.eye(count)
    whole[:3, :3] = direction
    image.SetSpacing([*spacing.tolist(), *[1.0] * (count - 3)])
    image.SetOrigin([*origin.tolist(), *[0.0] * (count - 3)])
    image.SetDirection(whole.ravel().tolist())


def _affine_of(image: sitk.Image) -> np.ndarray:
    count = min(image.GetDimension(), 3)
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(image.GetDimension(), -1)[:count, :count]
    affine[:count, :count] = direction * np.array(image.GetSpacing()[:count])
    affine[:count, 3] = image.GetOrigin()[:count]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _disagreement(header, shape: tuple[int, ...], unit: float) -> str:
    from nibabel.spatialimages import HeaderDataError

    try:
        with _quiet():
            sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    except HeaderDataError:
        return ""
    if sform is None or qform is None:
        return ""
    size = [*shape, 1, 1][:3]
    corners = np.array([[(size[axis] - 1) * (bit >> axis & 1) for axis in range(3)] + [1] for bit in range(8)]).T
    apart = unit * float(np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max())
    if apart <= FARTHEST_APART_MM:
        return ""
    return (
        f"The NIfTI header has two positions (sform, qform) up to {apart:.3g} mm apart: the result keeps both; ROI and "
        "reference are placed by the sform, as in nibabel, SPM and FSL."
    )


class _quiet:
    """nibabel writes to its log what is odd in a header; whatever matters is told as a sentence."""

    def __enter__(self) -> None:
        self._log = logging.getLogger("nibabel.global")
        self._was = self._log.disabled
        self._log.disabled = True

    def __exit__(self, *_: object) -> None:
        self._log.disabled = self._was

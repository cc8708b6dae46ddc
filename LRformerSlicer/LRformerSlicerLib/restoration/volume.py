"""The checked input of a job: a scalar 3-D volume, its slices and what is known of its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from .label_map import check_no_label_map
from .nifti_image import POSITION_KEY
from .slicing import SLICE_AXIS_KEY, SlicePlane

SMALLEST_SLICE_PIXELS = 16
SMALLEST_SPACING_MM, LARGEST_SPACING_MM = 1e-3, 1e3
MODALITY_TAG = "0008|0060"
MOST_NON_FINITE = 0.5
STATISTICS_VOXELS = 2_000_000


@dataclass(frozen=True)
class Volume:
    """A 3-D scalar image with its array seen as (slices, rows, columns) along the acquisition plane.

    `sample` are finite voxel values taken evenly over the volume; `lowest` and `highest` are over all finite
    voxels; `non_finite` counts NaN and infinite voxels. `padding` is True where a voxel stands for "not measured", of
    the shape of `slices`, or None where there is no such voxel. `slice_axis` is the image axis (0, 1, 2 = i, j, k)
    across the slices where the source states it, as DICOM does, or None where `plane` was found from the grid.
    """

    image: sitk.Image
    plane: SlicePlane
    slices: np.ndarray
    sample: np.ndarray
    lowest: float
    highest: float
    non_finite: int
    was_2d: bool
    padding: np.ndarray | None = None
    slice_axis: int | None = None

    @property
    def dtype(self) -> np.dtype:
        """The voxel type."""
        return self.slices.dtype

    @property
    def pixel_size_mm(self) -> tuple[float, float]:
        """Spacing along rows' and columns' index, (row step, column step)."""
        spacing = self.image.GetSpacing()
        row_axis, column_axis = self.plane.in_plane_axes
        return spacing[row_axis], spacing[column_axis]

    @property
    def stated_modality(self) -> str | None:
        """The DICOM modality that came with the image, if any."""
        return self.image.GetMetaData(MODALITY_TAG) if self.image.HasMetaDataKey(MODALITY_TAG) else None


def check_volume(image: sitk.Image, padding: np.ndarray | None = None, slice_axis: int | None = None) -> Volume:
    """The volume behind `image`, or a UserError that says why it cannot be restored.

    `padding` is what the source states of voxels that were not measured: bool, of the array's shape (K, J, I).
    `slice_axis` is the stated image axis across the slices; without it the metadata entry SLICE_AXIS_KEY or the grid
    decide.

    Refused: 4-D, colour or complex voxels, slices under 16 pixels, constant volumes, volumes that are mostly
    NaN or infinite, label maps. A 2-D image becomes a volume of one slice.
    """
    if image.GetDimension() > 3:
        raise UserError(
            f"The image has {image.GetDimension()} dimensions, but one volume is restored at a time: "
            "extract one time point or channel first."
        )
    components = image.GetNumberOfComponentsPerPixel()
    if components > 1:
        raise UserError(
            f"Each voxel has {components} values (colour or vector), but CT and MR have one: choose a scalar volume."
        )
    if "complex" in image.GetPixelIDTypeAsString():
        raise UserError("The voxels are complex numbers: save the magnitude image and restore that.")
    was_2d, keys = image.GetDimension() == 2, image.GetMetaDataKeys()
    stated = image.GetMetaData(SLICE_AXIS_KEY) if SLICE_AXIS_KEY in keys else ""
    if was_2d:
        image = _as_one_slice_volume(image)
    check_spacing(image)
    array = sitk.GetArrayViewFromImage(image)
    if slice_axis is None and stated in ("0", "1", "2"):
        slice_axis = int(stated)
    plane = SlicePlane.of(image, slice_axis)
    if padding is not None:
        padding = plane.view(padding.reshape(array.shape)) if padding.any() else None
    slices = plane.view(array)
    rows, columns = slices.shape[1:]
    if min(rows, columns) < SMALLEST_SLICE_PIXELS:
        raise UserError(
            f"The slices are {columns} x {rows} pixels, but at least {SMALLEST_SLICE_PIXELS} x "
            f"{SMALLEST_SLICE_PIXELS} are needed: choose a larger volume."
        )
    lowest, highest, non_finite = _extremes(slices)
    if non_finite > MOST_NON_FINITE * slices.size:
        raise UserError(
            f"{non_finite} of {slices.size} voxels are NaN or infinite, too many to restore around: "
            "repair the volume or choose another."
        )
    if lowest == highest:
        raise UserError(f"Every voxel has the value {lowest:g}: choose a volume that shows something.")
    if not image.HasMetaDataKey(MODALITY_TAG):
        check_no_label_map(slices, keys)
    step = max(1, slices.size // STATISTICS_VOXELS)
    sample = array.reshape(-1)[::step]
    sample = sample[np.isfinite(sample)]
    return Volume(image, plane, slices, sample, lowest, highest, non_finite, was_2d, padding, slice_axis)


def check_spacing(image: sitk.Image) -> None:
    """UserError for voxels of a size that no scan has: neighbourhoods in mm would be of millions of pixels."""
    if not all(SMALLEST_SPACING_MM <= step <= LARGEST_SPACING_MM for step in image.GetSpacing()):
        steps = " x ".join(f"{step:.3g}" for step in image.GetSpacing())
        raise UserError(f"The voxels are said to be {steps} mm large, which no scan has: correct the spacing.")


def _as_one_slice_volume(image: sitk.Image) -> sitk.Image:
    return _with_metadata_of(image, sitk.JoinSeries(image))


def one_slice(image: sitk.Image) -> sitk.Image:
    """The 2-D image of a volume of one slice."""
    return _with_metadata_of(image, image[:, :, 0])


def _with_metadata_of(image: sitk.Image, derived: sitk.Image) -> sitk.Image:
    for key in (MODALITY_TAG, POSITION_KEY):
        if image.HasMetaDataKey(key):
            derived.SetMetaData(key, image.GetMetaData(key))
    return derived


def _extremes(slices: np.ndarray) -> tuple[float, float, int]:
    """Lowest and highest finite value and the number of the others, slice by slice to stay small."""
    if np.issubdtype(slices.dtype, np.integer):
        return float(slices.min()), float(slices.max()), 0
    lowest, highest, non_finite = np.inf, -np.inf, 0
    for one in slices:
        finite = one[np.isfinite(one)]
        non_finite += one.size - finite.size
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
    return lowest, highest, non_finite


def fill_non_finite(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """A slice with each NaN or infinite pixel replaced as by `filled`, and where they were.

    The second value is None where all pixels are finite. A slice without any finite pixel becomes zeros.
    """
    if np.issubdtype(pixels.dtype, np.integer):
        return pixels, None
    bad = ~np.isfinite(pixels)
    return (filled(pixels, bad, 0), bad) if bad.any() else (pixels, None)


def filled(pixels: np.ndarray, bad: np.ndarray, otherwise: float) -> np.ndarray:
    """A slice (H, W) with its good pixels mirrored into the bad ones, each through the good pixel nearest to it.

    Where the mirror shows a bad pixel, too, that nearest good one is taken: a mirror goes on with the noise, which
    nearest pixels drawn out to flat streaks would not, and a network judges the noise by all of the slice. Without any
    good pixel all become `otherwise`.
    """
    if bad.all():
        if np.issubdtype(pixels.dtype, np.integer):
            otherwise = max(otherwise, np.iinfo(pixels.dtype).min)
        return np.full_like(pixels, otherwise)
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(bad, return_distances=False, return_indices=True)
    last = np.array(pixels.shape)[:, None, None] - 1
    mirrored = np.clip(2 * nearest - np.indices(pixels.shape), 0, last)
    return pixels[tuple(np.where(bad[tuple(mirrored)], nearest, mirrored))]

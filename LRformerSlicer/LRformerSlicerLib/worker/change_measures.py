"""What a restoration did to a volume, in figures for its report: noise before and after, shift, largest change.

Everything is measured at full strength, and inside the box where nothing else was restored.  Noise is measured in
patches that are flat in the ORIGINAL blurred over its noise: choosing by the noise itself would find patches that are
quiet by chance, and the figure would be too small.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from ..restoration.padding import find_padding_values
from ..restoration.region import Region
from ..restoration.slicing import SlicePlane, acquisition_axis

PATCH_PIXELS = 12
PATCHES = 5
SLICES_SEARCHED = 15
BLUR_PIXELS = 2.0
CT_SOFT_TISSUE_HU = (-150.0, 250.0)
CT_BODY_FROM_HU = -500.0
MR_FOREGROUND_SHARE = 0.15
"""MR has no unit: the foreground are values above this share of the 99th percentile."""
CLEAR_CHANGE_NOISE_SD = 3.0


def measure_change(
    restored: sitk.Image,
    difference: sitk.Image,
    modality: str,
    box_lps_mm: Sequence[float] | None = None,
    slice_axis: int | None = None,
) -> dict:
    """JSON-serialisable figures; positions in LPS mm.

    restored, difference: images on one grid, the original being restored - difference; modality: "CT" or "MR";
    box_lps_mm: x0, x1, y0, y1, z0, z1 of the only region that was restored, for a 3-D image; slice_axis: the image axis
    across the slices, else that of the grid.
    """
    after, change = sitk.GetArrayViewFromImage(restored), sitk.GetArrayViewFromImage(difference)
    inside = _inside(restored, box_lps_mm) if box_lps_mm else np.broadcast_to(True, after.shape)
    if after.ndim == 2:
        after, change, inside = after[None], change[None], inside[None]
    axis = 2
    if restored.GetDimension() == 3:
        axis = acquisition_axis(restored) if slice_axis is None else slice_axis
    after, change, inside = (np.moveaxis(array, 2 - axis, 0) for array in (after, change, inside))
    padding = _padding_values(after, change, modality)
    threshold = CT_BODY_FROM_HU if modality == "CT" else _foreground_threshold(after, change, padding)
    patches = _patches(after, change, inside, modality, threshold)
    noise_before = float(np.mean([patch["noise_before"] for patch in patches])) if patches else None
    noise_after = float(np.mean([patch["noise_after"] for patch in patches])) if patches else None
    for patch in patches:
        patch["center_lps_mm"] = _position(restored, axis, patch.pop("place"))

    body_voxels, clear_voxels, shift_sum, largest, largest_place = 0, 0, 0.0, 0.0, (0, 0, 0)
    for index in range(after.shape[0]):
        here = np.nan_to_num(change[index].astype(np.float64))
        original = after[index] - here
        body = (original > threshold) & inside[index]
        if padding:
            body &= ~np.isin(original, padding)
        body_voxels += int(body.sum())
        shift_sum += float(here[body].sum())
        if noise_before:
            clear_voxels += int((np.abs(here[body]) > CLEAR_CHANGE_NOISE_SD * noise_before).sum())
        place = int(np.argmax(np.abs(here)))
        value = float(here.reshape(-1)[place])
        if abs(value) > abs(largest):
            largest, largest_place = value, (index, *divmod(place, here.shape[1]))
    return {
        "unit": "HU" if modality == "CT" else "",
        "within": "box" if box_lps_mm else "body",
        "noise_sd_before": noise_before,
        "noise_sd_after": noise_after,
        "patches": patches,
        "mean_shift": shift_sum / body_voxels if body_voxels else 0.0,
        "largest_change": largest,
        "largest_change_lps_mm": _position(restored, axis, largest_place),
        "share_clearly_changed": clear_voxels / body_voxels if body_voxels and noise_before else None,
    }


def _inside(image: sitk.Image, box_lps_mm: Sequence[float]) -> np.ndarray:
    """Which voxels lie in the box, bool (K, J, I)."""
    plane = SlicePlane.of(image)
    region = Region.of(tuple(box_lps_mm), image, plane)
    inside = np.zeros(image.GetSize()[::-1], dtype=bool)
    for index in region.candidate_slices():
        plane.view(inside)[index] = region.inside(index)
    return inside


def _originals(after: np.ndarray, change: np.ndarray) -> np.ndarray:
    step = max(1, after.shape[0] // SLICES_SEARCHED)
    return after[::step] - change[::step]


def _padding_values(after: np.ndarray, change: np.ndarray, modality: str) -> tuple[float, ...]:
    """Numbers of the original that stand for what was not measured."""
    originals = _originals(after, change)
    sample = originals[np.isfinite(originals)]
    return find_padding_values(originals, sample, modality) if sample.size else ()


def _foreground_threshold(after: np.ndarray, change: np.ndarray, padding: tuple[float, ...]) -> float:
    originals = _originals(after, change)
    if padding:
        originals = originals[~np.isin(originals, padding)]
    return MR_FOREGROUND_SHARE * float(np.nanpercentile(originals, 99))


def _patches(after: np.ndarray, change: np.ndarray, inside: np.ndarray, modality: str, threshold: float) -> list[dict]:
    """The flattest patches of the original, spread over the slices and without overlap, in the order of the slices."""
    slices = np.flatnonzero(inside.any(axis=(1, 2)))
    count = min(len(slices), SLICES_SEARCHED)
    each = -(-PATCHES // max(count, 1))
    candidates = []
    for index in slices[np.unique(np.linspace(0, len(slices) - 1, count).astype(int))]:
        original = np.nan_to_num(after[index].astype(np.float64) - change[index])
        if min(original.shape) < 2 * PATCH_PIXELS:
            return []
        blurred = gaussian_filter(original, BLUR_PIXELS)
        low, high = CT_SOFT_TISSUE_HU if modality == "CT" else (threshold, np.inf)
        lowest, highest = minimum_filter(blurred, PATCH_PIXELS), maximum_filter(blurred, PATCH_PIXELS)
        is_inside = minimum_filter(inside[index].astype(np.uint8), PATCH_PIXELS) > 0
        # An area of one value is padding, or was cut off: it has no noise that could be told.
        is_inside &= maximum_filter(original, PATCH_PIXELS) > minimum_filter(original, PATCH_PIXELS)
        flat = np.where((lowest > low) & (highest < high) & is_inside, highest - lowest, np.inf)
        edge = PATCH_PIXELS
        flat[:edge], flat[-edge:], flat[:, :edge], flat[:, -edge:] = np.inf, np.inf, np.inf, np.inf
        for _ in range(each):
            row, column = divmod(int(np.argmin(flat)), flat.shape[1])
            if not np.isfinite(flat[row, column]):
                break
            candidates.append((float(flat[row, column]), int(index), row, column))
            flat[max(row - edge, 0) : row + edge, max(column - edge, 0) : column + edge] = np.inf
    chosen = sorted(sorted(candidates)[:PATCHES], key=lambda candidate: candidate[1])
    return [_patch(after, change, number + 1, *candidate[1:]) for number, candidate in enumerate(chosen)]


def _patch(after: np.ndarray, change: np.ndarray, number: int, index: int, row: int, column: int) -> dict:
    half = PATCH_PIXELS // 2
    part = (index, slice(row - half, row + half), slice(column - half, column + half))
    new = after[part].astype(np.float64)
    old = new - change[part]
    return {
        "name": f"Patch {number}",
        "size_pixels": PATCH_PIXELS,
        "mean": float(old.mean()),
        "noise_before": _noise(old),
        "noise_after": _noise(new),
        "place": (index, row, column),
    }


def _noise(pixels: np.ndarray) -> float:
    """Standard deviation about the plane through the patch: a slow slope is no noise."""
    rows, columns = np.indices(pixels.shape)
    basis = np.stack([np.ones(pixels.size), rows.ravel(), columns.ravel()], axis=1)
    fit, *_ = np.linalg.lstsq(basis, pixels.ravel(), rcond=None)
    return float(np.sqrt(np.sum((pixels.ravel() - basis @ fit) ** 2) / (pixels.size - 3)))


def _position(image: sitk.Image, axis: int, place: tuple[int, int, int]) -> list[float]:
    """LPS mm of (slice, row, column), where the slices were counted along the image axis `axis`."""
    others = [other for other in (2, 1, 0) if other != axis]
    index = [0, 0, 0]
    index[axis], index[others[0]], index[others[1]] = place
    point = image.TransformIndexToPhysicalPoint(index[: image.GetDimension()])
    return [round(float(value), 2) for value in (*point, 0.0)[:3]]

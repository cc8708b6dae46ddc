"""The figures of the report, against phantoms whose noise, shift and largest change are known."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.worker.change_measures import PATCH_PIXELS, measure_change


def phantom(slices: int = 6, noise_hu: float = 20.0, kept: float = 0.5, shift_hu: float = 3.0):
    """Original and restored: a body of 50 HU in air whose noise is reduced to `kept` and shifted."""
    y, x = np.mgrid[0:96, 0:96] - 47.5
    body = x**2 + y**2 < 40**2
    clean = np.where(body, 50.0, -1000.0)
    noise = np.random.default_rng(0).normal(0, noise_hu, (slices, 96, 96))
    original = clean + noise
    restored = clean + kept * noise + shift_hu * body
    images = []
    for array in (restored, restored - original):
        image = sitk.GetImageFromArray(array.astype(np.float32))
        image.SetSpacing((0.7, 0.7, 3.0))
        image.SetOrigin((-30, 10, 5))
        images.append(image)
    return images, body


def test_noise_and_shift_are_those_of_the_phantom():
    (restored, difference), _body = phantom()
    figures = measure_change(restored, difference, "CT")
    assert figures["noise_sd_before"] == pytest.approx(20, rel=0.1)
    assert figures["noise_sd_after"] == pytest.approx(10, rel=0.1)
    assert figures["mean_shift"] == pytest.approx(3, abs=0.3)
    assert figures["unit"] == "HU"


@pytest.mark.parametrize("slices", [1, 2, 6, 40])
def test_five_patches_lie_in_the_body_and_apart(slices):
    (restored, difference), body = phantom(slices)
    patches = measure_change(restored, difference, "CT")["patches"]
    assert [patch["name"] for patch in patches] == [f"Patch {number}" for number in range(1, 6)]
    places = [np.round(restored.TransformPhysicalPointToIndex(patch["center_lps_mm"])) for patch in patches]
    for column, row, _slice in places:
        assert body[row, column]
    for one in range(5):
        for other in range(one):
            apart = np.abs(np.subtract(places[one], places[other]))
            assert apart[2] > 0 or max(apart[:2]) >= PATCH_PIXELS


def test_a_slow_slope_is_no_noise():
    (restored, difference), _body = phantom(noise_hu=5.0)
    slope = sitk.GetImageFromArray(np.broadcast_to(np.linspace(-40, 40, 96), (6, 96, 96)).astype(np.float32))
    slope.CopyInformation(restored)
    assert measure_change(restored + slope, difference, "CT")["noise_sd_before"] == pytest.approx(5, rel=0.15)


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 3.0), (3.0, 0.7, 0.7), (0.7, 3.0, 0.7)])
def test_the_largest_change_is_found_where_it_is(spacing):
    change = np.random.default_rng(1).normal(0, 1, (30, 40, 50)).astype(np.float32)
    change[11, 22, 33] = -250
    restored = sitk.GetImageFromArray((change + 40).astype(np.float32))
    difference = sitk.GetImageFromArray(change)
    for image in (restored, difference):
        image.SetSpacing(spacing)
        image.SetOrigin((7, -3, 20))
        image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    figures = measure_change(restored, difference, "CT")
    assert figures["largest_change"] == -250
    assert restored.TransformPhysicalPointToIndex(figures["largest_change_lps_mm"]) == (33, 22, 11)


def test_what_is_changed_clearly_is_counted():
    (restored, difference), body = phantom(kept=1.0, shift_hu=0.0)
    array = sitk.GetArrayFromImage(difference)
    array[:, 40:56, 40:56] = 200
    changed = sitk.GetImageFromArray(array)
    changed.CopyInformation(difference)
    share = measure_change(restored + changed, changed, "CT")["share_clearly_changed"]
    assert share == pytest.approx(256 / body.sum(), rel=0.02)


def test_a_box_is_judged_by_what_lies_inside():
    (restored, difference), _body = phantom(slices=30)
    array = sitk.GetArrayFromImage(difference)
    box = np.zeros(array.shape, dtype=bool)
    box[20:23, 30:60, 30:60] = True
    outside = sitk.GetImageFromArray(np.where(box, 0, array))
    outside.CopyInformation(difference)
    inside = difference - outside
    corners = (restored.TransformContinuousIndexToPhysicalPoint(index) for index in ((30, 30, 20), (59, 59, 22)))
    box_lps_mm = [side for pair in zip(*corners, strict=True) for side in pair]
    figures = measure_change(restored - outside, inside, "CT", box_lps_mm)
    assert figures["within"] == "box" and len(figures["patches"]) == 5
    assert figures["noise_sd_after"] == pytest.approx(10, rel=0.15)
    assert figures["mean_shift"] == pytest.approx(3, abs=0.5)
    for patch in figures["patches"]:
        column, row, index = restored.TransformPhysicalPointToIndex(patch["center_lps_mm"])
        assert box[index, row - 5 : row + 5, column - 5 : column + 5].all()
    of_all = measure_change(restored - outside, inside, "CT")
    assert of_all["within"] == "body" and of_all["mean_shift"] < 0.3


def test_mr_has_no_unit_and_a_volume_without_a_flat_patch_has_no_noise():
    noise = np.random.default_rng(2).uniform(0, 900, (3, 20, 20)).astype(np.float32)
    image = sitk.GetImageFromArray(noise)
    figures = measure_change(image, sitk.GetImageFromArray(np.ones_like(noise)), "MR")
    assert figures["unit"] == "" and figures["patches"] == [] and figures["noise_sd_before"] is None
    assert figures["share_clearly_changed"] is None
    assert figures["mean_shift"] == pytest.approx(1)


@pytest.mark.parametrize(("modality", "value"), [("MR", 65535.0), ("MR", -2000.0), ("CT", 0.0)])
def test_padding_counts_neither_as_body_nor_as_patch(modality, value):
    (restored, difference), _ = phantom()
    images = []
    for image, inside in ((restored, value), (difference, 0.0)):
        array = sitk.GetArrayFromImage(image) + (1000.0 if modality == "MR" and image is restored else 0.0)
        array[:, :, :24] = inside
        padded = sitk.GetImageFromArray(array)
        padded.CopyInformation(image)
        images.append(padded)
    figures = measure_change(*images, modality)
    assert figures["noise_sd_before"] == pytest.approx(20, rel=0.15)
    assert figures["mean_shift"] == pytest.approx(3, abs=0.3)


def test_the_stated_slice_axis_counts():
    (restored, difference), _ = phantom(slices=40)
    for image in (restored, difference):
        image.SetSpacing((3.0, 0.7, 0.7))
    stated = measure_change(restored, difference, "CT", slice_axis=2)
    assert stated["noise_sd_before"] == pytest.approx(20, rel=0.15) and len(stated["patches"]) == 5

"""References: compared where they lie in the patient, whatever the order and direction of their axes."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.reference import on_restored_grid
from LRformerSlicerLib.restoration.tasks import TASKS
from LRformerSlicerLib.restoration.volume import check_volume

SAME, FINER = TASKS["ct-denoise"], TASKS["mr-sr2"]


def as_array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("order", list(itertools.permutations((0, 1, 2))))
@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
def test_any_order_and_direction_of_axes_finds_the_same_voxels(ct_image, order, flips):
    turned = sitk.Flip(sitk.PermuteAxes(ct_image, order), flips)
    found = on_restored_grid(turned, check_volume(ct_image), SAME)
    assert np.array_equal(as_array(found.image), as_array(ct_image))
    assert found.image.GetDirection() == ct_image.GetDirection()


def test_flipped_axes_give_the_same_figures(ct_image, checkpoints):
    options = RestorationOptions(task="ct-denoise", model=checkpoints["ct-denoise"], prior="none")
    noisy = sitk.Cast(sitk.AdditiveGaussianNoise(ct_image, 40.0, 0.0, 7), sitk.sitkInt16)
    reports = [
        Restorer().restore(noisy, options, modality="CT", reference=one).report["metrics"]
        for one in (ct_image, sitk.Flip(ct_image, (True, True, False)), sitk.PermuteAxes(ct_image, (2, 0, 1)))
    ]
    assert reports[0]["before"]["psnr_db"] == pytest.approx(19.0, abs=3.0)
    assert reports[1] == reports[0] and reports[2] == reports[0]


@pytest.mark.parametrize("shift_mm", [(0, 0, 40), (40, 0, 0), (0.4, 0, 0), (0, 0, -2.5), (0, -0.8, 0)])
def test_a_reference_elsewhere_is_refused_with_the_distance(ct_image, shift_mm):
    moved = sitk.Image(ct_image)
    moved.SetOrigin(np.add(ct_image.GetOrigin(), shift_mm).tolist())
    with pytest.raises(UserError, match=rf"middles {np.linalg.norm(shift_mm):.3g} mm apart"):
        on_restored_grid(moved, check_volume(ct_image), SAME)


def test_a_turned_reference_and_one_of_other_pixels_are_refused(ct_image):
    volume = check_volume(ct_image)
    turned = sitk.Image(ct_image)
    turned.SetDirection((np.cos(0.02), -np.sin(0.02), 0, np.sin(0.02), np.cos(0.02), 0, 0, 0, 1))
    with pytest.raises(UserError, match="choose a reference on that grid"):
        on_restored_grid(turned, volume, SAME)
    with pytest.raises(UserError, match="80 x 72 x 4 voxels of 0.8 x 0.8 x 2.5 mm, but the restored"):
        on_restored_grid(ct_image, volume, FINER)


def test_rounded_headers_and_larger_references_are_taken(ct_image):
    rounded = sitk.Image(ct_image)
    rounded.SetOrigin([value + 0.004 for value in ct_image.GetOrigin()])
    rounded.SetSpacing([value * 1.0003 for value in ct_image.GetSpacing()])
    assert np.array_equal(as_array(on_restored_grid(rounded, check_volume(ct_image), SAME).image), as_array(ct_image))
    crop = ct_image[10:50, 7:55, 1:3]
    assert np.array_equal(as_array(on_restored_grid(ct_image, check_volume(crop), SAME).image), as_array(crop))


def test_one_slice_against_one_slice(ct_image):
    flat = ct_image[:, :, 1]
    found = on_restored_grid(sitk.Flip(flat, (True, False)), check_volume(flat), SAME)
    assert np.array_equal(as_array(found.image)[0], as_array(flat))
    single = ct_image[:, :, 1:2]
    thick = sitk.Image(single)
    thick.SetSpacing((0.8, 0.8, 5.0))
    assert np.array_equal(as_array(on_restored_grid(thick, check_volume(single), SAME).image), as_array(single))

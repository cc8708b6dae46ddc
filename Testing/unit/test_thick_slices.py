"""Thick slices against what a slice profile does: mean, width, transfer function, noise, and where they lie."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter1d

from LRformerSlicerLib.degradation.mr.thick_slices import EDGE_SHARE, slice_profiles, thick_slices
from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.simulation import degrade_mr


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_a_profile_is_as_wide_as_its_slice_and_centred_on_it(factor):
    profiles = slice_profiles(12 * factor, factor)
    place = np.arange(12 * factor) + 0.5
    for number, profile in enumerate(profiles[1:-1], start=1):
        assert profile.sum() == pytest.approx(1.0)
        assert profile @ place == pytest.approx((number + 0.5) * factor, abs=1e-6)
        # The same by brute force: a box, blurred on a grid 50 times finer, summed over each thin slice.
        fine = (np.arange(len(profile) * 50) + 0.5) / 50
        box = (np.abs(fine - (number + 0.5) * factor) < factor / 2).astype(float)
        blurred = gaussian_filter1d(box, 50 * EDGE_SHARE * factor, truncate=8.0)
        np.testing.assert_allclose(profile, blurred.reshape(-1, 50).sum(axis=1) / blurred.sum(), atol=1e-4)


def test_what_varies_across_the_slices_is_damped_by_the_profiles_spectrum():
    """A wave of f cycles a thin slice loses sinc(f n) by the box, a Gaussian by its edges; here the truth is known."""
    factor, cycles = 4, 0.07
    wave = np.cos(2 * np.pi * cycles * (np.arange(400) + 0.5))[:, None, None]
    thick = thick_slices(wave, factor)[10:-10, 0, 0]
    middles = (np.arange(100) + 0.5)[10:-10] * factor
    gain = 2 * np.mean(thick * np.cos(2 * np.pi * cycles * middles))
    sampled = np.sinc(cycles * factor) / np.sinc(cycles)  # the thin slices are points, the box counts them whole
    softened = np.exp(-2 * (np.pi * cycles * EDGE_SHARE * factor) ** 2)
    expected = sampled * np.sinc(cycles) * softened
    assert gain == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("factor", [2, 5])
def test_noise_falls_with_the_root_of_the_thickness(factor):
    noise = np.random.default_rng(0).normal(0, 1, (20 * factor, 40, 40))
    assert thick_slices(noise, factor).std() == pytest.approx(factor**-0.5, rel=0.12)


def test_one_slice_thick_is_the_volume_itself():
    volume = np.random.default_rng(1).normal(100, 20, (5, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(thick_slices(volume, 1), volume)


@pytest.mark.parametrize("factor", [0, 6])
def test_thicker_than_the_volume_is_refused(factor):
    with pytest.raises(UserError, match="choose 1 to 5"):
        thick_slices(np.zeros((5, 4, 4)), factor)


@pytest.mark.parametrize("across", [2, 1])
def test_a_simulated_volume_covers_the_same_place(lrformer, tmp_path, across):
    """Also where the slices run along another axis of the image; the object's middle stays where it was."""
    size, spacing = [48, 48, 48], [0.9, 0.9, 0.9]
    size[across], spacing[across] = 13, 3.0
    middle = [0.45 * count * step for count, step in zip(size, spacing, strict=True)]
    image = sitk.GaussianSource(sitk.sitkFloat32, size, sigma=[7.0] * 3, mean=middle, scale=900, spacing=spacing)
    image.SetOrigin((4.0, -7.0, 30.0))
    sitk.WriteImage(sitk.Cast(image, sitk.sitkInt16), str(tmp_path / "thin.nrrd"))
    code, _, complaint = lrformer("simulate", tmp_path / "thin.nrrd", tmp_path / "thick.nrrd", "--thickness", 3)
    assert code == 0, complaint
    thick = sitk.ReadImage(str(tmp_path / "thick.nrrd"))
    assert thick.GetSize()[across] == 4 and thick.GetSpacing()[across] == pytest.approx(9.0)
    assert [thick.GetSize()[axis] for axis in range(3) if axis != across] == [48, 48]
    corner = (-0.5, -0.5, -0.5)
    assert np.allclose(*(one.TransformContinuousIndexToPhysicalPoint(corner) for one in (thick, image)))
    weights, grid = sitk.GetArrayFromImage(thick).astype(float), np.indices(thick.GetSize()[::-1])[::-1]
    index = [float((axis * weights).sum() / weights.sum()) for axis in grid]
    found = np.array(thick.TransformContinuousIndexToPhysicalPoint(index)) - image.GetOrigin()
    assert np.allclose(found, middle, atol=0.6)


def test_a_volume_with_too_few_slices_is_refused_by_command(lrformer, tmp_path, mr_image):
    sitk.WriteImage(mr_image, str(tmp_path / "mr.nrrd"))
    code, _, complaint = lrformer("simulate", tmp_path / "mr.nrrd", tmp_path / "out.nrrd", "--thickness", 9)
    assert code != 0 and "choose 1 to 4" in complaint and not (tmp_path / "out.nrrd").exists()


def test_factor_and_thickness_go_together(mr_image):
    both = degrade_mr(mr_image, factor=2, thickness=2)
    assert both.GetSize() == (32, 36, 2)

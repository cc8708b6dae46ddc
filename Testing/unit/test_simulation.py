"""Degraded volumes: type, grid and extent, and what the seed decides."""

import importlib.util

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.restoration.simulation import degrade_mr, lower_dose

needs_astra = pytest.mark.skipif(importlib.util.find_spec("astra") is None, reason="astra-toolbox is not installed")


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@needs_astra
def test_lower_dose_keeps_type_and_grid_and_is_noisier(ct_image):
    steps = []
    quarter = lower_dose(ct_image, 0.25, seed=1, progress=steps.append)
    assert quarter.GetPixelID() == ct_image.GetPixelID()
    assert quarter.GetSize() == ct_image.GetSize() and quarter.GetDirection() == ct_image.GetDirection()
    assert np.allclose(quarter.GetOrigin(), ct_image.GetOrigin())
    assert [step.done for step in steps] == [1, 2, 3, 4]
    added = (array(quarter).astype(float) - array(ct_image))[:, 20:50, 30:45]
    assert added.std() > 1 and abs(added.mean()) < added.std() / 2
    assert np.array_equal(array(lower_dose(ct_image, 0.25, seed=1)), array(quarter))
    other = lower_dose(ct_image, 0.25, seed=2)
    assert not np.array_equal(array(other), array(quarter))
    noise = added - added.mean(axis=0)
    assert not np.array_equal(noise[0], noise[1]), "each slice has noise of its own"
    tenth = (array(lower_dose(ct_image, 0.1, seed=1)).astype(float) - array(ct_image))[:, 20:50, 30:45]
    assert tenth.std() > 1.3 * added.std()


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("shape", ["axial", "coronal"])
def test_fewer_samples_cover_the_same_extent(factor, shape):
    size, spacing = {"axial": ((70, 64, 3), (0.9, 0.9, 4.0)), "coronal": ((70, 3, 64), (0.9, 4.0, 0.9))}[shape]
    image = sitk.GaussianSource(sitk.sitkFloat32, size, sigma=[9, 9, 9], mean=[30, 28, 27], scale=900, spacing=spacing)
    image.SetOrigin((5.0, -8.0, 100.0))
    image = sitk.Cast(image, sitk.sitkInt16)
    coarse = degrade_mr(image, factor=factor, seed=1)
    thick = spacing.index(4.0)
    for axis in range(3):
        times = 1 if axis == thick else factor
        assert coarse.GetSize()[axis] == image.GetSize()[axis] // times
        assert coarse.GetSpacing()[axis] == pytest.approx(image.GetSpacing()[axis] * times)
    assert np.allclose(
        coarse.TransformContinuousIndexToPhysicalPoint((-0.5,) * 3),
        image.TransformContinuousIndexToPhysicalPoint((-0.5,) * 3),
    )
    # The brightest place stays where it was: a wrong origin would move it by half a coarse pixel.
    there = centre_of_mass(coarse)
    assert np.allclose(there, centre_of_mass(image), atol=0.12 * factor * 0.9)
    assert coarse.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(array(degrade_mr(image, factor=factor, seed=1)), array(coarse))


def centre_of_mass(image: sitk.Image) -> np.ndarray:
    weights = array(image).astype(float)
    grid = np.indices(weights.shape)[::-1]
    index = [float((axis * weights).sum() / weights.sum()) for axis in grid]
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index))


def test_motion_keeps_the_grid(mr_image):
    moved = degrade_mr(mr_image, motion=True, seed=4)
    assert moved.GetSize() == mr_image.GetSize() and moved.GetPixelID() == mr_image.GetPixelID()
    assert np.allclose(moved.GetOrigin(), mr_image.GetOrigin())
    assert array(moved).min() >= 0 and not np.array_equal(array(moved), array(mr_image))
    assert np.array_equal(array(degrade_mr(mr_image, motion=True, seed=4)), array(moved))

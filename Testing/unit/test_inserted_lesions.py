"""Lesions in training patches: their size, contrast and place, and that both patches of a pair get the same."""

from dataclasses import replace

import numpy as np
import pytest

from LRformerSlicerLib.training.ct_dose import DoseTask
from LRformerSlicerLib.training.inserted_lesions import LesionKind, ellipse, lesion_map
from LRformerSlicerLib.training.patches import Pair, PatchSampler

ALWAYS = LesionKind(share=1.0, most=3, radius_pixels=(3.0, 6.0), edge_pixels=(0.5, 1.0), contrast=(20.0, 40.0))


def task_with(lesions):
    """CT denoising that leaves the noise as it is, so that lesions are all that is changed."""
    task = DoseTask()
    unchanged = {"residual_range": (1.0, 1.0), "texture_blur_pixels": 0.0, "texture_sharpening": 0.0}
    unchanged["foreign_texture_share"] = 0.0
    task.augmentation = replace(task.augmentation, **unchanged, lesions=lesions)
    return task


def a_pair():
    random = np.random.default_rng(0)
    clean = np.full((64, 64), 40, dtype=np.int16)
    noisy = clean + random.normal(0, 20, clean.shape).round().astype(np.int16)
    return Pair("one", clean, noisy, np.zeros((2, 64, 64), dtype=np.uint8), np.ones((64, 64), dtype=bool))


@pytest.mark.parametrize("half_axes", [(8.0, 8.0), (12.0, 5.0)])
def test_an_ellipse_has_its_area_height_and_edge(half_axes):
    drawn = ellipse((81, 81), (40, 40), np.array(half_axes), 0.0, edge=1.0)
    assert drawn.max() == pytest.approx(1.0, abs=0.01) and drawn.min() >= 0.0
    assert drawn.sum() == pytest.approx(np.pi * half_axes[0] * half_axes[1], rel=0.05)
    # The first half axis lies along the rows' index: half the height there, one SD further out 16 %.
    assert drawn[40 + round(half_axes[0]), 40] == pytest.approx(0.5, abs=0.02)
    assert drawn[41 + round(half_axes[0]), 40] == pytest.approx(0.159, abs=0.03)


def test_a_turned_ellipse_lies_along_the_columns():
    upright, turned = (ellipse((41, 41), (20, 20), np.array([9.0, 4.0]), angle, 1.0) for angle in (0.0, np.pi / 2))
    np.testing.assert_allclose(turned, upright.T, atol=1e-5)


def test_lesions_keep_to_body_and_contrast():
    body = np.zeros((64, 64), dtype=bool)
    body[16:48, 16:48] = True
    added = [lesion_map(body, replace(ALWAYS, most=1), np.random.default_rng(seed)) for seed in range(20)]
    assert all(not one[~body].any() for one in added)
    peaks = np.array([one.flat[np.abs(one).argmax()] for one in added])
    assert (np.abs(peaks) > 19.0).all() and (np.abs(peaks) <= 40.0).all() and {-1.0, 1.0} == set(np.sign(peaks))


def test_without_a_body_nothing_is_added():
    assert not lesion_map(np.zeros((8, 8), dtype=bool), ALWAYS, np.random.default_rng(0)).any()


def test_degraded_and_clean_get_the_same_lesions():
    """What was noise before is noise after: the difference of the two patches is that of the pair."""
    plain, with_lesions = (PatchSampler(task_with(one), [a_pair()], 64, 4, 0.0, 3) for one in (None, ALWAYS))
    degraded, clean, _ = with_lesions.batch(0)
    unit = DoseTask().stored.unit
    assert ((clean - clean[0, 0, 0, 0]).abs().amax(dim=(1, 2, 3)) * unit > 19.0).all()
    noise = ((degraded - clean) * unit).numpy()
    assert sorted(np.rint(noise[0]).ravel()) == sorted((a_pair().degraded - a_pair().clean).ravel())
    flat = plain.batch(0)[1]
    assert float(flat.max() - flat.min()) == 0.0


def test_so_many_patches_as_stated_get_lesions():
    sampler = PatchSampler(task_with(replace(ALWAYS, share=0.4)), [a_pair()], 64, 1, 0.0, 5)
    changed = [float(sampler.batch(step)[1].std()) > 0.0 for step in range(300)]
    assert np.mean(changed) == pytest.approx(0.4, abs=0.08)

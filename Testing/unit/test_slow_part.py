"""What ct-denoise leaves alone: the brightness of anything wide."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from LRformerSlicerLib.degradation.ct import dose_noise
from LRformerSlicerLib.prior.foreground import body_mask
from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.slow_part import SlowPart, without_slow_part
from LRformerSlicerLib.restoration.tasks import TASKS

KEPT = TASKS["ct-denoise"].slow_part


def disc(size: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return (np.hypot(x, y) < radius).astype(np.float32)


def test_a_lost_wide_lesion_comes_back_and_fine_noise_stays_away():
    body = disc(128, 56) > 0
    noise = np.random.default_rng(0).normal(0, 20, body.shape)
    noise -= gaussian_filter(noise, 1.5)
    lesion = 40.0 * disc(128, 12)
    # Pixels of 0.8 mm: a lesion 19 mm across.  The restoration took the noise and half of the lesion.
    change = (-0.5 * lesion - noise) * body
    kept = without_slow_part(change, body, KEPT, (0.8, 0.8))
    inside = disc(128, 6) > 0
    assert change[inside].mean() == pytest.approx(-20.0, abs=1.0)
    assert abs(kept[inside].mean()) < 1.0, "the lesion's contrast is back"
    fine = np.hypot(*(np.mgrid[:128, :128] - 64)) > 25
    error = (kept + noise)[fine & body]
    assert error.std() < 0.15 * noise[body].std(), "the noise stays away"


def test_what_lies_outside_the_body_neither_counts_nor_changes():
    body = disc(96, 30) > 0
    change = np.where(body, 0.0, 500.0).astype(np.float32)
    np.testing.assert_array_equal(without_slow_part(change, body, KEPT, (1.0, 1.0)), change)
    even = np.where(body, 7.0, 500.0).astype(np.float32)
    kept = without_slow_part(even, body, KEPT, (1.0, 1.0))
    np.testing.assert_allclose(kept[body], 0.0, atol=1e-4)  # up to the very edge of the body


def test_the_blur_is_in_millimetres_along_both_axes():
    body = np.ones((96, 96), dtype=bool)
    stripes = np.broadcast_to(np.sin(2 * np.pi * np.arange(96) / 16), (96, 96))  # along the columns' index
    fine, coarse = (
        np.abs(without_slow_part(stripes, body, SlowPart(2.5), size)[32:64, 32:64]).max()
        for size in ((5.0, 0.5), (5.0, 2.0))
    )
    # Of a period of 8 mm a Gaussian of 2.5 mm leaves exp(-2 (pi 2.5 / 8)^2) = 0.145, of 32 mm 0.89.
    assert fine == pytest.approx(1 - 0.145, abs=0.02)
    assert coarse == pytest.approx(1 - 0.886, abs=0.02)


def test_less_is_kept_where_the_noise_taken_is_strong():
    body = np.ones((128, 128), dtype=bool)
    random = np.random.default_rng(0)
    slow = 10.0 * np.sin(2 * np.pi * np.arange(128) / 64)[:, None] * np.ones((1, 128))
    grain = random.normal(0, 1, body.shape)
    grain -= gaussian_filter(grain, 2.0)
    grain /= grain.std()
    left = {}
    for noise_sd in (10.0, 45.0, 90.0):
        change = slow + noise_sd * grain
        part = SlowPart(2.0, 45.0)
        # What is left of the slow wave, by correlation with it: the grain has next to none of it.
        left[noise_sd] = float((without_slow_part(change, body, part, (1.0, 1.0)) * slow).sum() / (slow**2).sum())
    blurred = np.exp(-2 * (np.pi * 2.0 / 64) ** 2)
    assert left[10.0] == pytest.approx(1 - blurred, abs=0.03), "nearly all of it is taken out"
    assert left[45.0] == pytest.approx(1 - 0.5 * blurred, abs=0.06)
    assert left[90.0] == pytest.approx(1 - blurred / 17, abs=0.06), "hardly any of it is taken out"


@pytest.mark.parametrize(("kernel", "most"), [("smooth", 0.12), ("standard", 0.04), ("sharp", 0.02)])
def test_the_noise_of_a_low_dose_has_little_of_what_is_kept(kernel, most):
    """Or else keeping it would keep the noise; ``most`` is a share of its variance."""
    water = np.where(disc(256, 110) > 0, 0.0, -1000.0).astype(np.float32)
    noise = dose_noise(water, 0.8, 0.25, 0, kernel)
    inside = disc(256, 80) > 0
    assert gaussian_filter(noise, KEPT.blur_mm / 0.8)[inside].var() < most * noise[inside].var()


def test_the_engine_keeps_it_in_ct_and_not_in_mr(ct_image, mr_image, checkpoints):
    changes = {}
    for task, image in (("ct-denoise", ct_image), ("mr-artifact", mr_image)):
        image = sitk.Cast(image, sitk.sitkFloat32)
        options = RestorationOptions(task=task, model=checkpoints[task], prior="none", device="cpu")
        result = Restorer().restore(image, options)
        assert result.report["kept_slow_part"] == ({"blur_mm": 2.0, "noise_sd": 80.0} if task == "ct-denoise" else None)
        before, after = (sitk.GetArrayFromImage(one) for one in (image, result.restored))
        change, body = (after - before)[0], body_mask(before[0], "CT" if task == "ct-denoise" else "MR")
        sd = [KEPT.blur_mm / size for size in image.GetSpacing()[1::-1]]
        weight = gaussian_filter(body.astype(float), sd)
        slow = gaussian_filter(np.where(body, change, 0.0), sd)[body] / weight[body]
        changes[task] = np.sqrt(np.mean(slow**2) / np.mean(change[body] ** 2))
    # Blurred twice, what was blurred once and taken away is not quite nothing.
    assert changes["ct-denoise"] < 0.5 * changes["mr-artifact"]

"""What is left alone because there is next to nothing to restore."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.prior.foreground import body_mask
from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.tasks import TASKS
from LRformerSlicerLib.restoration.weak_change import without_weak_change

ROUND = np.hypot(*(np.mgrid[:128, :128] - 64)) < 50


@pytest.mark.parametrize(("times", "left"), [(1 / 3, 0.1), (1.0, 0.5), (3.0, 0.9)])
def test_the_share_that_is_left_follows_the_strength_nearby(times, left):
    change = np.random.default_rng(0).normal(0, 8.0 * times, ROUND.shape)
    kept = without_weak_change(change, ROUND, 8.0, (0.8, 0.8))
    share = (kept * change)[ROUND].sum() / (change**2)[ROUND].sum()
    assert share == pytest.approx(left, abs=0.02)
    np.testing.assert_array_equal(kept[~ROUND], change.astype(np.float32)[~ROUND])


def test_strong_noise_goes_beside_weak_noise_that_stays():
    change = np.random.default_rng(0).normal(0, 3.0, ROUND.shape)
    change[:, 64:] *= 10
    kept = without_weak_change(change, ROUND, 8.0, (1.0, 1.0))
    weak, strong = np.s_[48:80, 22:38], np.s_[48:80, 90:106]
    assert kept[weak].std() < 0.2 * change[weak].std()
    assert kept[strong].std() > 0.9 * change[strong].std()


def test_nothing_is_left_out_where_nothing_is_weak():
    change = np.random.default_rng(0).normal(0, 1e-3, ROUND.shape).astype(np.float32)
    np.testing.assert_array_equal(without_weak_change(change, ROUND, 0.0, (1.0, 1.0)), change)


@pytest.mark.parametrize(("task", "weak_change"), [("ct-denoise", 8.0), ("mr-artifact", 0.008)])
def test_the_engine_changes_a_good_scan_less_than_the_network_would(
    task, weak_change, ct_image, mr_image, checkpoints, monkeypatch
):
    image = sitk.Cast(ct_image if task == "ct-denoise" else mr_image, sitk.sitkFloat32)
    options = RestorationOptions(task=task, model=checkpoints[task], prior="none", device="cpu")
    before = sitk.GetArrayFromImage(image)
    changes = {}
    for weak in (0.0, weak_change, 1e6):
        monkeypatch.setitem(TASKS, task, replace(TASKS[task], weak_change=weak))
        result = Restorer().restore(image, options)
        assert result.report["weak_change"] == weak
        body = body_mask(before[0], TASKS[task].modality)
        changes[weak] = np.sqrt(np.mean((sitk.GetArrayFromImage(result.restored) - before)[0][body] ** 2))
    everything, some, next_to_nothing = changes.values()
    assert next_to_nothing < 1e-3 * everything and some < everything

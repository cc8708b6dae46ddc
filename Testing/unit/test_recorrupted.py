"""Recorrupted pairs: noises that are uncorrelated, in the patches that a training sees, drawn by patient."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from LRformerSlicerLib.degradation.scan_noise import WINDOW, ScanNoise
from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.training.card import training_card
from LRformerSlicerLib.training.clean_slices import CleanSlice
from LRformerSlicerLib.training.ct_dose import DoseTask
from LRformerSlicerLib.training.patches import Pair, PatchSampler, load_pairs, to_tensors
from LRformerSlicerLib.training.recorrupted import recorrupted
from LRformerSlicerLib.training.task_choice import training_task
from LRformerSlicerLib.training.trainer import Trainer, TrainingOptions

WHITE = np.ones((WINDOW, WINDOW // 2 + 1), dtype=np.float32)
OWN_SD = 20.0


def scan_noise(size=128, sd=OWN_SD):
    return ScanNoise(np.full((size, size), sd, dtype=np.float32), WHITE)


def flat_pair(seed=0, size=128, name="ct_chest_one-000-0", degraded=None):
    """A scan of 40 HU with white noise of 20 HU, without noise of a lower dose."""
    noise = np.random.default_rng(seed).normal(0, OWN_SD, (size, size))
    scan = np.rint(40 + noise).astype(np.int16)
    prior, body = np.zeros((2, size, size), dtype=np.uint8), np.ones((size, size), dtype=bool)
    return Pair(name, scan, scan if degraded is None else degraded, prior, body, scan_noise=scan_noise(size))


@pytest.mark.parametrize("share", [0.5, 1.0, None])
def test_the_noises_of_input_and_target_are_uncorrelated(share):
    random = np.random.default_rng(1)
    clean = np.full((256, 256), 40.0, dtype=np.float32)
    scan = clean + random.normal(0, OWN_SD, clean.shape).astype(np.float32)
    lower_dose = random.normal(0, 30.0, clean.shape).astype(np.float32)
    given, target = recorrupted(scan + lower_dose, scan, scan_noise(256), random, share)
    covariance = np.mean((given - clean) * (target - clean))
    assert abs(covariance) < 0.03 * OWN_SD**2, "that of the scan itself is OWN_SD squared"


def test_noise_that_is_measured_too_weak_or_too_strong_stays_correlated():
    random = np.random.default_rng(2)
    scan = random.normal(0, OWN_SD, (256, 256)).astype(np.float32)
    for factor, sign in ((0.5, 1), (1.5, -1)):
        given, target = recorrupted(scan, scan, scan_noise(256, factor * OWN_SD), random, 1.0)
        assert sign * np.mean(given * target) > 0.5 * OWN_SD**2


def patches(pair, count=64, **changes):
    """Input and target, (count, H, W) HU less the 40 HU of the scan."""
    task = DoseTask(recorrupts=True)
    task.augmentation = replace(task.augmentation, lesions=None, foreign_texture_share=0.0, **changes)
    given, target, _ = PatchSampler(task, [pair], 64, count, 0.0, 1).batch(0)
    return [1000.0 * (one[:, 0].numpy() - 1.04) for one in (given, target)]


def test_patches_are_recorrupted_and_range_from_no_noise_added_to_a_twentieth_of_the_dose():
    given, target = patches(flat_pair(), residual_range=(1.0, 1.0), texture_blur_pixels=0.0, texture_sharpening=0.0)
    assert abs(np.mean(given * target)) < 0.1 * np.mean(target**2)
    strengths = given.std(axis=(1, 2)) / OWN_SD
    assert strengths.min() < 1.5, "n0 and z alone give at most 1.41"
    assert 3.0 < strengths.max() < np.sqrt(20.0 + 1.0) * 1.1


def test_where_the_dose_was_simulated_its_noise_is_used_and_turned_over():
    simulated = np.full((128, 128), 100, dtype=np.int16)  # "noise" of known sign
    pair = replace(flat_pair(), degraded=flat_pair().clean + simulated)
    plain = {"residual_range": (1.0, 1.0), "texture_blur_pixels": 0.0, "texture_sharpening": 0.0}
    means = patches(pair, lower_dose_share=0.0, **plain)[0].mean(axis=(1, 2))
    assert np.abs(np.abs(means) - 100).max() < 5 and (means > 0).any() and (means < 0).any()


def test_the_target_is_not_cut_off_at_air():
    pair = flat_pair()
    pair = replace(pair, clean=np.full_like(pair.clean, -1100), degraded=np.full_like(pair.clean, -1100))
    task = DoseTask(recorrupts=True)
    given, target, _ = to_tensors(pair, task)
    assert float(given.min()) == 0.0 and float(target.min()) == pytest.approx(-0.1)


@pytest.fixture(scope="module")
def pair_file(tmp_path_factory):
    """A validation pair as the cache keeps it."""
    pair, path = flat_pair(), tmp_path_factory.mktemp("pairs") / "ct_chest_one-000-0.npz"
    arrays = {"clean": pair.clean, "degraded": pair.degraded, "prior": pair.prior, "body": pair.body}
    np.savez(path, intensity=np.array([-1000.0, 1000.0]), validation=True, **arrays)
    return path


def test_validation_pairs_are_recorrupted_once_and_alike(pair_file):
    (one,), (other,) = (load_pairs([pair_file], DoseTask(recorrupts=True))[1] for _ in range(2))
    np.testing.assert_array_equal(one.clean, other.clean)
    assert abs(np.mean((one.degraded - 40.0) * (one.clean - 40.0))) < 0.15 * OWN_SD**2
    (plain,) = load_pairs([pair_file], DoseTask())[1]
    np.testing.assert_array_equal(plain.clean, plain.degraded)


def test_slices_that_are_not_simulated_stay_as_they_are_and_get_no_prior():
    task, kinds = DoseTask(recorrupts=True), []
    for place in range(40):
        clean = CleanSlice(f"ct_chest_{place}", np.full((32, 32), 40, dtype=np.int16), 1.0, (0.7, 0.7), False)
        kinds.append(task.has_prior(clean))
        if not kinds[-1]:
            np.testing.assert_array_equal(task.degrade(clean, 0).degraded, clean.pixels)
    assert 2 <= sum(kinds) <= 16
    assert DoseTask().has_prior(clean), "a training towards the scans simulates all"


def test_a_network_learns_to_take_away_what_its_targets_show(tmp_path):
    """With the scan itself as the target its noise stays; recorrupted, most of it goes: the point of it all."""
    noisy = [flat_pair(seed, name=f"ct_chest_{seed}-000-0") for seed in range(6)]
    left = {}
    for recorrupts in (True, False):
        task = training_task("ct-denoise", recorrupts=recorrupts)
        task.augmentation = replace(
            task.augmentation, lesions=None, lower_dose_share=0.0, turns_noise_over=False, foreign_texture_share=0.0
        )
        pairs = noisy if recorrupts else [replace(pair, scan_noise=None) for pair in noisy]
        small = replace(task.architecture, levels=1, channels=8, prior_channels=8, groups=1, heads=2, window=8)
        options = TrainingOptions(steps=80, batch_size=4, patch_size=64, learning_rate=3e-3, warm_up=5, seed=1)
        file = tmp_path / f"{recorrupts}.state"
        trainer = Trainer(task, small, options, pairs, [], file, torch.device("cpu"))
        assert trainer.run()
        given, _, prior = to_tensors(flat_pair(99), task)
        with torch.inference_mode():
            left[recorrupts] = float(1000 * trainer.average(given[None], prior[None]).std())
        if recorrupts:
            card = training_card(trainer, pairs, [], None)
            assert card["training"]["loss"].startswith("Huber")
            assert card["degradation"]["targets"].startswith("recorrupted")
            assert card["degradation"]["dose_range"][0] == 0.05
    assert left[False] > 0.9 * OWN_SD
    assert left[True] < 0.7 * OWN_SD


@pytest.mark.parametrize("name, context", [("mr-sr2", 0), ("ct-denoise", 1)])
def test_recorrupted_targets_for_anything_else_are_refused(name, context):
    with pytest.raises(UserError, match="ct-denoise without neighbours"):
        training_task(name, context, recorrupts=True)

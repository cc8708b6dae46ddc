"""Training for real, on a few synthetic scans: pairs, exact resume, weights that load, a card that tells all."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.network.checkpoint import card_path, load_checkpoint
from LRformerSlicerLib.network.lrformer import LRformerArchitecture
from LRformerSlicerLib.training.pair_cache import fill_pair_cache
from LRformerSlicerLib.training.patches import PatchSampler, load_pairs
from LRformerSlicerLib.training.trainer import Trainer, TrainingOptions

SMALL = LRformerArchitecture(channels=16, groups=1, blocks=2, window=8)


def write_scan(path, slices, seed):
    """A body with an organ in air, HU, 96 x 96 pixels of 5 mm."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    volume = np.full((slices, 96, 96), -1000.0)
    volume[:, ((y - 48) / 34) ** 2 + ((x - 48) / 42) ** 2 < 1] = 40.0
    volume[:, ((y - 40) / 9) ** 2 + ((x - 50 - seed) / 12) ** 2 < 1] = 110.0
    image = sitk.GetImageFromArray((volume + random.normal(0, 3, volume.shape)).astype(np.int16))
    image.SetSpacing((5.0, 5.0, 5.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    write_scan(folder / "ct_abdomen_one.nii.gz", 2, 0)
    write_scan(folder / "ct_chest_nysbu_A062055_1.nii.gz", 1, 5)
    return folder


@pytest.fixture(scope="module")
def pairs(scans, tmp_path_factory):
    cache = tmp_path_factory.mktemp("pairs")
    return load_pairs(fill_pair_cache(scans, cache, realisations=2, processes=1))


def trainer(pairs, state, steps=12, **changes):
    chosen = {"batch_size": 2, "patch_size": 32, "warm_up": 2, "validate_every": 6, "save_every": 3, **changes}
    return Trainer(SMALL, TrainingOptions(steps=steps, **chosen), *pairs, state, torch.device("cpu"))


def test_pairs_split_by_patient_and_hold_a_prior(pairs):
    training, validation = pairs
    assert [pair.name for pair in training] == [f"ct_abdomen_one-00{i}-{r}" for i in range(2) for r in range(2)]
    assert [pair.name for pair in validation] == ["ct_chest_nysbu_A062055_1-000-0"]
    for pair in training + validation:
        noise = (pair.degraded.astype(float) - pair.clean)[pair.body]
        assert 0.5 < noise.std() < 200.0
        assert pair.prior.shape == (2, 96, 96) and pair.prior.max() > 0
    assert np.abs(training[0].degraded.astype(int) - training[1].degraded).max() > 0, "realisations differ"


def test_a_second_filling_makes_nothing(scans, tmp_path):
    files = fill_pair_cache(scans, tmp_path, realisations=1, processes=1)
    stamps = [file.stat().st_mtime_ns for file in files]
    assert [file.stat().st_mtime_ns for file in fill_pair_cache(scans, tmp_path, 1, 1)] == stamps


def test_batches_depend_on_seed_and_step_alone(pairs):
    first, again, other = (PatchSampler(pairs[0], 32, 2, 0.2, seed) for seed in (0, 0, 1))
    first.batch(0)
    for ours, theirs in zip(first.batch(7), again.batch(7), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(first.batch(7)[0], other.batch(7)[0])


def test_blank_priors_come_at_the_stated_rate(pairs):
    sampler = PatchSampler(pairs[0], 96, 1, 0.3, seed=2)
    blank = [float(sampler.batch(step)[2].abs().max()) == 0.0 for step in range(300)]
    assert np.mean(blank) == pytest.approx(0.3, abs=0.08)


def test_resuming_is_exact_to_the_bit(pairs, tmp_path):
    straight = trainer(pairs, tmp_path / "straight.state")
    assert straight.run()
    interrupted = trainer(pairs, tmp_path / "interrupted.state")
    ticks = iter(range(100))
    interrupted._train_step_original = interrupted._train_step

    def stop_after_seven():
        if next(ticks) == 7:
            raise KeyboardInterrupt
        return interrupted._train_step_original()

    interrupted._train_step = stop_after_seven
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    resumed = trainer(pairs, tmp_path / "interrupted.state")
    assert resumed.step == 6, "the last saved step"
    assert resumed.run()
    for name, tensor in straight.average.state_dict().items():
        assert torch.equal(tensor, resumed.average.state_dict()[name]), name
    assert straight.history[-1]["psnr_db"] == resumed.history[-1]["psnr_db"]


def test_training_learns(pairs, tmp_path):
    """Denoising of a patient that was not trained on gets better than leaving the slice alone, by 1 dB and more."""
    many = {"batch_size": 4, "patch_size": 64, "warm_up": 10, "validate_every": 1000, "save_every": 1000}
    learner = trainer(pairs, tmp_path / "learn.state", steps=150, learning_rate=2e-3, **many)
    before = learner.validate()["psnr_db"]
    learner.run()
    assert learner.validate()["psnr_db"] > before + 1.0


def test_a_deadline_in_the_past_stops_at_once_and_saves(pairs, tmp_path):
    late = trainer(pairs, tmp_path / "late.state")
    assert late.run(deadline=0.0) is False
    assert late.step == 0 and (tmp_path / "late.state").exists()


def test_state_of_another_seed_is_refused(pairs, tmp_path):
    trainer(pairs, tmp_path / "a.state").save()
    with pytest.raises(UserError, match="another architecture or seed"):
        trainer(pairs, tmp_path / "a.state", seed=1)


def test_the_command_writes_weights_card_and_curve(scans, tmp_path):
    out = tmp_path / "weights" / "ct-denoise.safetensors"
    command = [sys.executable, "-m", "LRformerSlicerLib", "train", "--task", "ct-denoise", "--data", str(scans)]
    command += ["--out", str(out), "--steps", "4", "--batch-size", "1", "--patch-size", "64", "--channels", "16"]
    command += ["--groups", "1", "--blocks", "1", "--processes", "1", "--threads", "1", "--device", "cpu"]
    folder = next(path for path in sys.path if (os.path.isdir(os.path.join(path, "LRformerSlicerLib"))))
    environment = {**os.environ, "PYTHONPATH": folder}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded = load_checkpoint(out, "ct-denoise")
    card = json.loads(card_path(out).read_text(encoding="utf-8"))
    assert card["sha256"] == loaded.sha256
    assert card["training"]["steps"] == 4 and card["degradation"]["dose_range"] == [0.1, 0.5]
    assert [entry["scan"] for entry in card["data"]] == ["ct_abdomen_one"]
    assert out.with_suffix(".csv").read_text(encoding="utf-8").startswith("step,seconds,l1_hu")
    assert out.with_suffix(".png").stat().st_size > 1000


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(UserError, match="no ct_"):
        fill_pair_cache(tmp_path, tmp_path / "cache", 1, 1)

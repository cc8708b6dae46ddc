"""Training for real, on a few synthetic scans: pairs, exact resume, weights that load, a card that tells all."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.network.checkpoint import card_path, load_checkpoint
from LRformerSlicerLib.network.lrformer import LRformerArchitecture
from LRformerSlicerLib.training.clean_slices import CleanSlice
from LRformerSlicerLib.training.pack import pack_jobs, write_pack
from LRformerSlicerLib.training.pair_cache import fill_pair_cache, folder_jobs, on_grid
from LRformerSlicerLib.training.patches import PatchSampler, load_pairs, to_tensors
from LRformerSlicerLib.training.process_group import ProcessShare
from LRformerSlicerLib.training.task_choice import training_task
from LRformerSlicerLib.training.trainer import Trainer, TrainingOptions, _spectrum_error

SMALL = LRformerArchitecture(channels=12, prior_channels=12, groups=1, blocks=2, window=8)
TASKS = ("ct-denoise", "mr-sr2", "mr-sr4", "mr-artifact")
REALISATIONS = {"ct-denoise": 2}


def write_ct(path, slices, seed):
    """A body with an organ in air, HU, 96 x 96 pixels of 5 mm."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    volume = np.full((slices, 96, 96), -1000.0)
    volume[:, ((y - 48) / 34) ** 2 + ((x - 48) / 42) ** 2 < 1] = 40.0
    volume[:, ((y - 40) / 9) ** 2 + ((x - 50 - seed) / 12) ** 2 < 1] = 110.0
    image = sitk.GetImageFromArray((volume + random.normal(0, 3, volume.shape)).astype(np.int16))
    image.SetSpacing((5.0, 5.0, 5.0))
    sitk.WriteImage(image, str(path))


def write_mr(path, slices, seed):
    """A head with ventricles and a lesion on a dim noisy background, 70 x 82 pixels of 0.9 mm, thick slices."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:82, :70]
    volume = np.full((slices, 82, 70), 5.0)
    volume[:, ((y - 40) / 36) ** 2 + ((x - 35) / 30) ** 2 < 1] = 600.0
    volume[:, ((y - 38) / 12) ** 2 + ((x - 33) / 7) ** 2 < 1] = 150.0
    volume[:, ((y - 55) / 4) ** 2 + ((x - 20 - seed) / 4) ** 2 < 1] = 900.0
    noise = random.normal(0, 6, (2, *volume.shape))
    image = sitk.GetImageFromArray(np.rint(np.hypot(volume + noise[0], noise[1])).astype(np.int16))
    image.SetSpacing((0.9, 0.9, 5.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    write_ct(folder / "ct_abdomen_one.nii.gz", 2, 0)
    write_ct(folder / "ct_chest_nysbu_A062055_1.nii.gz", 1, 5)
    write_mr(folder / "mr_flair_one.nii.gz", 2, 0)
    write_mr(folder / "mr_t1_seg3d.nii.gz", 2, 3)
    return folder


@pytest.fixture(scope="module")
def jobs_of(scans, tmp_path_factory):
    """The pairs of a task, made: its jobs."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = folder_jobs(
                training_task(name), scans, tmp_path_factory.mktemp("pairs"), REALISATIONS.get(name, 1)
            )
            fill_pair_cache(made[name], processes=2)
        return made[name]

    return of


@pytest.fixture(scope="module")
def pairs(jobs_of):
    return load_pairs([job.file for job in jobs_of("ct-denoise")], training_task("ct-denoise"))


def trainer(pairs, state, steps=12, task="ct-denoise", **changes):
    chosen = {"batch_size": 2, "patch_size": 32, "warm_up": 2, "validate_every": 6, "save_every": 3, **changes}
    task = training_task(task)
    architecture = replace(SMALL, scale=task.scale)
    return Trainer(task, architecture, TrainingOptions(steps=steps, **chosen), *pairs, state, torch.device("cpu"))


def test_pairs_split_by_patient_and_hold_a_prior(pairs):
    training, validation = pairs
    assert [pair.name for pair in training] == [f"ct_abdomen_one-00{i}-{r}" for i in range(2) for r in range(2)]
    assert [pair.name for pair in validation] == ["ct_chest_nysbu_A062055_1-000-0"]
    for pair in training + validation:
        noise = (pair.degraded.astype(float) - pair.clean)[pair.body]
        assert 0.5 < noise.std() < 200.0
        assert pair.prior.shape == (2, 96, 96) and pair.prior.max() > 0
    assert np.abs(training[0].degraded.astype(int) - training[1].degraded).max() > 0, "realisations differ"


def test_a_spectrum_term_joins_the_loss_and_not_the_reported_error(pairs, tmp_path):
    """In the first step only the gradient differs; and the term of white noise does not depend on the patch's size."""
    plain = trainer(pairs, tmp_path / "plain.state")
    mixed = trainer(pairs, tmp_path / "mixed.state", frequency_loss=0.5)
    assert plain.train_step() == mixed.train_step()
    gradients = [
        torch.cat([one.grad.flatten() for one in found.network.parameters() if one.grad is not None])
        for found in (plain, mixed)
    ]
    assert not torch.equal(*gradients)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 1, 256, 256)))
    found = [float(_spectrum_error(one, torch.zeros_like(one))) for one in (noise, noise[..., :64, :64])]
    # The modulus of a complex Gaussian of SD 0.1: Rayleigh's mean.
    assert found == pytest.approx([0.1 * np.sqrt(np.pi) / 2] * 2, rel=0.03)


@pytest.mark.parametrize("name", ["mr-sr2", "mr-sr4", "mr-artifact"])
def test_mr_pairs_are_normalised_as_the_engine_does_and_aligned(jobs_of, name):
    """The degraded slice spans 0 to 1, the clean one has scale times its pixels and shows the same place."""
    task = training_task(name)
    training, validation = load_pairs([job.file for job in jobs_of(name)], training_task(name))
    assert len(training) == 2 and len(validation) == 1, "two thick slices; two thin ones averaged"
    for pair in training + validation:
        rows, columns = pair.body.shape
        assert pair.clean.shape == (task.scale * rows, task.scale * columns)
        degraded, clean, prior = (tensor.numpy() for tensor in to_tensors(pair, task))
        low, high = np.percentile(degraded[0][pair.body], (0.5, 99.5))
        assert low == pytest.approx(0.0, abs=0.15) and high == pytest.approx(1.0, abs=0.15)
        blocks = clean[0].reshape(rows, task.scale, columns, task.scale).mean(axis=(1, 3))
        assert np.corrcoef(blocks.ravel(), degraded.ravel())[0, 1] > 0.8
        assert prior.shape == (2, rows, columns) and prior.max() > 0


def test_the_intensities_are_those_that_the_engine_finds(scans, jobs_of):
    """A volume of the same degraded slices gets the same scaling from the engine's own search."""
    from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
    from LRformerSlicerLib.training.clean_slices import mr_slices

    task = training_task("mr-sr2")
    slices = [one for one in mr_slices(scans) if one.name.startswith("mr_flair_one")]
    seed = task.seed(slices[0], 0)
    share = task.degrade(slices[0], 0).recipe["noise_share"]
    from LRformerSlicerLib.degradation.mr import truncate_kspace

    volume = np.stack(
        [truncate_kspace(one.pixels[:82, :70], 2, seed + 1 + place, share) for place, one in enumerate(slices)]
    )
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing((1.8, 1.8, 5.0))
    found = Restorer().produce_prior(image, RestorationOptions(task="mr-sr2", samples=1, device="cpu"), modality="MR")
    with np.load(jobs_of("mr-sr2")[0].file) as pair:
        zero, unit = pair["intensity"]
    assert found.report["intensity"] == {"zero": pytest.approx(zero), "unit": pytest.approx(unit)}


def test_a_second_filling_makes_nothing(jobs_of):
    jobs = jobs_of("mr-sr2")
    stamps = [job.file.stat().st_mtime_ns for job in jobs]
    files = fill_pair_cache(jobs, 1)
    assert [file.stat().st_mtime_ns for file in files] == stamps


def test_a_pair_of_another_version_or_a_damaged_one_is_made_again(jobs_of, tmp_path):
    jobs = [replace(job, file=tmp_path / job.file.name) for job in jobs_of("mr-sr2")]
    for job, made in zip(jobs, jobs_of("mr-sr2"), strict=True):
        shutil.copy(made.file, job.file)
    with np.load(jobs[0].file) as pair:
        stored = dict(pair)
    np.savez(jobs[0].file, **{**stored, "version": stored["version"] - 1, "clean": np.zeros((2, 2), dtype=np.int16)})
    jobs[1].file.write_bytes(jobs[1].file.read_bytes()[:-200])
    fill_pair_cache(jobs, 1)
    for job, made in zip(jobs, jobs_of("mr-sr2"), strict=True):
        with np.load(job.file) as one, np.load(made.file) as other:
            np.testing.assert_array_equal(one["clean"], other["clean"])


@pytest.mark.parametrize("name", TASKS)
def test_packed_training_equals_unpacked_training_bit_for_bit(jobs_of, tmp_path, name):
    task, jobs = training_task(name), jobs_of(name)
    write_pack(tmp_path / "packed.npz", task, jobs)
    opened = pack_jobs(task, tmp_path / "packed.npz", tmp_path / "cache", REALISATIONS.get(name, 1))
    assert [job.file.name for job in opened] == [job.file.name for job in jobs]
    ways = []
    for way, files in enumerate((fill_pair_cache(jobs, 1), fill_pair_cache(opened, 1))):
        ways.append(trainer(load_pairs(files, training_task(name)), tmp_path / f"{way}.state", steps=4, task=name))
        ways[-1].run()
    folder, packed = (way.network.state_dict() for way in ways)
    for tensor in folder:
        assert torch.equal(folder[tensor], packed[tensor]), tensor
    assert ways[0].history[-1]["psnr_db"] == ways[1].history[-1]["psnr_db"]


def test_a_pack_of_something_else_is_refused(jobs_of, tmp_path):
    pack = tmp_path / "packed.npz"
    write_pack(pack, training_task("mr-sr2"), jobs_of("mr-sr2"))
    with pytest.raises(UserError, match="packed for mr-sr2, not for mr-artifact"):
        pack_jobs(training_task("mr-artifact"), pack, tmp_path, 1)
    with pytest.raises(UserError, match="1 realisations of each slice, not 3"):
        pack_jobs(training_task("mr-sr2"), pack, tmp_path, 3)
    pack.write_bytes(pack.read_bytes()[:-200])
    with pytest.raises(UserError, match="not a complete packed training"):
        pack_jobs(training_task("mr-sr2"), pack, tmp_path, 1)


def test_a_prior_is_taken_to_another_grid_of_the_same_extent():
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype=np.uint8), (2, 12, 20))
    coarser = on_grid(ramp, (6, 10))
    assert coarser.dtype == np.uint8 and coarser.shape == (2, 6, 10)
    assert np.abs(coarser[:, :, 1:-1].astype(int) - (5 + 20 * np.arange(1, 9))).max() <= 1, "means of two pixels"
    assert on_grid(ramp, (12, 20)) is ramp


def test_slices_can_be_chosen_and_left_without_a_prior(scans, jobs_of, tmp_path):
    """One slice a patient, every other with a prior; a pair that lacks the prior that it is to have is made again."""
    task = training_task("mr-sr2")
    jobs = folder_jobs(task, scans, tmp_path, 2, slices_a_patient=1, prior_every=2)
    assert [(job.clean.name, job.has_prior) for job in jobs] == [
        ("mr_flair_one-k000", True),
        ("mr_flair_one-k000", True),
        ("mr_t1_seg3d-k000", False),
    ]
    files = fill_pair_cache(jobs, processes=1)
    training, validation = load_pairs(files, task)
    assert training[0].prior.any() and not validation[0].prior.any()
    for pair in training + validation:
        assert pair.prior.shape[1:] == pair.degraded.shape
    assert np.array_equal(training[0].prior, training[1].prior), "that of the first realisation"
    untouched = files[0].stat().st_mtime_ns
    load_pairs(fill_pair_cache(folder_jobs(task, scans, tmp_path, 1), processes=1), task)
    assert files[0].stat().st_mtime_ns == untouched
    assert load_pairs(files, task)[1][0].prior.any(), "made again, for now it is to have one"


@pytest.mark.parametrize("name", TASKS)
def test_patches_keep_both_grids_aligned(jobs_of, name):
    """Also where patches are larger than the slices, which are then mirrored."""
    task = training_task(name)
    training, _ = load_pairs([job.file for job in jobs_of(name)], training_task(name))
    size = 24 if task.scale > 1 else 96
    degraded, clean, prior = PatchSampler(task, training, size, 6, 0.0, seed=1).batch(0)
    assert degraded.shape == (6, 1, size, size) and prior.shape == (6, 2, size, size)
    assert clean.shape == (6, 1, size * task.scale, size * task.scale)
    coarse = torch.nn.functional.avg_pool2d(clean, task.scale)
    for one, other in zip(coarse, degraded, strict=True):
        assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.8


def test_batches_depend_on_seed_and_step_alone(pairs):
    task = training_task("ct-denoise")
    first, again, other = (PatchSampler(task, pairs[0], 32, 2, 0.2, seed) for seed in (0, 0, 1))
    first.batch(0)
    for ours, theirs in zip(first.batch(7), again.batch(7), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(first.batch(7)[0], other.batch(7)[0])


def test_blank_priors_come_at_the_stated_rate(pairs):
    sampler = PatchSampler(training_task("ct-denoise"), pairs[0], 96, 1, 0.3, seed=2)
    blank = [float(sampler.batch(step)[2].abs().max()) == 0.0 for step in range(300)]
    assert np.mean(blank) == pytest.approx(0.3, abs=0.08)


@pytest.mark.parametrize("name", ["ct-denoise", "mr-sr2"])
def test_resuming_is_exact_to_the_bit(jobs_of, tmp_path, name):
    pairs = load_pairs([job.file for job in jobs_of(name)], training_task(name))
    straight = trainer(pairs, tmp_path / "straight.state", task=name)
    assert straight.run()
    interrupted = trainer(pairs, tmp_path / "interrupted.state", task=name)
    ticks = iter(range(100))
    interrupted.train_step_original = interrupted.train_step

    def stop_after_seven():
        if next(ticks) == 7:
            raise KeyboardInterrupt
        return interrupted.train_step_original()

    interrupted.train_step = stop_after_seven
    with pytest.raises(KeyboardInterrupt):
        interrupted.run()
    resumed = trainer(pairs, tmp_path / "interrupted.state", task=name)
    assert resumed.step == 6, "the last saved step"
    assert resumed.run()
    for name, tensor in straight.average.state_dict().items():
        assert torch.equal(tensor, resumed.average.state_dict()[name]), name
    assert straight.history[-1]["psnr_db"] == resumed.history[-1]["psnr_db"]


def test_training_learns(pairs, tmp_path):
    """Denoising of a patient that was not trained on gets better than leaving the slice alone, by 1 dB and more."""
    many = {"batch_size": 4, "patch_size": 64, "warm_up": 10, "validate_every": 1000, "save_every": 1000}
    learner = trainer(pairs, tmp_path / "learn.state", steps=150, learning_rate=2e-3, **many)
    # Lesions as large as this phantom's organs would be what it has to learn.
    learner.task.augmentation = replace(learner.task.augmentation, lesions=None)
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


def test_starting_from_other_weights_takes_what_fits_and_says_what_does_not(pairs, tmp_path):
    first = trainer(pairs, tmp_path / "first.state", steps=2)
    first.run()
    weights = {name: value.clone() for name, value in first.average.state_dict().items()}
    weights["groups.0.convolution.weight"] = torch.zeros(3, 3)
    second = Trainer(
        first.task,
        SMALL,
        TrainingOptions(steps=2, seed=9),
        *pairs,
        tmp_path / "second.state",
        torch.device("cpu"),
        weights,
    )
    assert second.untaken == ["groups.0.convolution.weight"]
    begun = second.network.state_dict()
    taken = [name for name in weights if name != "groups.0.convolution.weight"]
    assert all(torch.equal(begun[name], weights[name]) for name in taken)
    with pytest.raises(UserError, match="None of the weights to start from fit"):
        Trainer(
            first.task,
            SMALL,
            TrainingOptions(steps=2),
            *pairs,
            tmp_path / "third.state",
            torch.device("cpu"),
            {"x": torch.zeros(1)},
        )


def train_command(*words, launcher=()):
    command = [sys.executable, "-m", *launcher, "LRformerSlicerLib", *(str(word) for word in words)]
    folder = next(path for path in sys.path if (os.path.isdir(os.path.join(path, "LRformerSlicerLib"))))
    environment = {**os.environ, "PYTHONPATH": folder}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


TINY = ("--steps", 4, "--batch-size", 1, "--patch-size", 32, "--channels", 12, "--groups", 1, "--blocks", 1,
        "--processes", 1, "--threads", 1, "--device", "cpu")  # fmt: skip


def test_the_command_writes_weights_card_and_curve(scans, jobs_of, tmp_path):
    out = tmp_path / "weights" / "ct-denoise.safetensors"
    cache = jobs_of("ct-denoise")[0].file.parent
    done = train_command("train", "--task", "ct-denoise", "--data", scans, "--out", out, "--cache", cache, *TINY)
    assert done.returncode == 0, done.stderr
    loaded = load_checkpoint(out, "ct-denoise")
    card = json.loads(card_path(out).read_text(encoding="utf-8"))
    assert card["sha256"] == loaded.sha256
    assert card["training"]["steps"] == 4 and card["degradation"]["dose_range"] == [0.1, 0.5]
    assert [entry["scan"] for entry in card["data"]] == ["ct_abdomen_one"]
    assert out.with_suffix(".csv").read_text(encoding="utf-8").startswith("step,seconds,l1_hu")
    assert out.with_suffix(".png").stat().st_size > 1000


def test_packing_and_training_from_the_pack_by_command(scans, jobs_of, tmp_path):
    """The pack alone is enough, and the card tells of this task's own degradation and data."""
    pack, out, cache = tmp_path / "mr.npz", tmp_path / "mr-sr2.safetensors", jobs_of("mr-sr2")[0].file.parent
    done = train_command("pack", scans, pack, "--task", "mr-sr2", "--cache", cache, "--processes", 1)
    assert done.returncode == 0 and "3 pairs in" in done.stdout, done.stderr
    done = train_command("train", "--task", "mr-sr2", "--data", pack, "--out", out, *TINY)
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(out, "mr-sr2").scale == 2
    card = json.loads(card_path(out).read_text(encoding="utf-8"))
    assert card["degradation"]["factor"] == 2 and "dose_range" not in card["degradation"]
    assert card["data"] == [{"scan": "mr_flair_one", "pairs": 2, "collection": "unknown"}]
    assert card["validation_data"][0]["collection"] == "VolumeRenderingData, MIT"
    assert (card["patients"], card["validation_patients"]) == ({"brain": 1}, {"brain": 1})
    assert np.isfinite(card["validation"]["gain_db"])
    assert out.with_suffix(".csv").read_text(encoding="utf-8").startswith("step,seconds,l1_percent")


def test_every_card_describes_its_own_degradation():
    cards = {name: training_task(name).degradation_card() for name in TASKS}
    assert {"motion", "ghosting", "bias_field", "spikes", "undersampling", "noise"} <= cards["mr-artifact"].keys()
    assert cards["mr-sr2"]["factor"] == 2 and cards["mr-sr4"]["factor"] == 4
    for name, card in cards.items():
        assert json.loads(json.dumps(card)) == card, f"{name}: plain JSON"
        assert name.startswith("ct") or not any("dose" in key or "photons" in key for key in card)


@pytest.mark.parametrize("name, kind", [("ct-denoise", "ct"), ("mr-artifact", "mr")])
def test_a_folder_without_scans_is_refused(tmp_path, name, kind):
    with pytest.raises(UserError, match=f"no {kind}_"):
        folder_jobs(training_task(name), tmp_path, tmp_path / "cache", 1)


def test_an_unknown_task_is_refused():
    with pytest.raises(UserError, match="no task"):
        training_task("mr-sr8")


def test_further_realisations_are_restored_to_a_coarser_grid_in_the_same_units():
    task = training_task("mr-sr2")
    y, x = np.mgrid[:180, :150]
    head = np.where(((y - 90) / 70) ** 2 + ((x - 75) / 55) ** 2 < 1, 500 + 100 * np.sin(x / 9.0), 0).astype(np.int16)
    clean = CleanSlice("head", head, 1.0, (1.0, 1.0), False, [head])
    first, second = (task.degrade(clean, realisation) for realisation in (0, 1))
    assert first.clean.shape == (180, 150)
    assert first.recipe["sharpness"] == 1.0 and second.recipe["sharpness"] < 1.0
    for size, before in zip(second.clean.shape, clean.stored.shape, strict=True):
        assert size == round(before * second.recipe["sharpness"]) // 2 * 2
    assert second.degraded.shape == tuple(size // 2 for size in second.clean.shape)
    body = first.clean > 0.3 * first.clean.max()
    coarse_body = second.clean > 0.3 * second.clean.max()
    assert second.clean[coarse_body].mean() == pytest.approx(first.clean[body].mean(), rel=0.03)


@pytest.mark.parametrize("processes", [2])
def test_processes_under_torchrun_train_the_network_that_one_trains(scans, jobs_of, tmp_path, processes):
    cache, weights = jobs_of("ct-denoise")[0].file.parent, []
    for count in (1, processes):
        out = tmp_path / f"{count}.safetensors"
        launcher = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m") if count > 1 else ()
        done = train_command(
            "train", "--task", "ct-denoise", "--data", scans, "--out", out, "--cache", cache, *TINY,
            "--batch-size", 2, launcher=launcher,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("wrote ") == 1, "only the first process writes"
        weights.append(load_checkpoint(out, "ct-denoise").network.state_dict())
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=2e-4, msg=name)


def test_a_batch_that_cannot_be_divided_is_refused(pairs, tmp_path):
    with pytest.raises(UserError, match="cannot be divided among 3 processes"):
        Trainer(
            training_task("ct-denoise"), SMALL, TrainingOptions(steps=2, batch_size=4), *pairs,
            tmp_path / "x.state", torch.device("cpu"), share=ProcessShare(0, 3),
        )  # fmt: skip


def test_the_device_is_hardly_kept_waiting(pairs, tmp_path):
    busy = trainer(pairs, tmp_path / "busy.state", steps=12)
    busy.run()
    assert 0.5 < busy.busy_share <= 1.0 and 0.0 < busy.seconds_waited < busy.seconds

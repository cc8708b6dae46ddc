"""Neighbouring slices in training: where they come from, what patches make of them, and the network that has them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.__main__ import main
from LRformerSlicerLib.network.lrformer import LRformerArchitecture
from LRformerSlicerLib.training.clean_slices import CleanSlice, ct_slices
from LRformerSlicerLib.training.neighbours import (
    NeighbourKind,
    in_order,
    lesions_in_neighbours,
    nearer,
    sharing_noise,
    with_missing,
)
from LRformerSlicerLib.training.pack import pack_jobs, write_pack
from LRformerSlicerLib.training.pair_cache import PairJob, fill_pair_cache, folder_jobs, pair_file_name
from LRformerSlicerLib.training.patches import Pair, PatchSampler, load_pairs, to_tensors
from LRformerSlicerLib.training.task_choice import training_task
from LRformerSlicerLib.training.trainer import Trainer, TrainingOptions

TASK = training_task("ct-denoise", 1)
SIZE = 96
SLICE_COUNT = 4
SMALL = LRformerArchitecture(channels=12, prior_channels=12, groups=1, blocks=1, window=8, context=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A body whose organ moves from slice to slice, and a scan that is taken without neighbours."""
    folder = tmp_path_factory.mktemp("scans")
    y, x = np.mgrid[:SIZE, :SIZE]
    volume = np.full((SLICE_COUNT, SIZE, SIZE), -1000.0)
    volume[:, ((y - 48) / 34) ** 2 + ((x - 48) / 42) ** 2 < 1] = 40.0
    for place in range(SLICE_COUNT):
        volume[place, ((y - 48) / 9) ** 2 + ((x - 30 - 12 * place) / 8) ** 2 < 1] = 140.0
    for name in ("ct_abdomen_one", "ct_body_weasis"):
        image = sitk.GetImageFromArray(volume.astype(np.int16))
        image.SetSpacing((5.0, 5.0, 5.0))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder


@pytest.fixture(scope="module")
def jobs(folder, tmp_path_factory):
    found = folder_jobs(TASK, folder, tmp_path_factory.mktemp("pairs"), 1)
    fill_pair_cache(found, 2)
    return found


def test_a_slice_has_the_neighbours_that_its_scan_has(folder):
    scan = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "ct_abdomen_one.nii.gz")))
    found = {one.name: one for one in ct_slices(folder, with_neighbours=True)}
    for index in range(SLICE_COUNT):
        neighbours = found[f"ct_abdomen_one-{index:03d}"].neighbours
        if index in (0, SLICE_COUNT - 1):
            assert neighbours == []
        else:
            np.testing.assert_array_equal(neighbours, scan[[index - 1, index + 1]])
    assert all(not one.neighbours for name, one in found.items() if "weasis" in name)


def test_averaged_slices_have_neighbours_that_share_nothing_with_them(tmp_path):
    values = np.arange(15, dtype=np.int16)
    volume = np.broadcast_to(values[:, None, None], (15, 8, 8))
    sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(volume)), str(tmp_path / "ct_chest_rider.nii.gz"))
    first, second, third = ct_slices(tmp_path, with_neighbours=True)
    assert [one.stored[0, 0] for one in (first, second, third)] == [1, 7, 13]
    assert first.neighbours == third.neighbours == []
    assert [plane[0, 0] for plane in second.neighbours] == [4, 10]


def test_neighbours_are_as_noisy_as_their_slice_and_their_noise_is_their_own(jobs):
    training, _ = load_pairs([job.file for job in jobs], TASK)
    with_neighbours = [pair for pair in training if pair.degraded_neighbours is not None]
    assert [pair.name for pair in with_neighbours] == ["ct_abdomen_one-001-0", "ct_abdomen_one-002-0"]
    for pair in with_neighbours:
        own = (pair.degraded - pair.clean.astype(float))[pair.body]
        others = (pair.degraded_neighbours - pair.clean_neighbours.astype(float))[:, pair.body]
        np.testing.assert_allclose(others.std(axis=1), own.std(), rtol=0.1)
        assert np.abs(np.corrcoef([own, *others]) - np.eye(3)).max() < 0.15
        assert not np.array_equal(pair.clean, pair.clean_neighbours[0])


def test_a_pack_keeps_neighbours_and_each_slice_once(jobs, tmp_path):
    pack = tmp_path / "packed.npz"
    write_pack(pack, TASK, jobs)
    with np.load(pack) as packed:
        planes = [name for name in packed.files if name.startswith("plane/")]
    assert len(planes) == SLICE_COUNT, "both scans show the same, and a neighbour is another's slice"
    opened = pack_jobs(TASK, pack, tmp_path / "cache", 1)
    fill_pair_cache(opened, 2)
    for job, again in zip(jobs, opened, strict=True):
        with np.load(job.file) as one, np.load(again.file) as other:
            assert sorted(one.files) == sorted(other.files)
            for name in one.files:
                np.testing.assert_array_equal(one[name], other[name], err_msg=f"{job.file.name} {name}")


@pytest.mark.parametrize("order", ["C", "F"])
def test_slices_of_any_layout_and_of_equal_bytes_are_packed_as_they_are(tmp_path, order):
    """Reformatted slices lie in memory column by column; and (6, 8) zeros are the bytes of (8, 6) zeros."""
    random = np.random.default_rng(0)
    planes = [random.integers(-99, 99, (64, 48)), np.zeros((64, 48)), np.zeros((48, 64))]
    task, found = training_task("mr-sr2"), []
    for place, plane in enumerate(planes):
        clean = CleanSlice(f"mr_one-{place}", np.asarray(plane, np.int16, order=order), 1.0, (1.0, 1.0), False)
        file = tmp_path / pair_file_name(clean.name, 0)
        np.savez(file, intensity=[0.0, 1.0], prior=np.zeros((2, 8, 8), dtype=np.uint8))
        found.append(PairJob(task, clean, 0, file))
    write_pack(tmp_path / "packed.npz", task, found)
    for plane, opened in zip(planes, pack_jobs(task, tmp_path / "packed.npz", tmp_path, 1), strict=True):
        np.testing.assert_array_equal(opened.clean.stored, plane)


def test_planes_go_to_the_network_in_the_order_of_the_slices():
    planes = np.array([5, 3, 4, 6, 7])[:, None, None] * np.ones((1, 2, 2))
    assert in_order(planes)[:, 0, 0].tolist() == [3, 4, 5, 6, 7]
    pair = a_pair(np.zeros((2, 8, 8)))
    pair = replace(pair, degraded_neighbours=np.stack([pair.degraded - 100, pair.degraded + 100]))
    before, own, behind = to_tensors(pair, TASK, 1)[0]
    assert (before < own).all() and (own < behind).all()
    alone = to_tensors(replace(pair, degraded_neighbours=None), TASK, 1)[0]
    assert alone.shape == (3, 8, 8) and torch.equal(alone, own.expand(3, 8, 8))


def a_pair(noise, size=8):
    """A flat slice with flat neighbours 100 HU below and above."""
    clean = np.full((size, size), 40, dtype=np.int16)
    beside = np.stack([clean - 100, clean + 100])
    return Pair(
        "one",
        clean,
        clean,
        np.zeros((2, size, size), dtype=np.uint8),
        np.ones((size, size), dtype=bool),
        0.0,
        beside,
        (beside + noise).astype(np.int16),
    )


def test_neighbours_come_at_every_distance():
    clean = np.stack([np.full((4, 4), value, dtype=np.float32) for value in (0, -10, 20)])
    moved = [nearer(clean, np.random.default_rng(seed)) for seed in range(200)]
    shares = [one[2, 0, 0] / 20 for one in moved]
    np.testing.assert_allclose([one[1, 0, 0] / -10 for one in moved], shares, rtol=1e-5)
    assert all(not one[0].any() for one in moved)
    assert min(shares) < 0.05 and max(shares) > 0.95 and np.mean(shares) == pytest.approx(0.5, abs=0.08)


def test_noise_is_shared_at_the_stated_rate_and_keeps_its_strength():
    random = np.random.default_rng(0)
    noise = random.normal(0, 10, (3, 64, 64)).astype(np.float32)
    kind = NeighbourKind(sharing=0.5, most_shared=0.7)
    found = [sharing_noise(noise, kind, random) for _ in range(1000)]
    correlations = np.array([np.corrcoef(one[0].ravel(), one[1].ravel())[0, 1] for one in found])
    assert (correlations > 0.05).mean() == pytest.approx(0.5 * (1 - 0.05 / 0.7), abs=0.05)
    assert 0.6 < correlations.max() < 0.72
    for one in found:
        np.testing.assert_array_equal(one[0], noise[0])
        np.testing.assert_allclose(one.std(axis=(1, 2)), 10, rtol=0.05)


def test_neighbours_are_missing_at_the_stated_rates():
    planes = np.stack([np.full((2, 2), value) for value in (0, 1, 2)])
    kind = NeighbourKind(missing=0.3, one_missing=0.5)
    found = [with_missing(planes, kind, np.random.default_rng(seed))[:, 0, 0].tolist() for seed in range(1000)]
    rates = {tuple(one): found.count(one) / 1000 for one in found}
    assert rates == {
        (0, 0, 0): pytest.approx(0.3, abs=0.05),
        (0, 0, 2): pytest.approx(0.175, abs=0.04),
        (0, 1, 0): pytest.approx(0.175, abs=0.04),
        (0, 1, 2): pytest.approx(0.35, abs=0.05),
    }
    assert planes[1, 0, 0] == 1, "what was given is not changed"


def test_a_lesion_reaches_into_each_neighbour_by_a_share_of_its_own():
    added = np.ones((4, 4), dtype=np.float32)
    shares = np.array([lesions_in_neighbours(added, 2, np.random.default_rng(seed))[:, 0, 0] for seed in range(300)])
    assert shares.min() < 0.05 and shares.max() > 0.95
    assert abs(np.corrcoef(shares.T)[0, 1]) < 0.2


@pytest.mark.parametrize("size", [64, SIZE + 32])
def test_patches_show_the_same_place_in_all_planes(jobs, size):
    """Cut and, where the slice is smaller, mirrored alike, for slices that are all the same."""
    training, _ = load_pairs([job.file for job in jobs], TASK)
    pair = next(pair for pair in training if pair.clean_neighbours is not None)
    same = replace(pair, clean_neighbours=np.stack([pair.clean] * 2), degraded_neighbours=np.stack([pair.clean] * 2))
    sampler = PatchSampler(TASK, [replace(same, degraded=pair.clean)], size, 20, 0.0, 3, 1)
    degraded, clean, _ = sampler.batch(0)
    assert degraded.shape == (20, 3, size, size) and clean.shape == (20, 1, size, size)
    # Without noise but for lesions, which are in the slice and its target alike.
    assert torch.allclose(degraded[:, 1:2], clean, atol=1e-5)
    without = [place for place in range(20) if torch.allclose(degraded[place, 0], degraded[place, 2], atol=1e-5)]
    assert 2 < len(without) < 20
    assert all(torch.allclose(degraded[place, 0], clean[place, 0], atol=1e-5) for place in without)


def test_a_network_for_single_slices_sees_nothing_of_neighbours(jobs):
    training, _ = load_pairs([job.file for job in jobs], TASK)
    stripped = [replace(pair, clean_neighbours=None, degraded_neighbours=None) for pair in training]
    for ours, theirs in zip(
        PatchSampler(TASK, training, 32, 4, 0.2, 5).batch(3),
        PatchSampler(TASK, stripped, 32, 4, 0.2, 5).batch(3),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_two_neighbours_each_side_are_refused():
    with pytest.raises(ValueError, match="one neighbour each side, not 2"):
        PatchSampler(TASK, [], 32, 4, 0.2, 5, 2)


@pytest.mark.parametrize("levels", [1, 2])
def test_weights_of_single_slices_start_a_network_that_does_the_same(jobs, tmp_path, levels):
    """Whatever its neighbours are; and its training changes what it makes of them."""
    torch.manual_seed(0)
    architecture = replace(SMALL, levels=levels)
    alone = replace(architecture, context=0).build()
    torch.nn.init.normal_(alone.reconstruction.weight, std=0.1)
    pairs = load_pairs([job.file for job in jobs], TASK)
    options = TrainingOptions(steps=3, batch_size=2, patch_size=32, warm_up=1)
    trainer = Trainer(
        TASK, architecture, options, *pairs, tmp_path / "one.state", torch.device("cpu"), alone.state_dict()
    )
    assert trainer.untaken == []
    image, prior = torch.rand(1, 3, 32, 32), torch.rand(1, 2, 32, 32)
    assert torch.allclose(trainer.network(image, prior), alone(image[:, 1:2], prior), atol=1e-5)
    trainer.run()
    changed = torch.cat([image[:, :2], image[:, 2:] + 0.1], dim=1)
    assert not torch.allclose(trainer.network(image, prior), trainer.network(changed, prior), atol=1e-6)


def test_the_card_says_how_neighbours_were_drawn():
    card = json.loads(json.dumps(TASK.degradation_card()))
    assert card["neighbours"] == {"missing": 0.3, "one_missing": 0.1, "sharing": 0.5, "most_shared": 0.7}
    alone = training_task("ct-denoise")
    assert "neighbours" not in alone.degradation_card()
    assert TASK.limits[-1].startswith("A slice with the two beside it") and alone.limits[-1].startswith("One slice")


def test_pairs_without_neighbours_are_made_again_where_they_are_wanted(folder, tmp_path):
    """And those with neighbours serve a network without."""
    stamps = []
    for context, expected in ((0, False), (1, True), (0, True)):
        task = training_task("ct-denoise", context)
        found = folder_jobs(task, folder, tmp_path, 1)[1]
        assert found.clean.name == "ct_abdomen_one-001"
        [pair], _ = load_pairs(fill_pair_cache([found], 1), task)
        assert (pair.degraded_neighbours is not None) == expected
        stamps.append(found.file.stat().st_mtime_ns)
    assert stamps[0] != stamps[1] == stamps[2]


def test_a_pack_with_neighbours_serves_a_training_without(jobs, tmp_path):
    write_pack(tmp_path / "packed.npz", TASK, jobs)
    opened = pack_jobs(training_task("ct-denoise"), tmp_path / "packed.npz", tmp_path, 1)
    assert not any(job.clean.neighbours for job in opened)
    for job, original in zip(opened, jobs, strict=True):
        np.testing.assert_array_equal(job.clean.stored, original.clean.stored)


def test_a_pack_without_neighbours_is_refused_where_they_are_wanted(folder, tmp_path, capsys):
    task = training_task("ct-denoise")
    jobs = folder_jobs(task, folder, tmp_path / "pairs", 1)[:2]
    fill_pair_cache(jobs, 1)
    write_pack(tmp_path / "packed.npz", task, jobs)
    words = ["train", "--task", "ct-denoise", "--data", tmp_path / "packed.npz", "--context", 1]
    words += ["--out", tmp_path / "a.safetensors", "--processes", 1, "--device", "cpu"]
    assert main([str(word) for word in words]) != 0
    assert "has its neighbours: leave out --context, or pack with it" in capsys.readouterr().err
    assert not (tmp_path / "a.pairs").exists(), "before anything is simulated"


def test_a_task_whose_pairs_have_no_neighbours_refuses_them(folder, tmp_path, capsys):
    words = ["train", "--task", "mr-sr2", "--data", folder, "--out", tmp_path / "a.safetensors", "--context", 1]
    assert main([str(word) for word in words]) != 0
    assert "pairs of mr-sr2 have no neighbours: leave out --context" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""Judging weights: interpolators, scores with intervals, and whole evaluations of networks known to do nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.degradation.mr import truncate_kspace
from LRformerSlicerLib.degradation.mr.ghosting import Pulsation
from LRformerSlicerLib.degradation.mr.mixture import ArtifactMixture
from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.interpolators import interpolators
from LRformerSlicerLib.evaluation.mr_quality import (
    KSPACE_ALONE,
    DegradedScan,
    _found_in_kspace,
    evaluate_mr,
    load_scans,
)
from LRformerSlicerLib.evaluation.quality import (
    IDENTICAL_DB,
    OURS,
    Answer,
    JudgedSlice,
    bootstrap_interval,
    compare,
    table_lines,
)
from LRformerSlicerLib.network.checkpoint import save_checkpoint
from LRformerSlicerLib.restoration.kspace.correction import Correction
from LRformerSlicerLib.restoration.options import RestorationOptions
from LRformerSlicerLib.restoration.tasks import TASKS


@pytest.mark.parametrize("factor", [2, 4])
def test_interpolators_put_a_coarse_slice_where_it_belongs(factor):
    """A band-limited object sampled coarsely comes back; half a fine pixel off would be 3 off."""
    y, x = np.mgrid[:128, :96]
    smooth = 100.0 * np.exp(-((y - 61.3) ** 2 + (x - 50.8) ** 2) / (2 * 10.0**2))
    coarse = truncate_kspace(smooth, factor, seed=0, noise_share=0.0)
    methods = interpolators(factor)
    assert [one.method for one in methods] == ["Cubic B-spline", "Zero-filled k-space", "Lanczos"]
    for method in methods:
        fine = method.apply(coarse)
        assert fine.shape == (128, 96)
        np.testing.assert_allclose(fine, smooth, atol=1.0, err_msg=method.method)


def test_lanczos_reaches_the_edges():
    constant = np.full((20, 30), 7.0)
    for method in interpolators(2):
        np.testing.assert_allclose(method.apply(constant), 7.0, rtol=0.01, err_msg=method.method)


def test_the_bootstrap_interval_is_that_of_the_mean():
    values = np.random.default_rng(3).normal(30.0, 2.0, 100)
    low, high = bootstrap_interval(list(values))
    half = 1.96 * values.std() / 10
    assert low == pytest.approx(values.mean() - half, abs=0.1) and high == pytest.approx(values.mean() + half, abs=0.1)


def judged(seed):
    random = np.random.default_rng(seed)
    reference = random.uniform(0.2, 0.8, (40, 40)).astype(np.float32)
    return JudgedSlice(str(seed), reference, reference + np.float32(0.02), np.ones((40, 40), dtype=bool))


def test_methods_are_compared_slice_by_slice():
    slices = [judged(seed) for seed in range(5)]
    answers = {
        "input": Answer("", [one.degraded for one in slices]),
        "perfect": Answer("", [one.reference for one in slices]),
        OURS: Answer("half the error", [one.reference + 0.01 for one in slices]),
    }
    rows = compare(answers, slices, (0.0, 1.0))
    assert rows["input"]["psnr_db"] == pytest.approx(20 * np.log10(1 / 0.02), abs=0.01)
    assert rows["input"]["rmse"] == pytest.approx(0.02, abs=1e-4)
    assert rows["input"]["lrformer_gain_db"] == pytest.approx(20 * np.log10(2), abs=0.01)
    low, high = rows["input"]["lrformer_gain_interval_db"]
    assert low <= rows["input"]["lrformer_gain_db"] <= high
    assert rows["perfect"]["haarpsi"] == pytest.approx(1.0) and rows["input"]["haarpsi"] < 1.0
    assert rows["perfect"]["psnr_db"] == IDENTICAL_DB and "lrformer_gain_db" not in rows[OURS]
    result = {"degradation": "none", "window": [0, 1], "unit": "x", "slices": ["a"] * 5, "methods": rows}
    lines = list(table_lines(result))
    assert len(lines) == 5 and "LRformer +6.02 dB" in lines[2]


@pytest.fixture
def mr_folder(tmp_path):
    """Test and train folders with a head each, named as the scans to judge."""
    y, x = np.mgrid[:90, :78]
    for part, name, seed in (("test", "mr_t1_cptac03728", 1), ("train", "mr_flair_fernando", 2)):
        (tmp_path / part).mkdir()
        volume = np.zeros((6, 90, 78))
        volume[:, ((y - 45) / 38) ** 2 + ((x - 38) / 32) ** 2 < 1] = 600.0
        volume[:, ((y - 40) / 14) ** 2 + ((x - 35 - seed) / 8) ** 2 < 1] = 200.0
        noise = np.random.default_rng(seed).normal(0, 4, (2, *volume.shape))
        image = sitk.GetImageFromArray(np.rint(np.hypot(volume + noise[0], noise[1])).astype(np.int16))
        image.SetSpacing((0.9, 0.9, 5.0))
        sitk.WriteImage(image, str(tmp_path / part / f"{name}.nii.gz"))
    return tmp_path


def untrained(small_network, path, task, scale):
    """A network that returns its input, or its interpolation."""
    network = small_network(scale)
    torch.nn.init.zeros_(network.reconstruction.weight)
    save_checkpoint(path, network, {"name": "nothing", "task": task})
    return path


def untimed(result):
    """Its methods' scores, without the seconds they took."""
    return {name: {**row, "seconds": None} for name, row in result["methods"].items()}


def test_a_network_that_does_nothing_scores_as_the_input(mr_folder, small_network, tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "mr-artifact", replace(TASKS["mr-artifact"], mends_kspace=False))
    model = untrained(small_network, tmp_path / "nothing.safetensors", "mr-artifact", 1)
    options = RestorationOptions(task="mr-artifact", model=model, prior="none", device="cpu")
    result = evaluate_mr(mr_folder, options)
    assert len(result["slices"]) == 8 and len(set(result["slices"])) == 8, "four slices under two mixtures"
    methods = result["methods"]
    assert methods.keys() == {"input", "Gaussian", "Median", "CurvatureAnisotropicDiffusion", KSPACE_ALONE, OURS}
    assert methods[OURS]["per_slice_psnr_db"] == pytest.approx(methods["input"]["per_slice_psnr_db"], abs=0.02)
    assert 10.0 < methods["input"]["psnr_db"] < 45.0
    assert result["clean_input"]["worst_psnr_db"] > 90.0
    assert untimed(evaluate_mr(mr_folder, options)) == untimed(result), "fixed seeds"


def test_the_command_judges_super_resolution_and_writes_the_card(mr_folder, small_network, lrformer, tmp_path):
    """A network that does nothing interpolates bicubically: near the cubic B-spline, hence on the same grid."""
    model = untrained(small_network, tmp_path / "nothing.safetensors", "mr-sr2", 2)
    code, printed, complaint = lrformer(
        "evaluate", "--task", "mr-sr2", "--data", mr_folder, "--model", model, "--prior", "none", "--device", "cpu",
        "--report", tmp_path / "report.json", "--write-card",
    )  # fmt: skip
    assert (code, complaint) == (0, "")
    methods = json.loads((tmp_path / "report.json").read_text())["methods"]
    assert methods.keys() == {"Cubic B-spline", "Zero-filled k-space", "Lanczos", OURS}
    assert methods[OURS]["psnr_db"] == pytest.approx(methods["Cubic B-spline"]["psnr_db"], abs=1.5)
    assert methods["Cubic B-spline"]["psnr_db"] > 18.0
    assert "4 slices, 2 times fewer k-space samples" in printed and "Lanczos" in printed
    scores = json.loads(model.with_suffix(".json").read_text())["scores"]
    assert next(iter(scores)).endswith("prior none")


def test_a_folder_without_the_scans_is_refused(tmp_path):
    with pytest.raises(UserError, match="None of the MR scans"):
        load_scans(tmp_path, ("mr_t1gd_vsseg",), 2, 2)


def test_what_is_found_in_kspace_is_counted_by_kind_and_truth():
    """Ghosts in two slices, found in one of them; spikes found where there are none; no lines missing."""
    pulsating = ArtifactMixture((8, 8), pulsation=Pulsation(0.2, 3.0, 0.0))
    scans = [DegradedScan(None, np.zeros((2, 8, 8)), "", mixture) for mixture in (pulsating, ArtifactMixture((8, 8)))]
    corrections = [
        [Correction(None, ghosts=True), Correction(None)],
        [Correction(None, spikes=3), Correction(None)],
    ]
    assert _found_in_kspace(scans, corrections) == {
        "spikes": {"slices": 0, "found": 0, "false": 1},
        "ghosts": {"slices": 2, "found": 1, "false": 0},
        "missing lines": {"slices": 0, "found": 0, "false": 0},
    }

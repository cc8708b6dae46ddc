"""Maps of which it is known what they know about errors of which it is known how large they are."""

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from LRformerSlicerLib.evaluation.fidelity.reliability import (
    CEILING,
    NO_EXTRA_PASS,
    ONE_EXTRA_PASS,
    coverage_of,
    evaluate_reliability,
    judge_maps,
    maps_of,
    reliability_lines,
)
from LRformerSlicerLib.evaluation.fidelity.reliability_fit import CANDIDATES, best_figures, fit_expected_error
from LRformerSlicerLib.evaluation.fidelity.reliability_measures import (
    ause,
    interval_factor,
    power_law,
    sparsification_curve,
    spearman,
)
from LRformerSlicerLib.evaluation.fidelity.reliability_samples import Sample
from LRformerSlicerLib.network.checkpoint import card_path, save_checkpoint
from LRformerSlicerLib.restoration.expected_error import (
    FEATURES,
    FLIP_FEATURE,
    ExpectedErrorModel,
    error_features,
    error_model_of,
)
from LRformerSlicerLib.restoration.options import RestorationOptions
from LRformerSlicerLib.restoration.self_ensemble import restored_mirrored


@pytest.fixture(scope="module")
def errors():
    """Levels over a decade, and the absolute values of Gaussian errors of these levels."""
    random = np.random.default_rng(0)
    level = 10.0 ** random.uniform(0, 1, 40_000)
    return level, np.abs(random.normal(0, level))


def test_a_perfect_map_has_no_area_and_a_constant_one_all_of_it(errors):
    level, error = errors
    assert ause(error, error) == (0.0, 0.0)
    assert ause(3.0 * error**2, error)[0] == 0.0, "only the order counts"
    assert ause(np.zeros_like(error), error)[1] == pytest.approx(1.0, abs=0.03)
    assert ause(-error, error)[1] > 1.5
    assert 0.1 < ause(level, error)[1] < 0.6
    curve = sparsification_curve(error, error)
    assert curve[0] == pytest.approx(1.0) and np.all(np.diff(curve) <= 0) and curve[-1] < 0.02


def test_spearman_is_that_of_scipy_and_zero_for_a_constant_map(errors):
    from scipy.stats import spearmanr

    level, error = errors
    assert spearman(level, error) == pytest.approx(spearmanr(level, error)[0], abs=1e-9)
    assert spearman(error, error) == pytest.approx(1.0)
    assert spearman(np.ones_like(error), error) == 0.0


def test_the_fit_finds_the_law_that_made_the_errors():
    random = np.random.default_rng(1)
    features = np.exp(random.normal(0, 1, (40_000, 2)))
    expected = 0.3 * features[:, 0] ** 0.7 * features[:, 1] ** -0.2
    error = np.abs(random.normal(0, expected * np.sqrt(np.pi / 2)))
    factor, exponents = power_law(features, error)
    assert factor == pytest.approx(0.3, rel=0.03) and exponents == pytest.approx([0.7, -0.2], abs=0.02)
    # Of a Gaussian, 95 % lie within 1.96 SD, and the mean absolute error is 0.798 SD.
    assert interval_factor(expected, error, 0.95) == pytest.approx(1.96 / 0.798, rel=0.02)


def sample(seed):
    """A slice in whose right half the noise, and with it the change and the error, is four times as strong."""
    random = np.random.default_rng(seed)
    level = np.where(np.arange(120)[None, :] < 60, 0.01, 0.04) * np.ones((120, 1))
    reference = np.ones((120, 120))
    noise = ndimage.gaussian_filter(random.normal(0, 1, (2, 120, 120)), (0, 1, 1)) * 3.0
    restored = reference + 0.3 * level * noise[1]
    images = (reference + level * noise[0], reference, restored)
    return Sample(
        str(seed),
        *(one.astype(np.float32) for one in images),
        [(restored + 0.1 * level * random.normal(0, 1, level.shape)).astype(np.float32)] * 3,
        [],
        np.zeros((120, 120), dtype=np.float32),
        random.uniform(0, 1, (120, 120)).astype(np.float32),
        np.ones((120, 120), dtype=bool),
        (0.8, 0.8),
    )


def test_the_expected_error_finds_where_errors_are_large_and_its_intervals_hold():
    train, test = [sample(1), sample(2)], [sample(3), sample(4)]
    models = {
        NO_EXTRA_PASS: fit_expected_error(train, FEATURES),
        ONE_EXTRA_PASS: fit_expected_error(train, (*FEATURES, FLIP_FEATURE)),
    }
    maps = [maps_of(one, models) for one in test]
    judged = judge_maps(test, maps)
    for name in models:
        assert judged[name]["local"]["spearman"] > 0.7 and judged[name]["local"]["ause_share"] < 0.25
        for stated, row in coverage_of(test, [own[name] for own in maps], models[name]).items():
            assert row["found"] == pytest.approx(float(stated), abs=0.04)
            assert min(row["thirds"]) > float(stated) - 0.12
    expected = maps[0][NO_EXTRA_PASS]
    truth = np.abs(test[0].restored - test[0].reference)
    for half in (np.s_[:, :55], np.s_[:, 65:]):
        assert expected[half].mean() == pytest.approx(truth[half].mean(), rel=0.15)
    assert judged["prior D (discrepancy)"]["local"]["ause_share"] == pytest.approx(1.0, abs=0.1)
    assert judged[CEILING]["local"]["ause_share"] == 0.0
    assert judged["constant"]["pixel"]["spearman"] == 0.0
    assert models[ONE_EXTRA_PASS].wants_flip and not models[NO_EXTRA_PASS].wants_flip


@pytest.mark.parametrize("telling", ["gradient", "change"])
def test_figures_are_chosen_by_scans_that_were_left_out(telling):
    """Errors are ten times as large in the right half.  Either the slice is as much steeper there, and in all
    scans but one much is changed in the left half; or it is equally steep, and more is changed where errors are."""
    y, x = np.mgrid[:100, :100]
    right, train = x > 50, []
    for number, name in enumerate(("a-0", "a-1", "b-0", "c-0", "d-0")):
        random = np.random.default_rng(number)
        error = np.where(right, 0.05, 0.005) * random.normal(0, 1, x.shape)
        steep = np.where(right, 0.05, 0.005) if telling == "gradient" else 0.02
        restored = 0.5 + 4.0 * steep * np.sin(y / 3 + x / 4)
        much = right if telling == "change" or name[0] == "a" else ~right
        images = (restored - np.where(much, 0.3, 0.01), restored - error, restored)
        train.append(
            Sample(
                name, *(one.astype(np.float32) for one in images), [], [], np.zeros(x.shape), np.zeros(x.shape),
                np.ones(x.shape, dtype=bool), (0.8, 0.8),
            )
        )  # fmt: skip
    assert (best_figures(train) == ("gradient",)) == (telling == "gradient")
    assert best_figures(train[:2]) == CANDIDATES[0], "one scan: nothing to judge by"


def test_the_model_travels_as_json_and_refuses_what_it_does_not_know():
    model = ExpectedErrorModel(0.5, {"change": 0.5, FLIP_FEATURE: 0.2}, {"0.95": 2.5})
    assert ExpectedErrorModel.from_dict(model.as_dict()) == model
    with pytest.raises(KeyError, match="phase"):
        ExpectedErrorModel.from_dict({"factor": 1.0, "exponents": {"phase": 1.0}})


def test_features_are_those_of_the_body_alone_and_have_their_units():
    y, x = np.mgrid[:80, :100]
    body = x < 50
    original = np.where(body, 0.0, 9.0)
    restored = np.where(body, 0.02, 0.0) + 0.003 * 0.8 * x * body
    features = error_features(original, restored, body, (0.8, 0.8))
    inside = np.s_[30:50, 20:30]
    assert features["change"][inside] == pytest.approx((restored - original)[inside] + 5e-4, rel=0.1)
    assert features["gradient"][inside] == pytest.approx(0.003 + 5e-4, rel=0.02), "per mm"
    finer = error_features(original, restored, body, (0.4, 0.4))
    assert finer["gradient"][inside] == pytest.approx(0.006 + 5e-4, rel=0.02)
    assert FLIP_FEATURE not in features


def test_detail_is_what_a_gaussian_takes_away():
    body = np.ones((80, 80), dtype=bool)
    stripes = 0.1 * np.sin(2 * np.pi * np.arange(80) / 4.0) * np.ones((80, 1))
    features = error_features(stripes, stripes, body, (0.8, 0.8))
    # A Gaussian of SD s leaves exp(-2 (pi s / T)^2) of a wave of period T.
    left = np.exp(-2 * (np.pi * 0.85 / 3.2) ** 2)
    assert features["detail"][40, 40] == pytest.approx(0.1 / np.sqrt(2) * (1 - left) + 5e-4, rel=0.05)
    flat = error_features(stripes * 0 + 0.5, stripes * 0 + 0.5, body, (0.8, 0.8))
    assert flat["detail"][40, 40] == pytest.approx(5e-4, rel=0.01)


def test_a_mirrored_restoration_comes_back_the_right_way_round(small_network):
    from LRformerSlicerLib.restoration.tiling import TiledNetwork

    torch.set_num_threads(1)
    network = TiledNetwork(small_network(1), torch.device("cpu"), lambda sentence: None)
    image = np.random.default_rng(0).uniform(0, 1, (1, 1, 48, 64)).astype(np.float32)
    image[..., 32:] += 1.0
    prior = np.zeros((1, 2, 48, 64), dtype=np.float32)
    straight, mirrored = network(image, prior), restored_mirrored(network, image, prior)
    assert mirrored.shape == straight.shape
    # The untrained network changes slices by its noise; the mirrored image itself would be 1 off.
    assert 0 < np.abs(mirrored - straight).mean() < 0.1


@pytest.fixture
def scans(tmp_path):
    """Stand-ins for CT slices and MR scans to train and test on."""
    y, x = np.mgrid[:96, :96] - 48
    head = np.hypot(x, y) < 42
    for seed, part in enumerate(("train", "test")):
        (tmp_path / part).mkdir()
        noise = np.random.default_rng(seed).normal(0, 5, (96, 96))
        pixels = np.where(head, 40.0, -1000.0) + 60.0 * (np.hypot(x - 10, y) < 9) + noise
        names = {"ct_chest_nysbu_A1": pixels, "ct_chest_nysbu_A2": pixels[::-1]}
        mr = np.abs(np.where(head, 500.0, 0.0) + 200.0 * (np.hypot(x - 10, y) < 9) + noise)
        names["mr_t1_cptac03728" if part == "test" else "mr_t1_fnndsc"] = mr
        for name, array in names.items():
            count = 1 if name.startswith("ct") else 3
            image = sitk.GetImageFromArray(np.repeat(np.rint(array).astype(np.int16)[None], count, axis=0))
            image.SetSpacing((0.9, 0.9, 5.0))
            sitk.WriteImage(image, str(tmp_path / part / f"{name}.nii.gz"))
    return tmp_path


@pytest.mark.parametrize("task,scale", [("ct-denoise", 1), ("mr-sr2", 2)])
def test_the_whole_evaluation_runs_on_a_small_network(scans, small_network, tmp_path, task, scale):
    torch.set_num_threads(1)
    model = tmp_path / "small.safetensors"
    save_checkpoint(model, small_network(scale), {"name": "small", "task": task})
    options = RestorationOptions(task=task, model=model, prior="none", device="cpu")
    result = evaluate_reliability(scans, tmp_path, options, prior_samples_of=1)
    assert len(result["slices"]) == 2 and len(result["train_slices"]) == 2
    assert result["maps"][CEILING]["local"]["spearman"] == pytest.approx(1.0)
    assert set(result["coverage"]) == set(result["expected_error"]) == {NO_EXTRA_PASS, ONE_EXTRA_PASS}
    for name in result["pictures"]:
        assert (tmp_path / name).stat().st_size > 10_000
    lines = list(reliability_lines(result))
    rows = [line for line in lines if line.startswith("| ")]
    assert any(line.startswith(f"| {ONE_EXTRA_PASS} | 1 |") for line in rows)
    assert len(rows) == 1 + len(result["maps"]) + 1 + 2 * 4


def test_the_command_puts_the_fit_into_the_card_and_keeps_the_rest_of_it(scans, small_network, tmp_path):
    model = tmp_path / "small.safetensors"
    save_checkpoint(model, small_network(1), {"name": "small", "task": "ct-denoise"})
    before = json.loads(card_path(model).read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "LRformerSlicerLib", "evaluate", "--task", "ct-denoise", "--prior", "none"]
    command += ["--data", str(scans), "--model", str(model), "--device", "cpu", "--fit-expected-error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    card = json.loads(card_path(model).read_text(encoding="utf-8"))
    fitted = error_model_of(card)
    assert json.loads(done.stdout.removeprefix("expected error: ")) == fitted.as_dict()
    assert fitted.factor > 0 and tuple(fitted.exponents) in CANDIDATES
    assert {name: value for name, value in card.items() if name != "expected_error"} == before

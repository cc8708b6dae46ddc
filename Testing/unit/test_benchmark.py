"""The benchmark of quality: peers that know the noise, networks of others, equal budgets, and the document."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.benchmark.model_cards import write_model_cards
from LRformerSlicerLib.evaluation.benchmark.noise_level import LEVEL_GAIN, NoiseLevelArchitecture, noise_level
from LRformerSlicerLib.evaluation.benchmark.parts import PARTS, BenchmarkOptions
from LRformerSlicerLib.evaluation.benchmark.peer_networks import PEER_NAMES, PeerArchitecture
from LRformerSlicerLib.evaluation.benchmark.prior_variants import PRIOR_VARIANTS, with_prior_variant
from LRformerSlicerLib.evaluation.benchmark.quality_pictures import quality_picture
from LRformerSlicerLib.evaluation.benchmark.quality_tables import budget_lines
from LRformerSlicerLib.evaluation.benchmark.report import run_parts, write_document
from LRformerSlicerLib.evaluation.benchmark.same_budget import (
    OUR_ROW,
    BudgetRow,
    Judged,
    ablation_rows,
    judge,
    train_and_judge,
)
from LRformerSlicerLib.evaluation.benchmark.targets import TARGETS, target_lines
from LRformerSlicerLib.evaluation.classical_denoisers import (
    bias_field_correction,
    gradient_anisotropic_diffusion,
    total_variation,
)
from LRformerSlicerLib.evaluation.noise_told_denoisers import bm3d_spectrum, bm3d_white, non_local_means
from LRformerSlicerLib.evaluation.quality import OURS, Answer, JudgedSlice, best_settings, compare, score
from LRformerSlicerLib.network.lrformer import LRformerArchitecture
from LRformerSlicerLib.restoration.models import MODELS_FOLDER
from LRformerSlicerLib.training.ct_dose import DoseTask
from LRformerSlicerLib.training.patches import Pair

WINDOW = (-160.0, 240.0)
CPU = torch.device("cpu")


def body_slice(seed, correlated=False):
    """An organ in a body, HU, with 25 HU of white or of correlated noise."""
    y, x = np.mgrid[:96, :96]
    clean = np.where(((y - 48) / 40) ** 2 + ((x - 48) / 44) ** 2 < 1, 40.0, -100.0)
    clean[((y - 40) / 14) ** 2 + ((x - 55) / 18) ** 2 < 1] = 110.0
    noise = np.random.default_rng(seed).normal(0, 1, clean.shape)
    if correlated:
        noise = gaussian_filter(noise, 1.0)
    degraded = clean + 25.0 * noise / noise.std()
    return JudgedSlice(f"slice-{seed}", *(one.astype(np.float32) for one in (clean, degraded)), clean > -50)


def rmse(peer, one):
    return np.sqrt(np.mean((peer.denoise(one.degraded, one.reference) - one.reference)[one.body] ** 2))


@pytest.mark.parametrize(
    "peer",
    [
        non_local_means(0.8, 5, 7),
        bm3d_white(1.0),
        bm3d_spectrum(1.0),
        total_variation(0.03, 1000.0),
        gradient_anisotropic_diffusion(10, 3.0),
    ],
    ids=lambda peer: peer.method,
)
def test_every_peer_removes_most_of_white_noise(peer):
    one = body_slice(0)
    assert rmse(peer, one) < 13.0 < 25.0
    before = one.degraded.copy()
    peer.denoise(one.degraded, one.reference)
    np.testing.assert_array_equal(one.degraded, before)


def test_the_true_spectrum_helps_bm3d_with_correlated_noise():
    one = body_slice(1, correlated=True)
    assert rmse(bm3d_spectrum(1.0), one) < 0.8 * rmse(bm3d_white(1.0), one)


def test_a_peer_that_knows_the_noise_adapts_to_its_strength():
    one = body_slice(2)
    weaker = replace(one, degraded=one.reference + (one.degraded - one.reference) / 10)
    assert rmse(non_local_means(0.8, 5, 7), weaker) < 1.5


def test_peers_are_told_the_noise_of_the_slices_they_are_tuned_on():
    train = [body_slice(seed) for seed in (3, 4)]
    best = best_settings([non_local_means(0.01, 5, 7), non_local_means(0.8, 5, 7)], train, WINDOW)
    assert [one.setting for one in best] == [non_local_means(0.8, 5, 7).setting]


def pair_of(one):
    body = one.body
    prior = np.stack([body * np.uint8(200), (~body) * np.uint8(30)]).astype(np.uint8)
    whole = [np.rint(pixels).astype(np.int16) for pixels in (one.reference, one.degraded)]
    return Pair(one.name, *whole, prior, body)


def test_prior_variants_say_what_they_are_called():
    pair = pair_of(body_slice(5))
    made = {name: with_prior_variant(pair, name).prior for name in PRIOR_VARIANTS}
    assert all(prior.shape == pair.prior.shape and prior.dtype == np.uint8 for prior in made.values())
    np.testing.assert_array_equal(made["C and D"], pair.prior)
    assert not made["none"].any()
    np.testing.assert_array_equal(made["body mask"][0] == 255, pair.body)
    np.testing.assert_array_equal(made["C only"][0], pair.prior[0])
    assert not made["C only"][1].any() and not made["D only"][0].any()
    np.testing.assert_allclose(made["U only"][0], pair.prior.mean(axis=0), atol=0.5)
    other = with_prior_variant(replace(pair, name="another"), "random").prior
    assert (made["random"] != other).mean() > 0.9, "drawn by name"
    assert abs(np.corrcoef(made["random"][0].ravel(), pair.body.ravel())[0, 1]) < 0.4


@pytest.mark.parametrize("name", PEER_NAMES)
def test_peers_have_our_budget_and_learn(name):
    torch.manual_seed(0)
    network = PeerArchitecture(name).build()
    parameters = sum(tensor.numel() for tensor in network.parameters())
    assert 0.5e6 < parameters < 1.0e6
    image, prior = torch.rand(1, 1, 32, 32) + 0.5, torch.zeros(1, 2, 32, 32)
    restored = network(image, prior)
    assert restored.shape == image.shape and torch.isfinite(restored).all()
    residual = (restored - image).detach()
    assert residual.std() > 1e-4, "what the slice holds gets through to the end"
    (restored - image.mean()).abs().mean().backward()
    assert all(tensor.grad is not None for tensor in network.parameters() if tensor.requires_grad)


def test_ablations_change_one_thing_each():
    usual = DoseTask().architecture
    reference, *rows = ablation_rows(usual)
    assert reference == BudgetRow(OUR_ROW, usual)
    assert len({row.name for row in rows}) == len({row.file_stem(DoseTask(), CPU) for row in rows}) == len(rows)
    for row in rows:
        changed = [key for key, value in row.architecture.as_dict().items() if value != usual.as_dict().get(key)]
        choices = [row.prior != reference.prior, row.frequency_loss > 0, row.seed > 0]
        assert len(changed) + sum(choices) == 1, row.name


def test_kept_scores_are_not_found_again_when_the_patches_change():
    row, coarser = BudgetRow(OUR_ROW, DoseTask().architecture), DoseTask()
    coarser.augmentation = replace(coarser.augmentation, texture_blur_pixels=1.5)
    assert row.file_stem(DoseTask(), CPU) == row.file_stem(DoseTask(), CPU)
    assert row.file_stem(coarser, CPU) != row.file_stem(DoseTask(), CPU)
    assert replace(row, frequency_loss=0.1).file_stem(DoseTask(), CPU) != row.file_stem(DoseTask(), CPU)


def test_n4_takes_out_half_of_a_bias_field_and_leaves_an_even_slice():
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    head = (x / 0.8) ** 2 + (y / 0.9) ** 2 < 1
    even = np.where(head, 0.6 + 0.4 * (np.hypot(x, y) < 0.4), 0.0) + np.random.default_rng(0).normal(0, 0.01, x.shape)
    even = even.astype(np.float32)
    biased = even * np.exp(0.3 * x).astype(np.float32)
    peer = bias_field_correction(2, 0.15)

    def unevenness(image):
        ratio = image[head] / even[head]
        return np.std(ratio / ratio.mean())

    assert unevenness(peer.apply(biased)) < 0.5 * unevenness(biased)
    assert unevenness(peer.apply(even)) < 0.05


@pytest.mark.parametrize("sd", [0.01, 0.05])
def test_the_noise_level_is_that_of_white_noise_on_a_slope(sd):
    noise = np.random.default_rng(0).normal(0, sd, (96, 96))
    noise[:, 48:] *= 2
    slope = np.linspace(0, 1, 96)[:, None]
    level = noise_level(torch.tensor(slope + noise)[None, None])[0, 0].numpy()
    assert level.shape == (96, 96)
    assert level[20:76, 16:30].mean() == pytest.approx(sd, rel=0.05)
    assert level[20:76, 66:80].mean() == pytest.approx(2 * sd, rel=0.05)


def test_the_network_told_the_noise_looks_at_it_and_not_at_the_discrepancy():
    torch.manual_seed(0)
    network = NoiseLevelArchitecture(LRformerArchitecture(channels=12, prior_channels=12, groups=1, blocks=1)).build()
    torch.nn.init.normal_(network.network.reconstruction.weight)
    image, prior = torch.rand(1, 1, 64, 64), torch.rand(1, 2, 64, 64)
    with torch.inference_mode():
        usual = network(image, prior)
        prior[:, 1] = 0.0
        assert torch.equal(network(image, prior), usual)
        level = LEVEL_GAIN * noise_level(image)
        assert torch.equal(network.network(image, torch.cat([prior[:, :1], level], dim=1)), usual)


def test_a_row_is_trained_for_its_budget_judged_and_not_done_again(tmp_path):
    torch.set_num_threads(1)
    slices = [body_slice(seed) for seed in range(6, 9)]
    pairs = [pair_of(one) for one in slices]
    small = LRformerArchitecture(channels=12, prior_channels=12, groups=1, blocks=1, window=8)
    label = np.zeros((96, 96), dtype=bool)
    label[40:60, 40:60] = True
    judged = [Judged(pair, one) for pair, one in zip(pairs, slices, strict=True)]
    judged.append(replace(judged[0], label=label))
    row, device = BudgetRow("prior: none", small, "none"), torch.device("cpu")
    found = train_and_judge(row, pairs, judged, tmp_path, 6.0, device)
    assert found["steps"] > 2 and found["parameters"] == sum(one.numel() for one in small.build().parameters())
    assert len(found["per_slice_psnr_db"]) == 3 and found["psnr_inside_label_db"] > 10
    assert found["macs"] > 0 and found["peak_bytes"] > 4 * 512 * 512
    again = train_and_judge(row, [], [], tmp_path, 6.0, device)
    assert again == found


def test_rows_of_one_budget_are_compared_slice_by_slice_with_the_first():
    def row(name, psnr):
        return {
            "name": name, "psnr_db": float(np.mean(psnr)), "psnr_interval_db": [20.0, 30.0], "ssim": 0.7, "steps": 9,
            "per_slice_psnr_db": psnr, "psnr_inside_label_db": None, "budget_seconds": 60.0, "parameters": 1e6,
            "macs": 1e9, "peak_bytes": 2**20, "seconds": 1.0,
        }  # fmt: skip

    rows = [row("first", [20.0, 30.0]), row("better", [20.5, 30.5])]
    *_, first, better, _ = budget_lines({"rows": rows, "training_pairs": 5}, "pictures")
    assert first.split(" | ")[2] == "-" and better.split(" | ")[2] == "+0.500 [+0.50, +0.50]"


def test_trained_networks_are_judged_in_the_window_of_the_tables():
    """A network that changes nothing scores what the degraded slices score there."""
    slices = [body_slice(seed) for seed in range(3)]
    judged = [Judged(pair_of(one), one) for one in slices]
    found = judge(lambda image, prior: image, judged, "none", CPU, 0)
    assert found["per_slice_psnr_db"] == pytest.approx(
        [score(one.degraded, one, WINDOW)["psnr_db"] for one in slices], abs=0.02
    )
    assert found["rmse"] == pytest.approx(
        np.mean([score(one.degraded, one, WINDOW)["rmse"] for one in slices]), rel=0.01
    )


def test_the_document_holds_what_was_measured_and_says_what_was_not(tmp_path):
    slices = [body_slice(seed) for seed in range(3)]
    answers = {
        "input": Answer("", [one.degraded for one in slices]),
        "Median": Answer("radius 1 px", [one.degraded * 0.9 + one.reference * 0.1 for one in slices], 0.2),
        "BM3D, white, true SD": Answer("2 SD", [one.degraded for one in slices], 9.0),
        OURS: Answer("prior none", [(one.degraded + one.reference) / 2 for one in slices], 1.5),
    }
    folder = tmp_path / "benchmark"
    folder.mkdir()
    quality_picture(answers, slices, WINDOW, "a picture", folder / "ct-denoise-25.png")
    result = {
        "degradation": "0.25 of full dose",
        "window": WINDOW,
        "unit": "HU",
        "slices": [one.name for one in slices],
        "methods": compare(answers, slices, WINDOW),
        "pictures": ["ct-denoise-25.png"],
    }
    record = {"seconds": 61, "device": "cpu (2 threads)", "torch": "2.13.0", "result": result}
    (folder / "ct-25.json").write_text(json.dumps(record))
    write_document(tmp_path)
    text = (tmp_path / "BENCHMARK.md").read_text()
    assert text.count("Not measured yet") == len(PARTS) - 1
    gain = result["methods"]["Median"]["lrformer_gain_db"]
    aims = [line for line in text.splitlines() if line.endswith("| ct-25 |")]
    reached = "yes" if gain >= 1.5 else "**no**"
    assert len(aims) == 3 and f"{gain:+.2f} dB" in aims[0] and f"(Median) | {reached} |" in aims[0]
    assert "1.5 s, BM3D 9.0 s | yes |" in aims[2]
    assert text.count("| not measured | - |") == len(TARGETS) - len(aims)
    assert f"{gain:+.2f} [" in text and "| **LRformer** |" in text and "61 s, cpu" in text
    worst = np.argmin(result["methods"][OURS]["per_slice_psnr_db"])
    assert f"worst slice: slice-{worst}" in text
    assert "(benchmark/ct-denoise-25.png)" in text and (folder / "ct-denoise-25.png").stat().st_size > 20000


def test_every_shipped_card_can_be_read(tmp_path):
    cards = [json.loads(file.read_text()) for file in sorted(MODELS_FOLDER.glob("*.json"))]
    text = write_model_cards(tmp_path).read_text()
    assert text.count("\n## ") == len(cards) >= 1
    for card in cards:
        assert card["sha256"] in text and card["intended_use"] in text
        assert all(limit in text for limit in card["limits"])
        assert all(one["collection"] in text for one in card["data"])
        for title, result in card["scores"].items():
            assert title in text and f"{result['methods']['LRformer']['psnr_db']:.2f} [" in text


def test_parts_without_scans_are_left_out_with_a_reason_and_unknown_ones_refused(tmp_path):
    options = BenchmarkOptions(tmp_path, "cpu", tmp_path / "work", 1.0)
    left_out = run_parts(["ct-25"], options, tmp_path)
    assert len(left_out) == 1 and left_out[0].startswith("ct-25: There are no ct_chest_nysbu")
    assert (tmp_path / "BENCHMARK.md").exists()
    with pytest.raises(UserError, match="no part ct-99"):
        run_parts(["ct-99"], options, tmp_path)


@pytest.mark.parametrize(("psnr", "reached"), [(25.5, "yes"), (24.9, "**no**")])
def test_what_was_aimed_at_is_told_from_the_figures(psnr, reached):
    """Another seed of the same network is no other network."""
    found = {"LRformer": psnr, "LRformer, another seed": 26.0, "DnCNN": 25.0, "NAFNet": 24.0}
    rows = [{"name": name, "psnr_db": value} for name, value in found.items()]
    line = next(line for line in target_lines({"networks": {"rows": rows}}) if line.endswith("| networks |"))
    assert f"| {psnr:.2f} dB, DnCNN 25.00 dB | {reached} |" in line


@pytest.mark.parametrize(("reduction", "is_missed"), [(0.6, False), (0.59, True)])
def test_what_is_missed_is_followed_by_what_stands_in_the_way(reduction, is_missed):
    rows = [{"at_edges": 0.05, "at_edges_noise": 0.0}]
    found = {"slices": rows, "mean_reduction": reduction, "mean_reduction_interval": [0.5, 0.7]}
    lines = list(target_lines({"ct-noise-as-it-is": found}))
    reasons = [line for line in lines if line.startswith("- *")]
    aim = "the noise that CT scans have, in flat soft tissue: 60 % less"
    assert [line.split("*")[1] for line in reasons] == ([aim] if is_missed else [])
    assert any(line.startswith("What stands in the way") for line in lines) == is_missed


def test_unbiased_figures_decide_about_ct():
    risk = [{"risk": {"input": 500.0, OURS: 300.0}}, {"risk": {"input": 500.0, OURS: 501.0}}]
    gains = {"input": 9.0, "Median": 3.2, "Gaussian": 4.0}
    found = {"slices": risk, "gain_db": gains, "gain_interval_db": {name: [2.0, 5.0] for name in gains}}
    edges = {"mean_reduction": 0.7, "mean_reduction_interval": [0.6, 0.8]}
    edges["slices"] = [{"at_edges": 0.2, "at_edges_noise": 0.05}, {"at_edges": 0.0, "at_edges_noise": 0.0}]
    lines = list(target_lines({"ct-unbiased": found, "ct-noise-as-it-is": edges}))
    above, falls = (line for line in lines if line.endswith("| ct-unbiased |"))
    assert "+3.20 dB [+2.00, +5.00] (Median) | yes" in above and "1 of 2 slices | **no**" in falls
    taken, anatomy = (line for line in lines if line.endswith("| ct-noise-as-it-is |"))
    assert "70 % [60, 80] | yes" in taken and "+0.15 at most | **no**" in anatomy

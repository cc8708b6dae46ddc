"""Lesions inserted into phantoms, and methods of which it is known what they do to them."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from LRformerSlicerLib.evaluation.classical_denoisers import gaussian
from LRformerSlicerLib.evaluation.fidelity import detection
from LRformerSlicerLib.evaluation.fidelity.left_alone import LeftAlone, evaluate_left_alone, left_alone_lines
from LRformerSlicerLib.evaluation.fidelity.lesion_insertion import Grid, Lesion, contrast_of, patches_at, with_lesions
from LRformerSlicerLib.evaluation.fidelity.lesion_study import CLEAN, judge, plan_study
from LRformerSlicerLib.evaluation.fidelity.lesions import INPUT, evaluate_lesions, lesion_lines
from LRformerSlicerLib.evaluation.fidelity.places import Place, edge_blur_pixels, homogeneous_places
from LRformerSlicerLib.evaluation.quality import OURS
from LRformerSlicerLib.network.checkpoint import save_checkpoint
from LRformerSlicerLib.restoration.options import RestorationOptions
from LRformerSlicerLib.restoration.slow_part import SlowPart
from LRformerSlicerLib.restoration.tasks import TASKS

GRID = Grid(pixel_mm=0.8, blur_mm=0.9)
NOISE_HU = 15.0


def phantom(size=200):
    """A flat body of 40 HU with a bright organ, in air; and the body."""
    y, x = np.mgrid[:size, :size] - size / 2
    body = (x / (0.47 * size)) ** 2 + (y / (0.46 * size)) ** 2 < 1
    pixels = np.where(body, 40.0, -1000.0)
    pixels[np.hypot(x - 50, y) < 12] = 300.0
    return pixels.astype(np.float32), body


@pytest.fixture(scope="module")
def study():
    pixels, body = phantom()
    return plan_study("phantom", pixels, body, GRID, (10.0, 40.0), 4, 0, (0.0, 100.0))


@pytest.fixture(scope="module")
def judged(study):
    """Clean and noisy versions, and methods that halve contrasts, erase lesions, blur, or know the truth."""
    versions = study.versions()
    noise = np.random.default_rng(1).normal(0, NOISE_HU, versions[0].shape)
    noisy = [version + noise for version in versions]
    images = {
        CLEAN: [versions],
        INPUT: [noisy],
        "halving": [[40.0 + 0.5 * (version - 40.0) for version in noisy]],
        "erasing": [[noisy[0]] * len(noisy)],
        "blurring": [[ndimage.gaussian_filter(version, 2.0) for version in noisy]],
        OURS: [[version + 0.05 * noise for version in versions]],
    }
    return judge([study], images)


def test_places_are_flat_and_apart(study):
    pixels, body = phantom()
    places = homogeneous_places(pixels, body, 8, 20.0, 10, (0.0, 100.0))
    assert len(places) == 10
    for place in places:
        part = pixels[place.row - 8 : place.row + 9, place.column - 8 : place.column + 9]
        assert part.min() == part.max() == 40.0
    apart = [np.hypot(a.row - b.row, a.column - b.column) for a in places for b in places if a is not b]
    assert min(apart) >= 20.0
    assert not homogeneous_places(pixels, body, 8, 20.0, 10, (500.0, 600.0))


@pytest.mark.parametrize("sd", [0.7, 1.0, 1.5])
def test_the_scans_own_blur_is_read_off_its_edges(sd):
    sharp, _ = phantom(400)
    sharp = ndimage.zoom(sharp, 2, order=0)
    blurred = ndimage.gaussian_filter(sharp, 2 * sd)[::2, ::2]
    assert edge_blur_pixels(blurred) == pytest.approx(sd, rel=0.25)
    assert edge_blur_pixels(np.zeros((30, 30))) == 0.4


def test_a_lesion_has_its_contrast_size_and_edge():
    flat = np.full((61, 61), 50.0, dtype=np.float32)
    shown = with_lesions(flat, [Lesion(Place(30, 31, 0.0), 8.0, 20.0)], GRID)
    assert shown[30, 31] == pytest.approx(70.0, abs=0.1) and shown[30, 15] == 50.0
    assert (shown - flat).sum() * 0.8**2 == pytest.approx(20.0 * np.pi * 4.0**2, rel=0.01)
    patch = patches_at(shown, [Place(30, 31, 0.0)], GRID.patch_radius_pixels(8.0))[0]
    assert contrast_of(patch, *GRID.core_and_ring(8.0)) == pytest.approx(20.0, rel=0.05)


def test_every_kind_of_lesion_comes_up_as_often(study):
    kinds = [(lesion.diameter_mm, lesion.contrast) for layout in study.layouts for lesion in layout]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert len(counts) == 8 and max(counts.values()) - min(counts.values()) <= 1
    assert len(study.free_places) >= 50


def test_recovery_is_what_the_method_does_to_contrast(judged):
    for method, recovery in ((INPUT, 1.0), (OURS, 1.0), ("halving", 0.5), ("erasing", 0.0)):
        for row in judged[method]["kinds"]:
            assert row["recovery"] == pytest.approx(recovery, abs=0.002), method
    assert all(row["recovery"] < 0.6 for row in judged["blurring"]["kinds"] if row["diameter_mm"] == 3.0)


def test_edge_widths_are_those_of_the_blur(judged):
    own = 2 * 1.2816 * GRID.blur_mm
    wider = 2 * 1.2816 * np.hypot(GRID.blur_mm, 2.0 * GRID.pixel_mm)
    for row in judged[INPUT]["sizes"][1:]:
        assert row["edge_width_mm"] == pytest.approx(own, rel=0.08)
    assert judged["blurring"]["sizes"][3]["edge_width_mm"] == pytest.approx(wider, rel=0.1)
    assert judged[INPUT]["sizes"][0]["edge_width_mm"] is None


def test_lost_and_false_lesions_are_counted(judged):
    for observer in detection.OBSERVERS:
        for row in judged[OURS]["kinds"]:
            assert row[observer]["detected"] == 1.0 and row[observer]["lost_against"][INPUT]["all"] == 0
        lost = sum(row[observer]["lost_against"][OURS]["all"] for row in judged["erasing"]["kinds"])
        assert lost == sum(row[observer]["lost_against"][OURS]["seen_clean"] for row in judged["erasing"]["kinds"])
        seen = sum(round(row[observer]["detected"] * row["lesions"]) for row in judged["erasing"]["kinds"])
        lesions = sum(row["lesions"] for row in judged["erasing"]["kinds"])
        assert lost + seen == lesions and seen < 0.25 * lesions
        faint = [row[observer]["detected"] for row in judged[INPUT]["kinds"] if row["contrast"] == 10.0]
        plain = [row[observer]["detected"] for row in judged[INPUT]["kinds"] if row["contrast"] == 40.0]
        assert np.mean(faint) < np.mean(plain) and plain[-1] == 1.0
        # One place in a hundred, by the threshold's making; the clean phantom itself raises no alarm.
        for row in judged[INPUT]["sizes"]:
            assert 0 < row[observer]["false"] <= 0.02 * row["free_places"] + 1
    halved, same = (judged[method]["kinds"] for method in ("halving", INPUT))
    assert [row["CHO"]["detected"] for row in halved] == [row["CHO"]["detected"] for row in same]


def test_the_hotelling_observer_whitens():
    """Among coarse noise, a matched filter is fooled where the channels still see the lesion."""
    coarse = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (600, 600)), 5.0)
    coarse *= 20.0 / coarse.std()
    coarse += np.random.default_rng(1).normal(0, 2.0, coarse.shape)
    places = [Place(row, column, 0.0) for row in range(20, 580, 20) for column in range(20, 580, 20)]
    profile, distances = GRID.profile(5.0), GRID.distances_mm(5.0)
    patches = patches_at(coarse, places, GRID.patch_radius_pixels(5.0))
    matched = detection.matched_filter(profile, distances)
    read = detection.channel_answers(patches, distances, 5.0)
    hotelling = detection.hotelling_filter(profile, distances, 5.0, read)
    spread = [detection.answers_of(weights, patches).std() for weights in (matched, hotelling)]
    assert spread[1] < 0.8 * spread[0]
    for weights in (matched, hotelling):
        assert detection.answers_of(weights, profile[None])[0] == pytest.approx(1.0)
    assert np.mean(detection.answers_of(matched, patches) > detection.threshold_at(
        detection.answers_of(matched, patches))) == pytest.approx(0.01, abs=0.003)  # fmt: skip


@pytest.fixture
def scans(tmp_path):
    """Stand-ins for the scans of the test folder, CT and MR, with their labels."""
    folder = tmp_path / "test"
    folder.mkdir()
    pixels, _ = phantom(128)
    y, x = np.mgrid[:128, :128] - 64
    label = (np.hypot(y - 20, x + 10) < 10).astype(np.uint8)[None]
    noise = np.random.default_rng(3).normal(0, 4, (1, 128, 128))
    ct = np.rint(pixels + 60 * label + noise).astype(np.int16)
    mr = np.rint(np.abs(np.where(pixels > -500, pixels * 5 + 200, 0) + 200 * label + noise)).astype(np.int16)
    for name, array in (
        ("ct_chest_nysbu_A1.nii.gz", ct),
        ("ct_liver_dcmqi.nii.gz", ct),
        ("ct_liver_dcmqi_liver-label.nrrd", label),
        ("mr_t1_cptac03728.nii.gz", np.repeat(mr, 3, axis=0)),
        ("mr_t1gd_tumour_brain2.nii.gz", np.repeat(mr, 3, axis=0)),
        ("mr_t1gd_tumour_brain2_tumour-label.nrrd", np.repeat(label, 3, axis=0)),
    ):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.9, 0.9, 5.0))
        sitk.WriteImage(image, str(folder / name))
    return tmp_path


@pytest.mark.parametrize("task,scale", [("ct-denoise", 1), ("mr-artifact", 1), ("mr-sr2", 2)])
def test_a_network_that_does_nothing_keeps_every_lesion(scans, small_network, tmp_path, monkeypatch, task, scale):
    monkeypatch.setitem(TASKS, task, replace(TASKS[task], mends_kspace=False))
    torch.set_num_threads(1)
    network = small_network(scale)
    torch.nn.init.zeros_(network.reconstruction.weight)
    model = tmp_path / "nothing.safetensors"
    save_checkpoint(model, network, {"name": "nothing", "task": task})
    options = RestorationOptions(task=task, model=model, prior="none", device="cpu")
    result = evaluate_lesions(scans, tmp_path, options, [gaussian(1.0)], layouts=2)
    methods = result["methods"]
    assert (tmp_path / result["pictures"][0]).stat().st_size > 10_000
    assert (tmp_path / result["pictures"][1]).stat().st_size > 10_000
    if scale == 1:
        assert methods.keys() == {CLEAN, INPUT, OURS, "Gaussian"}
        for ours, given in zip(methods[OURS]["kinds"], methods[INPUT]["kinds"], strict=True):
            assert ours["recovery"] == pytest.approx(given["recovery"], abs=0.05)
        labelled = result["labelled"]["methods"]
        assert labelled[OURS]["recovery"] == pytest.approx(labelled["degraded input"]["recovery"], abs=0.01)
    else:
        assert methods.keys() == {CLEAN, OURS, "Cubic B-spline", "Zero-filled k-space", "Lanczos"}
        large = [row["recovery"] for row in methods[OURS]["kinds"] if row["diameter_mm"] == 10.0]
        assert np.mean(large) == pytest.approx(1.0, abs=0.1)
    if task == "ct-denoise":
        assert all(row["recovery"] == pytest.approx(1.0, abs=1e-3) for row in methods[INPUT]["kinds"])
        assert result["labelled"]["reference_contrast"] == pytest.approx(60.0, abs=3.0)
    lines = list(lesion_lines(result))
    assert any(line.startswith(f"| **{OURS}**") for line in lines)
    assert sum(line.startswith("![") for line in lines) == 2
    assert len({line.count("|") for line in lines if line.startswith("| 1") or line.startswith("| 0")}) <= 1


def test_keeping_low_frequencies_gives_lesions_their_contrast_back(scans):
    torch.set_num_threads(1)
    (scans / "test").rename(scans / "train")
    ways = (LeftAlone(), LeftAlone(SlowPart(3.0, 45.0)), LeftAlone(SlowPart(1.0)), LeftAlone(SlowPart(1.0), 20.0))
    result = evaluate_left_alone(scans, "cpu", ways)
    nothing, some, most, weak = result["rows"]
    assert nothing["cost_db"] == nothing["low_dose_cost_db"] == 0.0
    assert [row["blur_mm"] for row in result["rows"]] == [None, 3.0, 1.0, 1.0]
    assert [row["noise_sd_hu"] for row in result["rows"]] == [None, 45.0, None, None]
    assert weak["full_dose_rmse_hu"] < 0.7 * most["full_dose_rmse_hu"]
    for row in result["rows"]:
        assert row["psnr_db"] == pytest.approx(nothing["psnr_db"] - row["cost_db"], abs=0.002)
        assert all(mean >= worst for mean, worst in row["recovery"].values())
    # Narrower blurs keep more: what a wide disc lost comes back.
    far = [abs(1.0 - row["recovery"]["10"][0]) for row in (nothing, some, most)]
    assert far[2] < 0.03 and far[2] <= far[1] <= far[0] + 0.01
    table = [line for line in left_alone_lines(result, "") if line.startswith("|")]
    assert len(table) == 6 and len({line.count("|") for line in table}) == 1

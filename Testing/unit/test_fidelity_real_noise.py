"""Residuals of which it is known whether anatomy is in them, and noise of known strength in flat patches."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.classical_denoisers import ClassicalDenoiser, gaussian
from LRformerSlicerLib.evaluation.fidelity.real_noise import RealScan, evaluate_real_noise, real_noise_lines
from LRformerSlicerLib.evaluation.fidelity.residual_anatomy import (
    flat_patches,
    lost_detail,
    noise_like,
    patch_noise,
    residual_at_edges,
)
from LRformerSlicerLib.evaluation.quality import OURS
from LRformerSlicerLib.network.checkpoint import save_checkpoint
from LRformerSlicerLib.restoration.options import RestorationOptions


@pytest.fixture(scope="module")
def anatomy():
    """Many discs of different brightness in a body, free of noise, and the body."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    body = np.hypot(x - 128, y - 128) < 120
    pixels = np.where(body, 40.0, -1000.0)
    discs = random.uniform((30, 30, 3, -400), (226, 226, 10, 400), (60, 4))
    for row, column, radius, value in discs:
        pixels[(np.hypot(y - row, x - column) < radius) & body] = value
    return ndimage.gaussian_filter(pixels, 0.8), body


@pytest.fixture(scope="module")
def noise(anatomy):
    """Correlated noise of 20 HU that is twice as strong on the right."""
    coarse = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, anatomy[0].shape), 1.0)
    return 20.0 * coarse / coarse.std() * np.where(np.arange(256) < 128, 1.0, 2.0)


def test_a_residual_of_pure_noise_shows_no_anatomy(anatomy, noise):
    clean, body = anatomy
    correlation, ratio = residual_at_edges(-noise, clean, body)
    assert abs(correlation) < 0.05 and ratio == pytest.approx(1.0, abs=0.05)
    assert abs(lost_detail(-noise, clean, body)) < 0.05
    correlation, ratio = residual_at_edges(-noise / 2, clean + noise / 2, body)
    assert abs(correlation) < 0.15 and ratio == pytest.approx(1.0, abs=0.06), "half of the noise is left"
    assert abs(lost_detail(-noise / 2, clean + noise / 2, body)) < 0.1


def test_a_residual_of_edges_shows(anatomy, noise):
    clean, body = anatomy
    blurred = ndimage.gaussian_filter(clean + noise, 1.5)
    residual = blurred - clean - noise
    correlation, ratio = residual_at_edges(residual, blurred, body)
    assert correlation > 0.3 and ratio > 1.5
    assert lost_detail(residual, blurred, body) > 0.3
    sharpened = clean + 0.5 * (clean - ndimage.gaussian_filter(clean, 2.0))
    assert lost_detail(sharpened - clean - noise, sharpened, body) < -0.2


def test_noise_like_the_residual_has_its_level_and_none_of_its_places(anatomy, noise):
    clean, body = anatomy
    blurred = ndimage.gaussian_filter(clean + noise, 1.5)
    residual = np.where(body, blurred - clean - noise, 0.0)
    surrogate = noise_like(residual, body)
    for half in (np.s_[:, :120], np.s_[:, 136:]):
        here = body[half]
        assert surrogate[half][here].std() == pytest.approx(residual[half][here].std(), rel=0.25)
    assert abs(np.corrcoef(surrogate[body], residual[body])[0, 1]) < 0.05
    # Its level still drifts with the anatomy at large, its places do not.
    there, chance = (residual_at_edges(one, blurred, body) for one in (residual, surrogate))
    assert chance[0] < there[0] - 0.15 and chance[1] < 0.7 * there[1]


def test_patches_measure_the_noise_that_is_there():
    body = np.ones((200, 200), dtype=bool)
    slope = np.arange(200.0)[None, :] * 0.2 + np.zeros((200, 1))
    noisy = slope + np.random.default_rng(2).normal(0, 15.0, (200, 200))
    patches = flat_patches(noisy, body, (-100.0, 200.0))
    assert len(patches) == 5
    assert np.mean(patch_noise(noisy, patches)) == pytest.approx(15.0, rel=0.08)
    assert max(patch_noise(slope, patches)) < 1e-9, "a slope is no noise"


@pytest.fixture
def scans(tmp_path, anatomy, noise):
    (tmp_path / "test").mkdir()
    ct = np.rint(anatomy[0] + noise).astype(np.int16)[64:192, 64:192]
    mr = np.rint(np.clip(anatomy[0] * 4 + 200 + noise, 0, None)).astype(np.int16)
    for name, array in (("ct_noisy", ct), ("mr_noisy", mr)):
        image = sitk.GetImageFromArray(np.repeat(array[None], 3, axis=0))
        image.SetSpacing((0.9, 0.9, 4.0))
        sitk.WriteImage(image, str(tmp_path / "test" / f"{name}.nii.gz"))
    return tmp_path


def test_scans_are_restored_as_they_are(scans, small_network, tmp_path):
    torch.set_num_threads(1)
    model = tmp_path / "small.safetensors"
    save_checkpoint(model, small_network(1, change=0.002), {"name": "small", "task": "mr-artifact"})
    options = RestorationOptions(prior="none", device="cpu")
    told = ClassicalDenoiser("told", "", lambda image, noise: image, is_told_noise=True)
    kinds = (RealScan("mr_noisy", "mr-artifact", 2, (None,), "a phantom"),)
    result = evaluate_real_noise(scans, tmp_path, options, [gaussian(1.0), told], {"mr-artifact": model}, kinds)
    [found] = result["scans"]
    assert found["skipped"] is None and len(found["slices"]) == 2 and found["patches"] == 10
    assert found["methods"].keys() == {OURS, "Gaussian, sigma 1 px"}, "nobody can tell the true noise of a real scan"
    smoothed = found["methods"]["Gaussian, sigma 1 px"]
    assert smoothed["noise_ratio"] < 0.9 and smoothed["edge_ratio"] > smoothed["edge_ratio_noise"] + 0.3
    assert (tmp_path / found["pictures"][0]).stat().st_size > 10_000
    lines = list(real_noise_lines(result))
    assert sum(line.startswith("| ") for line in lines) == 3


def test_a_task_without_weights_is_skipped_and_says_why(scans, tmp_path, monkeypatch):
    monkeypatch.setattr("LRformerSlicerLib.restoration.models.MODELS_FOLDER", tmp_path)
    kinds = (RealScan("mr_noisy", "mr-artifact", 2, (None,), "a phantom"),)
    result = evaluate_real_noise(scans, tmp_path, RestorationOptions(prior="none"), scans=kinds)
    assert result["scans"][0]["skipped"].startswith("No weights for mr-artifact")
    assert any(line.startswith("Left out: No weights") for line in real_noise_lines(result))
    with pytest.raises(UserError, match="There is no absent"):
        list(evaluate_real_noise(scans, tmp_path, RestorationOptions(prior="none"), models={"ct-denoise": tmp_path},
                                 scans=(RealScan("absent", "ct-denoise", 1, (None,), ""),))["scans"])  # fmt: skip

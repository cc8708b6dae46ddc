"""Parallel imaging on a simulated phantom whose image and coils are known."""

import numpy as np
import pytest
import torch

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.fidelity.kspace_file import evaluate_kspace_file, kspace_file_lines
from LRformerSlicerLib.evaluation.fidelity.parallel_imaging import (
    centre_side,
    coil_sensitivities,
    held_out_error,
    images_of,
    root_sum_of_squares,
    sense,
    spectra_of,
)
from LRformerSlicerLib.network.checkpoint import save_checkpoint
from LRformerSlicerLib.restoration.options import RestorationOptions

ROWS, COLUMNS = 96, 80


@pytest.fixture(scope="module")
def scan():
    """A head with a smooth phase seen by four coils at its corners: image, coils, spectra of all samples."""
    y, x = np.mgrid[:ROWS, :COLUMNS] - np.array([ROWS / 2, COLUMNS / 2])[:, None, None]
    magnitude = np.where((x / 32) ** 2 + (y / 40) ** 2 < 1, 1.0, 0.0)
    magnitude[np.hypot(x - 8, y - 5) < 9] = 0.4
    magnitude[np.hypot(x + 12, y + 10) < 4] = 1.6
    image = magnitude * np.exp(1j * 0.02 * (x + y))
    coils = np.stack([
        np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 55.0**2)) * np.exp(1j * 0.015 * (a * x - b * y) / 40)
        for a in (-40, 40) for b in (-48, 48)
    ])  # fmt: skip
    noise = np.random.default_rng(0).normal(0, 0.002, (2, 4, ROWS, COLUMNS))
    return image, coils, spectra_of(coils * image) + noise[0] + 1j * noise[1]


@pytest.fixture(scope="module")
def undersampled(scan):
    """Half of the samples, the central 24 x 24 among them."""
    measured = np.random.default_rng(1).random((ROWS, COLUMNS)) < 0.45
    measured[ROWS // 2 - 12 : ROWS // 2 + 12, COLUMNS // 2 - 12 : COLUMNS // 2 + 12] = True
    return np.where(measured, scan[2], 0.0)


def test_transforms_are_unitary_inverses_with_zero_frequency_in_the_middle(scan):
    image = scan[0]
    spectrum = spectra_of(image)
    np.testing.assert_allclose(images_of(spectrum), image, atol=1e-12)
    assert np.linalg.norm(spectrum) == pytest.approx(np.linalg.norm(image))
    assert spectra_of(np.ones((6, 8)))[3, 4] == pytest.approx(np.sqrt(48))


def test_sensitivities_are_the_coils_up_to_what_they_have_in_common(scan, undersampled):
    image, coils, _ = scan
    found = coil_sensitivities(undersampled)
    inside = np.abs(image) > 0
    expected = coils / np.sqrt(np.square(np.abs(coils)).sum(axis=0)) * np.exp(-1j * np.angle(coils[:1]))
    off = np.abs(found - expected)[:, inside]
    assert off.mean() < 0.03 and off.max() < 0.1
    assert np.square(np.abs(found)).sum(axis=0)[inside] == pytest.approx(1.0, abs=1e-6)


def test_sense_recovers_the_phantom(scan, undersampled):
    image, coils, full = scan
    sensitivities = coil_sensitivities(undersampled)
    truth = np.abs(image) * np.sqrt(np.square(np.abs(coils)).sum(axis=0))
    recovered = np.abs(sense(undersampled, sensitivities, 1e-3, 30))
    zero_filled = root_sum_of_squares(undersampled)
    error, before = (np.linalg.norm(one - truth) / np.linalg.norm(truth) for one in (recovered, zero_filled))
    assert error < 0.04 and before > 5 * error
    held = (np.abs(undersampled).sum(axis=0) == 0) & (np.random.default_rng(2).random((ROWS, COLUMNS)) < 0.2)
    explained = held_out_error(sense(undersampled, sensitivities, 1e-3, 30), sensitivities, full, held)
    # What was not measured is mostly small samples near the noise, so they are explained less well than the image is.
    assert explained < 0.5
    assert held_out_error(np.zeros((ROWS, COLUMNS)), sensitivities, full, held) == 1.0


def test_a_centre_that_is_not_measured_is_refused(scan):
    measured = np.ones((ROWS, COLUMNS), dtype=bool)
    assert centre_side(measured) == 32
    measured[ROWS // 2 + 3, COLUMNS // 2] = False
    with pytest.raises(UserError, match="6 x 6 samples only"):
        centre_side(measured)


def test_the_file_becomes_a_picture_of_every_step(undersampled, small_network, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    (tmp_path / "test").mkdir()
    np.save(tmp_path / "test" / "phantom.npy", undersampled.astype(np.complex64))
    network = small_network(1)
    torch.nn.init.zeros_(network.reconstruction.weight)
    model = tmp_path / "nothing.safetensors"
    save_checkpoint(model, network, {"name": "nothing", "task": "mr-artifact"})
    options = RestorationOptions(prior="none", device="cpu")
    result = evaluate_kspace_file(tmp_path, tmp_path, options, model, "phantom.npy")
    errors = result["held_out_error"]
    assert errors["SENSE"] < 0.7 * errors["zero-filled"]
    assert errors["SENSE, then mr-artifact"] == pytest.approx(errors["SENSE"], abs=1e-3), "it changes nothing"
    assert result["coils"] == 4 and result["centre_side"] == 24 and result["skipped"] is None
    assert (tmp_path / result["pictures"][0]).stat().st_size > 10_000
    assert sum(line.startswith("| ") for line in kspace_file_lines(result)) == 4
    monkeypatch.setattr("LRformerSlicerLib.restoration.models.MODELS_FOLDER", tmp_path / "none")
    skipped = evaluate_kspace_file(tmp_path, tmp_path, options, None, "phantom.npy")
    assert "No weights for mr-artifact" in skipped["skipped"] and len(skipped["held_out_error"]) == 2
    assert any("left out" in line for line in kspace_file_lines(skipped))
    with pytest.raises(UserError, match="There is no absent.npy"):
        evaluate_kspace_file(tmp_path, tmp_path, options, None, "absent.npy")

"""Ghosts of a pulsating signal are found where physics puts them, taken away, and nowhere else."""

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.degradation.mr.ghosting import Pulsation, pulsating
from LRformerSlicerLib.degradation.mr.kspace import to_image, to_kspace
from LRformerSlicerLib.restoration.kspace.correction import without_kspace_artifacts
from LRformerSlicerLib.restoration.kspace.ghosts import find_ghosts, measured_ghosts
from unit.kspace_phantom import restored_by_the_engine, sharp_head

ROWS = 160


def ghosted(clean: np.ndarray, pulsation: Pulsation, noise: float = 0.0) -> np.ndarray:
    """As a scanner would show it: the magnitude; phase encoding along the rows' index."""
    real, imaginary = np.random.default_rng(8).normal(0.0, max(noise, 1e-9), (2, *clean.shape))
    return np.abs(to_image(pulsating(to_kspace(clean), pulsation)) + real + 1j * imaginary)


def error(image: np.ndarray, clean: np.ndarray) -> float:
    """RMS inside the head, which has no more than 4 of noise."""
    return float(np.sqrt(np.mean((image - clean)[clean > 100] ** 2)))


@pytest.mark.parametrize("phase", [0.3, 2.5])  # ghosts that brighten the head, and ghosts that darken it
@pytest.mark.parametrize("period", [2.6, 4.0, 7.3])
def test_distance_and_depth_are_those_of_the_pulsation(period, phase):
    clean = sharp_head()
    image = ghosted(clean, Pulsation(0.25, period, phase)) / 500.0
    body = clean > 100
    ghosts = measured_ghosts(image, body, find_ghosts(image, body))
    assert ghosts.evidence > 1.25
    assert ghosts.shift_pixels == pytest.approx(ROWS / period, abs=0.3)
    # The head's own texture is like itself by chance at any distance, by up to 0.06 here.
    assert ghosts.depth == pytest.approx(0.25 * np.cos(phase), abs=0.07)


@pytest.mark.parametrize("noise", [0.0, 15.0])
@pytest.mark.parametrize("turned", [False, True])
def test_ghosts_go_and_noise_stays(turned, noise):
    clean = sharp_head()
    pulsation = Pulsation(0.3, 4.3, 0.4)
    seen = ghosted(clean, pulsation, noise)
    alone = ghosted(clean, Pulsation(0.0, 4.3, 0.4), noise)
    correction = without_kspace_artifacts((seen.T if turned else seen).astype(np.float32))
    mended = correction.pixels.T if turned else correction.pixels
    assert correction.ghosts and not correction.missing_lines
    assert error(mended, alone) < 0.25 * error(seen, alone)
    # In the air, too, where the magnitude of ghosts and of noise add as squares.
    air = clean < 20
    assert np.mean((mended - alone)[air] ** 2) < 0.3 * np.mean((seen - alone)[air] ** 2)


@pytest.mark.parametrize("name", ["as it is", "noisy", "cut off by the border"])
def test_slices_without_ghosts_keep_every_bit(name):
    clean = sharp_head(seed=2, cut=name == "cut off by the border")
    if name == "noisy":
        clean = clean + np.abs(np.random.default_rng(1).normal(0, 40, clean.shape))
    correction = without_kspace_artifacts(clean.astype(np.float32))
    assert not correction.ghosts and not correction.missing_lines and not correction.spikes
    np.testing.assert_array_equal(correction.pixels, clean.astype(np.float32))


def test_two_that_are_alike_are_no_ghosts_of_each_other():
    one = sharp_head((80, 144))
    both = np.concatenate([one, one])
    assert find_ghosts(both, both > 100).evidence < 1.25


@pytest.mark.parametrize(("rows", "background"), [(46, 0), (160, 500)])
def test_small_slices_and_small_bodies_are_not_looked_at(rows, background):
    """The same ghosts are found in a slice of 160 pixels that the head fills as usual."""
    seen = ghosted(sharp_head((rows, 144)), Pulsation(0.3, 4.3, 0.4))
    seen = np.pad(seen, [(0, 0), (background, background)])
    correction = without_kspace_artifacts(seen.astype(np.float32))
    assert not correction.ghosts and not correction.missing_lines
    np.testing.assert_array_equal(correction.pixels, seen.astype(np.float32))


def test_the_engine_takes_them_out_and_says_so(checkpoints):
    clean = sharp_head()
    seen = ghosted(clean, Pulsation(0.3, 4.3, 0.4))
    result = restored_by_the_engine([seen, clean], checkpoints)
    restored = sitk.GetArrayFromImage(result.restored)
    assert error(restored[0], clean) < 0.5 * error(seen, clean)
    assert result.report["slices_with_ghosts"] == 1 and result.report["lines_filled"] == 0
    assert any("Ghosts" in line and "1 of 2 slices" in line for line in result.report["warnings"])

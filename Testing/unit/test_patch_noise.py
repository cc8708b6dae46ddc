"""What training patches make of the noise of their pairs: its strength and its grain."""

from dataclasses import replace

import numpy as np
import pytest

from LRformerSlicerLib.training.ct_dose import DoseTask
from LRformerSlicerLib.training.noise_texture import of_a_foreign_spectrum
from LRformerSlicerLib.training.patches import Pair, PatchSampler

NOISE_SD_HU = 30.0


def noises(patches, **changes):
    """(patches, H, W) HU: what is added to one flat slice with white noise."""
    task = DoseTask()
    task.augmentation = replace(task.augmentation, lesions=None, **changes)
    random = np.random.default_rng(0)
    clean = np.full((96, 96), 40, dtype=np.int16)
    noisy = clean + random.normal(0, NOISE_SD_HU, clean.shape).round().astype(np.int16)
    pair = Pair("one", clean, noisy, np.zeros((2, 96, 96), dtype=np.uint8), np.ones((96, 96), dtype=bool))
    degraded, clean, _ = PatchSampler(task, [pair], 96, patches, 0.0, 1).batch(0)
    return 1000.0 * (degraded - clean)[:, 0].numpy()


def neighbours_correlation(noise):
    return np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]


def test_coarser_and_finer_grain_of_the_same_strength():
    changed = noises(
        48, residual_range=(1.0, 1.0), texture_blur_pixels=0.9, texture_sharpening=4.0, foreign_texture_share=0.0
    )
    np.testing.assert_allclose(changed.std(axis=(1, 2)), NOISE_SD_HU, rtol=0.02)
    correlations = np.array([neighbours_correlation(one) for one in changed])
    # Of white noise after a Gaussian of SD s neighbours correlate by exp(-1 / (4 s^2)): 0.73 at 0.9 pixels.
    assert 0.5 < correlations.max() < np.exp(-1 / (4 * 0.9**2)) + 0.05
    # Of its fine grain alone, noise less a Gaussian G of 1 pixel, they correlate by (G*G - 2 G)(1) over
    # (1 - 2 G + G*G)(0): (0.062 - 0.193) / (1 - 0.318 + 0.080) = -0.17.
    assert -0.18 < correlations.min() < -0.1


def test_without_it_the_noise_is_the_pairs_own():
    plain = noises(
        2, residual_range=(1.0, 1.0), texture_blur_pixels=0.0, texture_sharpening=0.0, foreign_texture_share=0.0
    )
    np.testing.assert_allclose(plain.std(axis=(1, 2)), NOISE_SD_HU, rtol=0.02)
    assert all(abs(neighbours_correlation(one)) < 0.05 for one in plain)


def test_doses_are_stretched_to_higher_and_lower_ones():
    strengths = noises(64).std(axis=(1, 2)) / NOISE_SD_HU
    lowest, highest = DoseTask().augmentation.residual_range
    assert strengths.min() == pytest.approx(lowest, abs=0.15) and strengths.max() == pytest.approx(highest, abs=0.15)


def test_foreign_spectra_are_many_and_as_strong_as_the_noise_was():
    random = np.random.default_rng(3)
    noise = random.normal(0, NOISE_SD_HU, (128, 128)).astype(np.float32)
    drawn = [of_a_foreign_spectrum(noise, random) for _ in range(40)]
    np.testing.assert_allclose([one.std() for one in drawn], NOISE_SD_HU, rtol=0.01)
    along = np.array([neighbours_correlation(one) for one in drawn])
    across = np.array([neighbours_correlation(one.T) for one in drawn])
    # From the grain of a lung kernel to that of a smooth one, and not the same in all directions.
    assert along.min() < 0.3 and along.max() > 0.7
    assert np.abs(along - across).max() > 0.2
    assert abs(np.corrcoef(noise.ravel(), drawn[0].ravel())[0, 1]) < 0.1, "the noise itself is gone"


def test_foreign_spectra_are_stronger_where_the_noise_was():
    random = np.random.default_rng(4)
    noise = random.normal(0, 10.0, (128, 128)).astype(np.float32)
    noise[64:] *= 3
    ratios = [one[72:].std() / one[:56].std() for one in (of_a_foreign_spectrum(noise, random) for _ in range(20))]
    np.testing.assert_allclose(ratios, 3.0, rtol=0.2)


def test_the_share_of_foreign_spectra():
    """Neighbours in noise of a foreign spectrum are correlated, in the pair's own white noise they are not."""
    only = {"residual_range": (1.0, 1.0), "texture_blur_pixels": 0.0, "texture_sharpening": 0.0}
    alike = [abs(neighbours_correlation(one)) < 0.02 for one in noises(240, foreign_texture_share=0.4, **only)]
    # A few foreign ones are nearly white.
    assert 0.55 < np.mean(alike) < 0.72

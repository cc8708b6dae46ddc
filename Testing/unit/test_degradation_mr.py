"""MR degradations against what k-space physics demands."""

import numpy as np
import pytest

from LRformerSlicerLib.degradation.mr import add_motion, truncate_kspace
from LRformerSlicerLib.degradation.mr.kspace import frequencies, to_image, to_kspace
from LRformerSlicerLib.degradation.mr.resolution import enlarge_by_zero_filling, with_measured_centre, zero_fill
from LRformerSlicerLib.errors import UserError


def smooth_blob(rows, columns, centre):
    """A Gaussian wide enough to have nothing beyond the kept k-space."""
    y, x = np.mgrid[:rows, :columns]
    return 100.0 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 10.0**2))


@pytest.mark.parametrize("factor", [2, 4])
def test_coarse_pixels_sit_at_the_centre_of_the_fine_ones(factor):
    """A band-limited object sampled on the coarse grid, not one shifted by half a coarse pixel."""
    centre = (61.3, 70.8)
    coarse = truncate_kspace(smooth_blob(128, 144, centre), factor, seed=0, noise_share=0.0)
    y, x = np.mgrid[: 128 // factor, : 144 // factor] * factor + (factor - 1) / 2
    expected = 100.0 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 10.0**2))
    assert coarse.shape == expected.shape
    np.testing.assert_allclose(coarse, expected, atol=0.05)


def test_detail_beyond_the_kept_kspace_is_gone():
    columns = np.arange(128)
    stripes = 100.0 + 50.0 * np.cos(2 * np.pi * 40 / 128 * columns)[None].repeat(128, axis=0)
    coarse = truncate_kspace(stripes, 2, seed=0, noise_share=0.0)
    np.testing.assert_allclose(coarse, 100.0, atol=1e-3)


@pytest.mark.parametrize("factor", [2, 4])
def test_both_variants_hold_the_energy_of_the_kept_kspace(factor):
    """Parseval, before the magnitude: the image is kept bright enough to have none that is negative."""
    random = np.random.default_rng(2)
    slice_values = 1000.0 + random.normal(0, 30, (64, 96))
    spectrum = np.fft.fftshift(np.fft.fft2(slice_values))
    rows, columns = (np.abs(np.arange(size) - size // 2 + 0.25) < size / factor / 2 for size in (64, 96))
    kept = np.sum(np.abs(spectrum[rows][:, columns]) ** 2) / slice_values.size
    coarse = truncate_kspace(slice_values, factor, seed=0, noise_share=0.0).astype(np.float64)
    filled = zero_fill(slice_values, factor, seed=0, noise_share=0.0).astype(np.float64)
    assert factor**2 * np.sum(coarse**2) == pytest.approx(kept, rel=1e-4)
    assert np.sum(filled**2) == pytest.approx(kept, rel=1e-4)
    assert kept < np.sum(slice_values**2) * (1 - 1e-4), "noise beyond the kept part is gone"


@pytest.mark.parametrize("factor", [2, 4])
def test_zero_filling_has_nothing_outside_the_centre_and_its_noise_is_the_coarse_scans(factor):
    slice_values = smooth_blob(128, 96, (60.0, 50.0)) + 200.0
    filled = to_kspace(zero_fill(slice_values, factor, seed=1, noise_share=0.0))
    outside = np.ones(filled.shape, dtype=bool)
    outside[64 - 64 // factor : 64 + 64 // factor + 1, 48 - 48 // factor : 48 + 48 // factor + 1] = False
    assert np.abs(filled[outside]).max() < 1e-3 * np.abs(filled).max()
    flat = np.full((256, 256), 500.0)
    for degrade in (zero_fill, truncate_kspace):
        assert degrade(flat, factor, seed=5, noise_share=0.02).std() == pytest.approx(10.0, rel=0.08)


@pytest.mark.parametrize("factor", [2, 4])
def test_zero_filling_a_coarse_slice_gives_the_band_limited_object_back(factor):
    """Sinc interpolation is exact for what the coarse grid can hold, and puts it at the same place."""
    slice_values = smooth_blob(128, 144, (61.3, 70.8))
    coarse = truncate_kspace(slice_values, factor, seed=0, noise_share=0.0)
    np.testing.assert_allclose(enlarge_by_zero_filling(coarse, factor), slice_values, atol=0.1)


def test_background_noise_is_rayleigh():
    """Magnitude of pure complex noise: mean sd * sqrt(pi / 2), SD sd * sqrt(2 - pi / 2)."""
    slice_values = np.zeros((512, 512), dtype=np.float32)
    slice_values[:64] = 1000.0
    noisy = truncate_kspace(slice_values, 2, seed=3, noise_share=0.05)
    quiet = truncate_kspace(slice_values, 2, seed=3, noise_share=0.0)
    background = noisy[128:192][quiet[128:192] < 1.0]
    sd = 0.05 * 1000.0
    assert background.mean() == pytest.approx(sd * np.sqrt(np.pi / 2), rel=0.03)
    assert background.std() == pytest.approx(sd * np.sqrt(2 - np.pi / 2), rel=0.05)


def test_motion_spoils_the_edges_along_phase_encoding_and_keeps_the_mean():
    slice_values = np.zeros((128, 128), dtype=np.float32)
    slice_values[32:96, 40:88] = 200.0
    moved = add_motion(slice_values, seed=1, noise_share=0.0)
    assert moved.shape == slice_values.shape
    # Lines of k-space are rows: what one line gets wrong is smeared along the rows' axis, above and below the object.
    above = moved[:24, 48:80].mean()
    beside = moved[56:72, :32].mean()
    assert above > 2 * beside and above > 1.0
    # The centre of k-space is the unmoved one.
    assert abs(np.fft.fft2(moved)[0, 0]) >= 0.99 * slice_values.sum()


def test_same_seed_same_slice():
    slice_values = smooth_blob(64, 64, (30, 30)).astype(np.float32)
    for degrade in (lambda seed: add_motion(slice_values, seed), lambda seed: truncate_kspace(slice_values, 2, seed)):
        np.testing.assert_array_equal(degrade(4), degrade(4))
        assert np.abs(degrade(4) - degrade(5)).max() > 0


def test_wrong_factors_and_sizes_are_refused():
    with pytest.raises(UserError, match="2 or 4, not 3"):
        truncate_kspace(np.zeros((30, 30)), 3, seed=0)
    with pytest.raises(UserError, match="cannot be divided by 4"):
        truncate_kspace(np.zeros((30, 32)), 4, seed=0)


@pytest.mark.parametrize(("rows", "columns"), [(24, 30), (25, 31)])
@pytest.mark.parametrize("factor", [2, 4])
def test_the_measured_centre_replaces_low_frequencies_alone(rows, columns, factor):
    random = np.random.default_rng(5)
    texture, guess = (random.normal(10.0, 1.0, (rows * factor, columns * factor)) for _ in range(2))
    within = [np.abs(frequencies(size)) * 2 < size / factor for size in texture.shape]
    # The coarse grid's Nyquist frequency would make its image complex, and its magnitude another image.
    truth = to_image(to_kspace(texture) * np.outer(*within)).real
    coarse = truncate_kspace(truth, factor, seed=0, noise_share=0.0)
    consistent = with_measured_centre(guess, coarse, factor)
    is_measured = np.ix_(*within)
    spectrum, before, wanted = to_kspace(consistent), to_kspace(guess), to_kspace(truth)
    np.testing.assert_allclose(spectrum[is_measured], wanted[is_measured], atol=1e-4)
    others = np.ones(truth.shape, dtype=bool)
    others[is_measured] = False
    np.testing.assert_allclose(spectrum[others], before[others], atol=1e-4)

"""Low-dose CT against physics: how noise scales, what its spectrum looks like, which way it streaks."""

import numpy as np
import pytest

from LRformerSlicerLib.degradation.ct import (
    FULL_DOSE_PHOTONS,
    ParallelBeamScanner,
    dose_noise,
    simulate_low_dose,
    thinned_line_integrals,
)
from LRformerSlicerLib.errors import UserError

pytest.importorskip("astra", reason="astra-toolbox is not installed")

PIXEL_SIZE_MM = 1.0


def water_disc(size=256, radius=90, semi_axes=(1.0, 1.0)):
    """Water in air, HU."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where((y / semi_axes[0]) ** 2 + (x / semi_axes[1]) ** 2 < radius**2, 0.0, -1000.0).astype(np.float32)


def centre(image, half=30):
    middle = image.shape[0] // 2
    return image[middle - half : middle + half, middle - half : middle + half]


def test_line_integrals_and_reconstruction_are_in_physical_units():
    """Through the middle of 180 mm of water p = 0.02 / mm * 180 mm, and reconstruction gives water back as 0 HU."""
    disc = water_disc()
    with ParallelBeamScanner(256, 256, PIXEL_SIZE_MM) as scanner:
        line_integrals = scanner.project(disc)
        water = scanner.reconstruct(line_integrals, "standard") - 1000.0
    assert line_integrals[:, line_integrals.shape[1] // 2].mean() == pytest.approx(3.6, rel=0.01)
    assert centre(water).mean() == pytest.approx(0.0, abs=5.0)


def test_thinning_has_the_variance_of_lost_photons():
    line_integrals = np.full((400, 400), 4.0, dtype=np.float32)
    photons = FULL_DOSE_PHOTONS * np.exp(-4.0)
    for dose in (0.5, 0.25, 0.1):
        noise = thinned_line_integrals(line_integrals, dose, np.random.default_rng(1)) - line_integrals
        electronic = 64.0 * (1 - dose**2) / (dose * photons) ** 2
        assert noise.var() == pytest.approx((1 / dose - 1) / photons + electronic, rel=0.03)
        assert noise.mean() == pytest.approx(0.0, abs=2e-3)


def test_image_noise_variance_follows_one_over_dose():
    """Together with the noise that full dose already has, the variance is proportional to 1 / dose."""
    disc = water_disc()
    added = {dose: centre(dose_noise(disc, PIXEL_SIZE_MM, dose, seed=2)).var() for dose in (0.5, 0.25, 0.125)}
    full_dose = added[0.5]  # (1/0.5 - 1) = 1 unit: what full dose has by the same statistics
    for dose, variance in added.items():
        assert full_dose + variance == pytest.approx(full_dose / dose, rel=0.1)


def test_full_dose_changes_nothing():
    disc = water_disc(128, 50)
    np.testing.assert_array_equal(simulate_low_dose(disc, PIXEL_SIZE_MM, 1.0, seed=0), disc)


def radial_spectrum(noise):
    """Mean power over rings of spatial frequency, in cycles per pixel."""
    power = np.abs(np.fft.fftshift(np.fft.fft2(noise - noise.mean()))) ** 2
    size = noise.shape[0]
    y, x = np.mgrid[:size, :size] - size // 2
    ring = np.hypot(y, x).astype(int)
    return np.bincount(ring.ravel(), power.ravel())[: size // 2] / np.bincount(ring.ravel())[: size // 2]


def test_noise_power_falls_at_zero_frequency_and_follows_the_kernel():
    disc = water_disc()
    spectra = {}
    for kernel in ("smooth", "standard", "sharp"):
        noise = [centre(dose_noise(disc, PIXEL_SIZE_MM, 0.25, seed, kernel), 32) for seed in range(6)]
        spectra[kernel] = np.mean([radial_spectrum(one) for one in noise], axis=0)
    for spectrum in spectra.values():
        peak = spectrum[2:].max()
        assert spectrum[1] < 0.5 * peak, "the ramp filter suppresses the lowest frequencies"
    mean_frequency = {name: (np.arange(32) * s).sum() / s.sum() for name, s in spectra.items()}
    assert mean_frequency["smooth"] < mean_frequency["standard"] < mean_frequency["sharp"]
    # The Hann window at 0.6 of Nyquist passes nothing beyond: ring 32 of 64 pixels is Nyquist.
    assert spectra["smooth"][24:].mean() < 0.02 * spectra["smooth"].max()


def test_noise_streaks_along_the_long_axis_of_the_body():
    """Through shoulders (a wide ellipse) horizontal rays are starved: noise is correlated along rows, not columns."""
    shoulders = water_disc(256, 60, semi_axes=(0.7, 1.9))
    noise = centre(dose_noise(shoulders, PIXEL_SIZE_MM, 0.1, seed=4, kernel="sharp"), 24)
    noise = noise - noise.mean()
    lag = 4
    along_rows = (noise[:, lag:] * noise[:, :-lag]).mean() / noise.var()
    along_columns = (noise[lag:] * noise[:-lag]).mean() / noise.var()
    assert along_rows > along_columns + 0.1


def test_seed_decides():
    disc = water_disc(128, 50)
    first = simulate_low_dose(disc, PIXEL_SIZE_MM, 0.25, seed=7)
    np.testing.assert_array_equal(first, simulate_low_dose(disc, PIXEL_SIZE_MM, 0.25, seed=7))
    assert np.abs(first - simulate_low_dose(disc, PIXEL_SIZE_MM, 0.25, seed=8)).max() > 1.0


@pytest.mark.parametrize("dose", [0.0, -0.5, 1.5])
def test_impossible_doses_are_refused(dose):
    with pytest.raises(UserError, match="fraction of the full dose"):
        simulate_low_dose(water_disc(64, 20), PIXEL_SIZE_MM, dose, seed=0)


def test_unknown_kernel_is_refused():
    with pytest.raises(UserError, match="Unknown kernel 'bone'"):
        simulate_low_dose(water_disc(64, 20), PIXEL_SIZE_MM, 0.5, seed=0, kernel="bone")

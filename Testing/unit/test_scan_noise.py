"""The noise of a CT slice, measured in slices whose noise is known."""

import numpy as np
import pytest
from scipy import ndimage

from LRformerSlicerLib.degradation.scan_noise import (
    WINDOW,
    ScanNoise,
    local_mean_and_sd,
    measure_scan_noise,
    textured_noise,
)


@pytest.fixture(scope="module")
def anatomy():
    """A body with many sharp discs, a lung and bowel gas at -1024 HU, (384, 384) HU, and where the body is."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:384, :384]
    body = np.hypot((y - 192) / 0.8, x - 192) < 180
    pixels = np.where(body, 40.0, -1000.0)
    for row, column, radius, value in random.uniform((60, 40, 4, -60), (320, 340, 14, 160), (50, 4)):
        pixels[(np.hypot(y - row, x - column) < radius) & body] = value
    pixels[np.hypot(y - 150, x - 110) < 40] = -850.0
    pixels[np.hypot(y - 250, x - 250) < 15] = -1024.0
    return ndimage.gaussian_filter(pixels, 0.7).astype(np.float32), body


def coloured(shape, cut_off, seed):
    """Noise of SD 1 as filtered back-projection makes it: its power rises with the frequency up to a cut-off."""
    down, right = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    frequency = np.hypot(down, right)
    amplitude = np.sqrt(frequency) * np.exp(-((frequency / cut_off) ** 2))
    white = np.random.default_rng(seed).standard_normal(shape)
    noise = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=shape)
    return (noise / noise.std()).astype(np.float32)


@pytest.mark.parametrize("cut_off", [0.2, 0.3, 0.8])
@pytest.mark.parametrize("sd", [10.0, 30.0])
def test_the_sd_is_that_of_the_noise_and_not_of_the_anatomy(anatomy, cut_off, sd):
    pixels, body = anatomy
    found = measure_scan_noise(pixels + sd * coloured(pixels.shape, cut_off, 1), body).sd
    assert np.median(found[body]) == pytest.approx(sd, rel=0.12)
    assert np.percentile(found[body], 95) < 1.4 * sd


def test_the_sd_follows_the_place(anatomy):
    pixels, body = anatomy
    strength = np.where(np.arange(384) < 192, 10.0, 30.0)
    found = measure_scan_noise(pixels + strength * coloured(pixels.shape, 0.3, 2), body).sd
    assert np.median(found[:, :130][body[:, :130]]) == pytest.approx(10.0, rel=0.15)
    assert np.median(found[:, 260:][body[:, 260:]]) == pytest.approx(30.0, rel=0.15)


@pytest.mark.parametrize("cut_off", [0.2, 0.8])
def test_what_is_drawn_has_the_texture_of_the_noise(anatomy, cut_off):
    pixels, body = anatomy
    noise = 20.0 * coloured(pixels.shape, cut_off, 3)
    drawn = measure_scan_noise(pixels + noise, body).draw(np.random.default_rng(4))
    for lag in (1, 2):
        of_noise, of_drawn = (
            np.corrcoef(one[:, lag:][body[:, lag:]], one[:, :-lag][body[:, lag:]])[0, 1] for one in (noise, drawn)
        )
        assert of_drawn == pytest.approx(of_noise, abs=0.12)


@pytest.mark.parametrize("shape", [(128, 128), (97, 130), (8, 40)])
def test_drawn_noise_is_of_sd_one_whatever_its_size(shape):
    power = np.abs(np.fft.rfft2(coloured((WINDOW, WINDOW), 0.3, 5))) ** 2
    drawn = np.stack([textured_noise(shape, power, np.random.default_rng(seed)) for seed in range(40)])
    assert drawn.shape[1:] == shape and drawn.dtype == np.float32
    assert drawn.std() == pytest.approx(1.0, rel=0.06)


def test_two_draws_are_independent_and_parts_are_parts():
    noise = ScanNoise(np.full((64, 64), 5.0, dtype=np.float32), np.ones((WINDOW, WINDOW // 2 + 1), dtype=np.float32))
    random = np.random.default_rng(0)
    assert abs(np.corrcoef(noise.draw(random).ravel(), noise.draw(random).ravel())[0, 1]) < 0.06
    assert noise.part(slice(8, 24), slice(0, 40)).sd.shape == (16, 40)
    assert noise.mirrored([(0, 3), (0, 0)]).sd.shape == (67, 64)


def test_no_body_has_no_noise_and_a_tiny_slice_is_refused():
    assert not measure_scan_noise(np.zeros((64, 64), np.float32), np.zeros((64, 64), bool)).sd.any()
    with pytest.raises(ValueError, match="at least 16 pixels"):
        measure_scan_noise(np.zeros((12, 64), np.float32), np.ones((12, 64), bool))


def test_local_sd_is_the_plain_one():
    pixels = np.random.default_rng(1).normal(3000.0, 2.0, (20, 20))
    mean, sd = local_mean_and_sd(pixels)
    assert mean[10, 10] == pytest.approx(pixels[7:14, 7:14].mean())
    assert sd[10, 10] == pytest.approx(pixels[7:14, 7:14].std(ddof=1), rel=1e-6)

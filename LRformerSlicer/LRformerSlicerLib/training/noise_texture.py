"""The texture of training noise: made coarser or finer, or of a spectrum that no simulated kernel has.

A scan has noise of its own, and so has a training target.  A network that can tell the one from the other by its
texture learns to leave all noise that it was not shown, however strong.  So it is shown many textures.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SHARPENED_OVER_PIXELS = 1.0  # SD of the Gaussian whose difference from the noise is its fine grain
PLANE = (-2, -1)
SMALLEST_SD = 1e-3  # of noise, in the stored numbers, of which 1 is the step

# A filtered back-projection of white detector noise has a spectrum that rises as the frequency does and falls with the
# kernel's window (Riederer, Pelc and Chesler, Phys Med Biol 23, 1978); both are drawn.
RISE_POWERS = (0.0, 1.2)  # of the spectrum's square root
CUT_OFFS_CYCLES_PER_PIXEL = (0.2, 0.8)
FALL_POWERS = (2.0, 6.0)
MOST_STRETCH = 2.0  # of one axis of the spectrum against the other, in any direction


def of_another_grain(
    noise: np.ndarray, blur_pixels: float, sharpening: float, random: np.random.Generator
) -> np.ndarray:
    """Noise made coarser or finer, one as often as the other, with the SD it had.

    Args:
        noise: (..., H, W) float32; of several planes all get one grain.
        blur_pixels: the coarser is blurred by a Gaussian of an SD from 0 to this.
        sharpening: the finer gets from 0 to this many times its own fine grain on top.
        random: to draw with.
    """
    if random.random() < 0.5:
        changed = gaussian_filter(noise, random.uniform(0.0, blur_pixels), axes=PLANE)
    else:
        amount = np.float32(random.uniform(0.0, sharpening))
        changed = noise + amount * (noise - gaussian_filter(noise, SHARPENED_OVER_PIXELS, axes=PLANE))
    return _as_strong_as(noise, changed)


def of_a_foreign_spectrum(noise: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(..., H, W) float32 noise of a spectrum drawn anew, about as strong as ``noise`` was in every place."""
    # With signs drawn anew it is white, and as strong as it was in every place.
    white = noise * random.choice(np.float32([-1.0, 1.0]), noise.shape)
    shape = noise.shape[-2:]
    shaped = np.fft.irfft2(np.fft.rfft2(white) * _random_spectrum(shape, random), s=shape)
    return _as_strong_as(noise, shaped.astype(np.float32))


def _random_spectrum(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """(H, W // 2 + 1): magnitude of a band-pass, wider along one axis than along the other."""
    down = np.fft.fftfreq(shape[0])[:, None]
    right = np.fft.rfftfreq(shape[1])[None, :]
    angle = random.uniform(0.0, np.pi)
    stretch = np.exp(random.uniform(-1.0, 1.0) * np.log(MOST_STRETCH) / 2)
    along = (down * np.cos(angle) + right * np.sin(angle)) * stretch
    across = (right * np.cos(angle) - down * np.sin(angle)) / stretch
    frequency = np.hypot(along, across)
    rise, fall = random.uniform(*RISE_POWERS), random.uniform(*FALL_POWERS)
    cut_off = np.exp(random.uniform(*np.log(CUT_OFFS_CYCLES_PER_PIXEL)))
    return frequency**rise * np.exp(-((frequency / cut_off) ** fall))


def _as_strong_as(noise: np.ndarray, changed: np.ndarray) -> np.ndarray:
    return changed * np.float32(noise.std() / max(float(changed.std()), SMALLEST_SD))

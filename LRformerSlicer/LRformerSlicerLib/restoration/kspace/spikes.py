"""Stripes over a whole MR slice (herringbone) come of single samples of k-space, and there they are found.

A network sees a window of the slice, a stripe runs through all of them: what is one sample in k-space is no small thing
in the image.  The sample is found as radiographers find it, by standing out of its neighbours.  Of a magnitude image
stripes are seen in tissue alone, and drift with the smooth phase of the magnetisation; so their height and place are
taken from the tissue around, and there they are subtracted.
Source of the artifact: Heiland, American Journal of Neuroradiology 29 (2008) 1440.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

NEIGHBOURHOOD_SAMPLES = 4  # each way
LEAST_OVER_NEIGHBOURS = 10.0  # medians; clean slices of the training scans reach 7.3
LEAST_OVER_AXIS = 3.0  # of a sample on an axis of k-space, over its neighbours there
LEAST_STRIPE_SHARE = 0.003  # height of the stripes over the slice's bright tissue
SMALLEST_RADIUS_SHARE = 0.06  # of the way to the edge of k-space: nearer, anatomy itself stands out
BRIGHT_PERCENTILE = 99.0
DRIFT_SHARE = 0.08  # SD of the Gaussian over which stripes are taken for even, of each side of the slice
SMALLEST_WEIGHT = 0.05
MOST_SPIKES = 8


def without_spikes(pixels: np.ndarray) -> tuple[np.ndarray, int]:
    """A slice without the stripes of the samples of k-space that stand out.

    Args:
        pixels: (H, W) magnitude.

    Returns:
        The slice, (H, W) float32, the given one where nothing stands out; and how many samples did.
    """
    found, image = 0, pixels.astype(np.float64)
    bright = float(np.percentile(pixels, BRIGHT_PERCENTILE))
    while found < MOST_SPIKES and (frequency := _outstanding(image, bright)) is not None:
        image = image - _stripes(image, frequency)
        found += 1
    return image.astype(np.float32), found


def _outstanding(image: np.ndarray, bright: float) -> tuple[int, int] | None:
    """Row and column in k-space, as numpy orders it, of the largest sample that stands out; None where none does."""
    magnitude = np.abs(np.fft.fft2(image))
    rows, columns = (np.abs(np.fft.fftfreq(length)) * 2.0 for length in image.shape)
    far_out = np.hypot(rows[:, None], columns[None]) > SMALLEST_RADIUS_SHARE
    # A sample and its mirror image make stripes of twice its height over the number of pixels.
    stripes = 2.0 * magnitude / image.size
    suspects = np.argwhere(far_out & (stripes > LEAST_STRIPE_SHARE * bright))
    if not len(suspects):
        return None
    steps = np.arange(-NEIGHBOURHOOD_SAMPLES, NEIGHBOURHOOD_SAMPLES + 1)
    neighbours = magnitude[
        (suspects[:, 0, None, None] + steps[:, None]) % image.shape[0],
        (suspects[:, 1, None, None] + steps) % image.shape[1],
    ]
    heights = magnitude[tuple(suspects.T)]
    standing_out = heights > LEAST_OVER_NEIGHBOURS * np.median(neighbours.reshape(len(suspects), -1), axis=1)
    # Tissue that the slice's border cuts off makes a cross of high samples: each stands out of all but the others.
    middle = NEIGHBOURHOOD_SAMPLES
    for axis, along in ((0, neighbours[:, middle]), (1, neighbours[:, :, middle])):
        standing_out &= (suspects[:, axis] != 0) | (heights > LEAST_OVER_AXIS * np.median(along, axis=1))
    if not standing_out.any():
        return None
    row, column = suspects[np.argmax(np.where(standing_out, heights, 0.0))]
    return int(row), int(column)


def _stripes(image: np.ndarray, frequency: tuple[int, int]) -> np.ndarray:
    """The stripes of one sample as the magnitude image shows them, (H, W)."""
    rows, columns = (np.arange(length) / length for length in image.shape)
    wave = np.exp(2j * np.pi * (frequency[0] * rows[:, None] + frequency[1] * columns[None]))
    spread = [DRIFT_SHARE * length for length in image.shape]
    height = 2.0 * np.abs((image * wave.conj()).mean())
    tissue = gaussian_filter(image, 3.0)  # wider than the stripes
    seen = np.clip(tissue, 0.0, None) / np.hypot(tissue, 4.0 * height)
    demodulated = 2.0 * image * wave.conj() * seen
    mean = gaussian_filter(demodulated.real, spread) + 1j * gaussian_filter(demodulated.imag, spread)
    mean /= np.maximum(gaussian_filter(seen**2, spread), SMALLEST_WEIGHT)
    return seen * (mean * wave).real

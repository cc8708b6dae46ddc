"""Degraded MR slices, made in k-space: fewer samples, and motion between phase-encoding lines.

Slices are magnitude images.  Noise is complex and Gaussian in k-space, so that the magnitude is Rician
(Gudbjartsson and Patz, Magnetic Resonance in Medicine 34 (1995) 910).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..errors import UserError

NOISE_SHARE = 0.01  # standard deviation of the noise in each channel, as a share of the slice's bright tissue
BRIGHT_PERCENTILE = 99.0
LARGEST_ROTATION_DEGREES = 4.0
LARGEST_TRANSLATION_PIXELS = 4.0
POSE_COUNT_RANGE = (2, 5)
STILL_CENTRE_SHARE = 0.08  # of the phase-encoding lines, measured before the patient moves


def truncate_kspace(slice_values: np.ndarray, factor: int, seed: int, noise_share: float = NOISE_SHARE) -> np.ndarray:
    """The slice on the coarser grid of a scan with ``factor`` times fewer samples along both axes.

    Only the centre of k-space is kept.  A coarse pixel covers factor x factor fine ones and its value belongs to
    their common centre: the spectrum gets the phase of that shift before it is cut, so that both grids have the same
    physical extent.

    Args:
        slice_values: (rows, columns), both divisible by ``factor``.
        factor: 2 or 4.
        seed: of the noise.
        noise_share: standard deviation of the complex noise per channel over the slice's bright tissue.

    Returns:
        (rows / factor, columns / factor) float32 magnitude in the slice's units.

    Raises:
        UserError: another factor, or a side that it does not divide.
    """
    if factor not in (2, 4):
        raise UserError(f"The factor is 2 or 4, not {factor}.")
    rows, columns = slice_values.shape
    if rows % factor or columns % factor:
        raise UserError(f"A slice of {columns} x {rows} pixels cannot be divided by {factor}: crop it first.")
    spectrum = np.fft.fft2(slice_values.astype(np.float64))
    for axis, size in enumerate((rows, columns)):
        shift = np.exp(2j * np.pi * np.fft.fftfreq(size) * (factor - 1) / 2)
        spectrum *= shift[:, None] if axis == 0 else shift[None, :]
        kept = np.fft.fftfreq(size // factor, 1.0 / (size // factor)).astype(int)
        spectrum = np.take(spectrum, kept % size, axis=axis)
    coarse = np.fft.ifft2(spectrum) / factor**2
    return _rician(coarse, slice_values, seed, noise_share)


def add_motion(slice_values: np.ndarray, seed: int, noise_share: float = NOISE_SHARE) -> np.ndarray:
    """The slice as acquired from a patient who moves a few times during phase encoding (rows of k-space).

    Between random lines the patient takes another rigid pose; each block of lines is measured in its own.  The
    centre of k-space belongs to the first pose, as it does when the contrast of the image is to be that pose's.

    Args:
        slice_values: (rows, columns) magnitude.
        seed: of poses and noise.
        noise_share: as in :func:`truncate_kspace`.

    Returns:
        (rows, columns) float32 magnitude in the slice's units.
    """
    random = np.random.default_rng(seed)
    rows, _ = slice_values.shape
    values = slice_values.astype(np.float64)
    spectrum = np.fft.fftshift(np.fft.fft2(values), axes=0)
    still = max(1, round(rows * STILL_CENTRE_SHARE / 2))
    # Lines are measured from one edge of k-space to the other; a pose lasts from one random line to the next.
    changes = np.sort(random.choice(np.arange(1, rows), random.integers(*POSE_COUNT_RANGE), replace=False))
    for first, last in zip(changes, [*changes[1:], rows], strict=True):
        lines = np.arange(first, last)
        lines = lines[np.abs(lines - rows // 2) > still]
        angle = random.uniform(-LARGEST_ROTATION_DEGREES, LARGEST_ROTATION_DEGREES)
        shift = random.uniform(-LARGEST_TRANSLATION_PIXELS, LARGEST_TRANSLATION_PIXELS, size=2)
        posed = ndimage.shift(ndimage.rotate(values, angle, reshape=False, order=3), shift, order=3)
        spectrum[lines] = np.fft.fftshift(np.fft.fft2(posed), axes=0)[lines]
    moved = np.fft.ifft2(np.fft.ifftshift(spectrum, axes=0))
    return _rician(moved, slice_values, seed + 1, noise_share)


def _rician(complex_image: np.ndarray, original: np.ndarray, seed: int, noise_share: float) -> np.ndarray:
    sd = noise_share * float(np.percentile(np.abs(original), BRIGHT_PERCENTILE))
    random = np.random.default_rng(seed)
    noise = random.standard_normal((2, *complex_image.shape)) * sd
    return np.abs(complex_image + noise[0] + 1j * noise[1]).astype(np.float32)

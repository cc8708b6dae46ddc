"""Fewer samples: the centre of k-space alone is measured, so that fine detail is lost.

Scanners show such a scan in two ways: on the coarse grid that the samples allow, or, filled with zeros up to the matrix
of a finer scan, on the fine grid.  Both hold the same information; the networks get the coarse one.
Source: Liang and Lauterbur, Principles of Magnetic Resonance Imaging (2000), chapter 8 (truncation, zero-padding).
"""

from __future__ import annotations

import numpy as np

from ...errors import UserError
from .kspace import bright_tissue, centre_of, frequencies, to_image, to_kspace
from .noise import rician_magnitude

NOISE_SHARE = 0.01  # standard deviation of the noise in each channel, as a share of the slice's bright tissue
FACTORS = (2, 4)


def truncate_kspace(slice_values: np.ndarray, factor: int, seed: int, noise_share: float = NOISE_SHARE) -> np.ndarray:
    """The slice on the coarser grid of a scan with ``factor`` times fewer samples along both axes.

    A coarse pixel covers factor x factor fine ones and its value belongs to their common centre: the spectrum gets the
    phase exp(i pi k (factor - 1) / n) of that shift before it is cut, so that both grids have the same extent.

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
    _check(slice_values.shape, factor)
    kept = kept_centre(_shifted_by_half_a_coarse_pixel(to_kspace(slice_values), factor), factor)
    # The unitary transforms of both grids differ by the factor in their scale.
    coarse = to_image(kept) / factor
    return rician_magnitude(coarse, noise_share * bright_tissue(slice_values), seed)


def zero_fill(slice_values: np.ndarray, factor: int, seed: int, noise_share: float = NOISE_SHARE) -> np.ndarray:
    """The scan of :func:`truncate_kspace` as a scanner shows it that fills its k-space with zeros to the fine grid.

    Arguments and errors as there.  The noise is that of the coarse scan, so it is smooth on the fine grid.

    Returns:
        (rows, columns) float32 magnitude on the grid of ``slice_values``.
    """
    _check(slice_values.shape, factor)
    kept = kept_centre(to_kspace(slice_values), factor)
    # Noise of the coarse pixels: their image is 1 / factor of the unitary one.
    sd = factor * noise_share * bright_tissue(slice_values)
    random = np.random.default_rng(seed)
    kept = kept + sd * (random.standard_normal(kept.shape) + 1j * random.standard_normal(kept.shape))
    filled = np.zeros(slice_values.shape, dtype=np.complex128)
    filled[_centre(slice_values.shape, factor)] = kept
    return np.abs(to_image(filled)).astype(np.float32)


def enlarge_by_zero_filling(coarse: np.ndarray, factor: int) -> np.ndarray:
    """Sinc interpolation of a coarse slice to the ``factor`` times finer grid over the same extent.

    Args:
        coarse: (rows, columns) magnitude.
        factor: how many times finer.

    Returns:
        (factor * rows, factor * columns) float32; it may be below 0 beside sharp edges.
    """
    fine_shape = (coarse.shape[0] * factor, coarse.shape[1] * factor)
    filled = np.zeros(fine_shape, dtype=np.complex128)
    filled[_centre(fine_shape, factor)] = to_kspace(coarse) * factor
    return to_image(np.conj(_half_pixel_phase(fine_shape, factor)) * filled).real.astype(np.float32)


def with_measured_centre(fine: np.ndarray, coarse: np.ndarray, factor: int) -> np.ndarray:
    """``fine`` with those frequencies that ``coarse`` holds taken from it: what was measured is not to be changed.

    Frequencies on the edge of what was measured (a coarse grid's Nyquist frequency, which has no mirror image there)
    are left as they are.

    Args:
        fine: (factor * rows, factor * columns).
        coarse: (rows, columns) over the same extent.
        factor: how many times finer.

    Returns:
        (factor * rows, factor * columns) float32.
    """
    centre = _centre(fine.shape, factor)
    unshifted = to_kspace(coarse) * factor * np.conj(_half_pixel_phase(fine.shape, factor)[centre])
    inside = np.ix_(*(2 * np.abs(frequencies(size)) < size for size in coarse.shape))
    spectrum = to_kspace(fine)
    spectrum[centre][inside] = unshifted[inside]
    return to_image(spectrum).real.astype(np.float32)


def kept_centre(spectrum: np.ndarray, factor: int) -> np.ndarray:
    """The middle (rows / factor, columns / factor) of a centred (rows, columns) spectrum."""
    return spectrum[_centre(spectrum.shape, factor)]


def _centre(shape: tuple[int, int], factor: int) -> tuple[slice, ...]:
    return centre_of(shape, tuple(size // factor for size in shape))


def _half_pixel_phase(shape: tuple[int, int], factor: int) -> np.ndarray:
    rows, columns = (np.exp(1j * np.pi * frequencies(size) * (factor - 1) / size) for size in shape)
    return rows[:, None] * columns[None, :]


def _shifted_by_half_a_coarse_pixel(spectrum: np.ndarray, factor: int) -> np.ndarray:
    return spectrum * _half_pixel_phase(spectrum.shape, factor)


def _check(shape: tuple[int, ...], factor: int) -> None:
    if factor not in FACTORS:
        raise UserError(f"The factor is 2 or 4, not {factor}.")
    rows, columns = shape
    if rows % factor or columns % factor:
        raise UserError(f"A slice of {columns} x {rows} pixels cannot be divided by {factor}: crop it first.")

"""Images from undersampled k-space of several coils: sensitivities from its centre, then SENSE by conjugate gradients.

Spectra are (coils, rows, columns) complex with zero frequency at (rows // 2, columns // 2); samples that were not
measured are 0.  Transforms are unitary.  Sources: Uecker et al., Magn Reson Med 71 (2014) 990 (ESPIRiT: sensitivities
are the eigenvectors to the eigenvalue 1 of what every small patch of calibrated k-space obeys); Pruessmann et al., Magn
Reson Med 46 (2001) 638 (SENSE for arbitrary sampling by conjugate gradients).
"""

from __future__ import annotations

import numpy as np

from ...degradation.mr.kspace import centre_of
from ...errors import UserError

KERNEL_SIDE = 6
GRAM_SIDE = 16
"""Even, and at least 2 K - 1 for a kernel of K."""
SMALLEST_CENTRE_SIDE = 2 * KERNEL_SIDE
LARGEST_CENTRE_SIDE = 32
SINGULAR_VALUE_SHARE = 0.02
"""Of the largest: calibration patterns below it are noise."""
SMALLEST_EIGENVALUE = 0.8
"""Below it there is no signal whose sensitivity could be known."""


def spectra_of(images: np.ndarray) -> np.ndarray:
    """Centred spectra of complex images (..., rows, columns)."""
    moved = np.fft.ifftshift(images, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(moved, norm="ortho"), axes=(-2, -1))


def images_of(spectra: np.ndarray) -> np.ndarray:
    """Complex images (..., rows, columns) of centred spectra: the inverse of :func:`spectra_of`."""
    moved = np.fft.ifftshift(spectra, axes=(-2, -1))
    return np.fft.fftshift(np.fft.ifft2(moved, norm="ortho"), axes=(-2, -1))


def root_sum_of_squares(spectra: np.ndarray) -> np.ndarray:
    """The zero-filled magnitude image (rows, columns) of all coils."""
    return np.sqrt(np.square(np.abs(images_of(spectra))).sum(axis=0))


def centre_side(measured: np.ndarray) -> int:
    """Side of the largest square around zero frequency that is measured throughout, at most LARGEST_CENTRE_SIDE.

    Raises:
        UserError: it is too small to calibrate from.
    """
    side = 0
    while side + 2 <= min(LARGEST_CENTRE_SIDE, *measured.shape) and measured[_centre(measured.shape, side + 2)].all():
        side += 2
    if side < SMALLEST_CENTRE_SIDE:
        raise UserError(
            f"The middle of k-space is measured throughout over {side} x {side} samples only: at least "
            f"{SMALLEST_CENTRE_SIDE} x {SMALLEST_CENTRE_SIDE} are needed to find the coils' sensitivities."
        )
    return side


def coil_sensitivities(spectra: np.ndarray) -> np.ndarray:
    """Sensitivities (coils, rows, columns) complex, whose squares sum to 1 where there is signal, else 0.

    The first coil's phase is taken as zero.

    Raises:
        UserError: the centre of k-space is not measured throughout.
    """
    coils, rows, columns = spectra.shape
    side = centre_side(np.abs(spectra).sum(axis=0) > 0)
    centre = spectra[(slice(None), *_centre((rows, columns), side))]
    patches = np.lib.stride_tricks.sliding_window_view(centre, (KERNEL_SIDE, KERNEL_SIDE), axis=(1, 2))
    matrix = patches.transpose(1, 2, 0, 3, 4).reshape(-1, coils * KERNEL_SIDE**2)
    _, values, rows_space = np.linalg.svd(matrix, full_matrices=False)
    kernels = rows_space[values > SINGULAR_VALUE_SHARE * values[0]].reshape(-1, coils, KERNEL_SIDE, KERNEL_SIDE)
    gram = _finer(_gram(kernels), (rows, columns))
    eigenvalues, vectors = np.linalg.eigh(gram)
    best = vectors[..., -1]
    best = best * np.exp(-1j * np.angle(best[..., :1]))
    return np.where(eigenvalues[..., -1:] >= SMALLEST_EIGENVALUE, best, 0.0).transpose(2, 0, 1)


def _gram(kernels: np.ndarray) -> np.ndarray:
    """What patterns (N, coils, K, K) have in common, summed over them, on a coarse grid of the image: (S, S, C, C).

    A pattern's correlation with k-space is a product in the image, and products of two patterns reach over 2 K - 1
    samples of k-space, so that a grid of GRAM_SIDE pixels holds all there is.
    """
    count, coils, _, _ = kernels.shape
    padded = np.zeros((count, coils, GRAM_SIDE, GRAM_SIDE), dtype=np.complex128)
    padded[(slice(None), slice(None), *_centre((GRAM_SIDE, GRAM_SIDE), KERNEL_SIDE))] = kernels.conj()[..., ::-1, ::-1]
    seen = images_of(padded) * (GRAM_SIDE / KERNEL_SIDE)
    return np.einsum("ncxy,ndxy->xycd", seen.conj(), seen)


def _finer(gram: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A gram on the image's own grid, (rows, columns, C, C): the same spectrum with more zeros around it."""
    spectrum = np.zeros((*gram.shape[2:], *shape), dtype=np.complex128)
    spectrum[(slice(None), slice(None), *_centre(shape, GRAM_SIDE))] = spectra_of(gram.transpose(2, 3, 0, 1))
    return images_of(spectrum).transpose(2, 3, 0, 1) * (np.sqrt(np.prod(shape)) / GRAM_SIDE)


def sense(spectra: np.ndarray, sensitivities: np.ndarray, ridge: float, steps: int) -> np.ndarray:
    """The complex image (rows, columns) that explains the measured samples, by conjugate gradients.

    Args:
        spectra: (coils, rows, columns), 0 where nothing was measured.
        sensitivities: likewise, of :func:`coil_sensitivities`.
        ridge: weight of the image's own squares beside those of what is left unexplained.
        steps: of conjugate gradients; fewer leave noise out.
    """
    measured = np.abs(spectra).sum(axis=0) > 0

    def normal(image: np.ndarray) -> np.ndarray:
        seen = np.where(measured, spectra_of(sensitivities * image), 0.0)
        return (sensitivities.conj() * images_of(seen)).sum(axis=0) + ridge * image

    image = np.zeros(spectra.shape[1:], dtype=np.complex128)
    rest = (sensitivities.conj() * images_of(spectra)).sum(axis=0)
    direction, energy = rest.copy(), float(np.vdot(rest, rest).real)
    for _ in range(steps):
        if energy == 0.0:
            break
        answer = normal(direction)
        step = energy / float(np.vdot(direction, answer).real)
        image, rest = image + step * direction, rest - step * answer
        new_energy = float(np.vdot(rest, rest).real)
        direction, energy = rest + new_energy / energy * direction, new_energy
    return image


def held_out_error(image: np.ndarray, sensitivities: np.ndarray, spectra: np.ndarray, held: np.ndarray) -> float:
    """How far an image is off samples that it was not made from: 0 explains them, 1 is what a black image gives.

    Args:
        image: (rows, columns) complex.
        spectra: (coils, rows, columns) with the held-out samples in it.
        held: (rows, columns) bool.
    """
    truth = spectra[:, held]
    return float(np.linalg.norm(spectra_of(sensitivities * image)[:, held] - truth) / np.linalg.norm(truth))


def _centre(shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    return centre_of(shape[-2:], (side, side))

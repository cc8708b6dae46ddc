"""Image to k-space and back."""

from __future__ import annotations

import numpy as np

BRIGHT_PERCENTILE = 99.0


def to_kspace(image: np.ndarray) -> np.ndarray:
    """Centred unitary spectrum, complex128, of a real or complex (rows, columns) image."""
    return np.fft.fftshift(np.fft.fft2(np.asarray(image, dtype=np.complex128), norm="ortho"))


def to_image(spectrum: np.ndarray) -> np.ndarray:
    """The complex (rows, columns) image of a centred unitary spectrum: the inverse of :func:`to_kspace`."""
    return np.fft.ifft2(np.fft.ifftshift(spectrum), norm="ortho")


def frequencies(count: int) -> np.ndarray:
    """Cycles per field of view of the ``count`` lines of a centred spectrum: -n // 2 up to (n - 1) // 2."""
    return np.arange(count) - count // 2


def centre_of(shape: tuple[int, ...], kept: tuple[int, ...]) -> tuple[slice, ...]:
    """Where the middle ``kept`` samples of a centred spectrum of ``shape`` lie: its zero frequency is theirs."""
    firsts = (size // 2 - count // 2 for size, count in zip(shape, kept, strict=True))
    return tuple(slice(first, first + count) for first, count in zip(firsts, kept, strict=True))


def bright_tissue(magnitude: np.ndarray) -> float:
    """What noise and spikes are measured against: the 99th percentile of a slice's magnitude, in its units."""
    return float(np.percentile(np.abs(magnitude), BRIGHT_PERCENTILE))

"""The non-redundant real spectrum of a window, in its symmetric and antisymmetric halves.

The Fourier transform F of a real h x w window obeys F(-k) = conj F(k): its real part is symmetric, its imaginary
part antisymmetric.  Of the n = h*w real degrees of freedom, n/2 + 2 are therefore cosine coefficients (all pairs
{k, -k}, and the four frequencies that are their own mirror image) and n/2 - 2 are sine coefficients (the pairs only).
``rfft2`` returns h*(w/2 + 1) complex values: the columns of zero and Nyquist frequency hold every pair twice.  Here
each coefficient is kept once and scaled so that the whole map is orthonormal: paired coefficients by sqrt(2), the
four self-conjugate ones by 1.  Nothing is lost and nothing is redundant.

Order of tokens: pair number i is token i of both halves, so that the halves can be mixed frequency by frequency;
the four self-conjugate frequencies come last in the symmetric half.

Source: arXiv 2504.11286, section on GFCA; the exact token counts follow from the symmetry above.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

SELF_CONJUGATE_COUNT = 4
EDGE_SCALE = 2.0**0.25  # undoes the axis scale of inner waves where only one of two axes is inner


def pair_count(height: int, width: int) -> int:
    """Number of conjugate frequency pairs, n/2 - 2, of a real height x width window (both even)."""
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ValueError(f"a spectral window needs even sides of at least 2, not {height} x {width}")
    return height * width // 2 - 2


def _inner_frequencies(size: int) -> list[int]:
    """Frequencies of one axis that have a cosine and a sine: even ones first, as the folded transform makes them."""
    return [*range(2, size // 2, 2), *range(1, size // 2, 2)]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a cached tensor born in inference mode could never be used in training
def _axis_matrices(size: int, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Real Fourier transform of one axis as two (size/2, size/2) matrices, for even and for odd frequencies.

    A wave of even frequency repeats after half the axis, one of odd frequency changes its sign there.  So the sum of
    the two half axes carries all even and their difference all odd frequencies, at half the multiplications.
    Rows: constant and Nyquist wave where they have this parity, then cosines, then sines.  The sign of the sine
    follows the imaginary part of exp(-i k x).  Cosines and sines of inner frequencies are scaled by 2^(-1/4) from
    orthonormal, so that products of two of them carry the 1/sqrt(2) of the sums and differences that follow.
    """
    matrices = []
    for parity in (0, 1):
        inner = [frequency for frequency in _inner_frequencies(size) if frequency % 2 == parity]
        edge = [frequency for frequency in (0, size // 2) if frequency % 2 == parity]
        place = torch.arange(size // 2, dtype=torch.float64)
        rows = [math.sqrt(1.0 / size) * torch.cos(2 * math.pi * frequency * place / size) for frequency in edge]
        norm = math.sqrt(2.0 / size) * 2.0**-0.25
        rows += [norm * torch.cos(2 * math.pi * frequency * place / size) for frequency in inner]
        rows += [-norm * torch.sin(2 * math.pi * frequency * place / size) for frequency in inner]
        matrices.append(torch.stack(rows).to(device, dtype))
    return matrices[0], matrices[1]


def _axis_parts(size: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """How many edge waves, cosines and sines the even and the odd matrix of an axis have."""
    even, odd = len(range(2, size // 2, 2)), len(range(1, size // 2, 2))
    edges = 2 if size % 4 == 0 else 1
    return (edges, even, even), (2 - edges, odd, odd)


def _analyse(values: torch.Tensor) -> torch.Tensor:
    """Along the middle axis of (batch, size, anything): constant, Nyquist, inner cosines, inner sines."""
    size = values.shape[1]
    even, odd = _axis_matrices(size, values.device, values.dtype)
    first, second = values.chunk(2, dim=1)
    even_parts, odd_parts = _axis_parts(size)
    even_waves = torch.matmul(even, first + second).split(even_parts, dim=1)
    odd_waves = torch.matmul(odd, first - second).split(odd_parts, dim=1)
    return torch.cat([part for pair in zip(even_waves, odd_waves, strict=True) for part in pair], dim=1)


def _synthesise(values: torch.Tensor) -> torch.Tensor:
    """The transpose of :func:`_analyse`."""
    size = values.shape[1]
    even, odd = _axis_matrices(size, values.device, values.dtype)
    even_parts, odd_parts = _axis_parts(size)
    parts = values.split([count for pair in zip(even_parts, odd_parts, strict=True) for count in pair], dim=1)
    first = torch.matmul(even.T, torch.cat(parts[0::2], dim=1))
    second = torch.matmul(odd.T, torch.cat(parts[1::2], dim=1))
    return torch.cat([first + second, first - second], dim=1)


def _token_counts(height: int, width: int) -> list[int]:
    """Lengths of the nine runs of tokens, in the order :func:`split_spectrum` writes them."""
    rows, columns = height // 2 - 1, width // 2 - 1
    paired = [rows * columns, rows * columns, 2 * columns, 2 * rows]
    return [*paired, SELF_CONJUGATE_COUNT, *paired]


def split_spectrum(window: torch.Tensor) -> torch.Tensor:
    """Orthonormal real spectrum of windows.

    Computed axis by axis as small matrix products, not by ``rfft2``: the products give the non-redundant coefficients
    without a detour over complex numbers and work in bfloat16.  Products of axis waves become spectral ones by
    cos(a + b) = cos a cos b - sin a sin b and sin(a + b) = sin a cos b + cos a sin b.

    Args:
        window: (batch, h, w, channels) real, h and w even.

    Returns:
        (batch, n, channels): tokens 0 .. n/2+1 are the symmetric half, the remaining n/2 - 2 the antisymmetric one.

    Raises:
        ValueError: for an odd side.
    """
    batch, height, width, channels = window.shape
    pair_count(height, width)
    rows = _analyse(window.reshape(batch, height, width * channels))
    products = _analyse(rows.view(batch * height, width, channels)).view(batch, height, width, channels)
    edge_rows, cosine_rows, sine_rows = products.split((2, height // 2 - 1, height // 2 - 1), dim=1)
    columns = (2, width // 2 - 1, width // 2 - 1)
    edge_edge, edge_cosine, edge_sine = edge_rows.split(columns, dim=2)
    cosine_edge, cosine_cosine, cosine_sine = cosine_rows.split(columns, dim=2)
    sine_edge, sine_cosine, sine_sine = sine_rows.split(columns, dim=2)
    tokens = [
        cosine_cosine - sine_sine,
        cosine_cosine + sine_sine,
        edge_cosine * EDGE_SCALE,
        cosine_edge * EDGE_SCALE,
        edge_edge,
        cosine_sine + sine_cosine,
        cosine_sine - sine_cosine,
        edge_sine * EDGE_SCALE,
        sine_edge * EDGE_SCALE,
    ]
    return torch.cat([part.flatten(1, 2) for part in tokens], dim=1)


def join_spectrum(spectrum: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Inverse of :func:`split_spectrum`.

    Args:
        spectrum: (batch, n, channels), n = height * width.

    Returns:
        (batch, height, width, channels) real windows.
    """
    batch, _, channels = spectrum.shape
    rows, columns = height // 2 - 1, width // 2 - 1
    shapes = [(rows, columns), (rows, columns), (2, columns), (rows, 2), (2, 2)]
    shapes += shapes[:4]
    runs = spectrum.split(_token_counts(height, width), dim=1)
    direct, mirrored, edge_cosine, cosine_edge, edge_edge, odd_direct, odd_mirrored, edge_sine, sine_edge = (
        run.unflatten(1, shape) for run, shape in zip(runs, shapes, strict=True)
    )
    products = torch.cat(
        [
            torch.cat([edge_edge, edge_cosine * EDGE_SCALE, edge_sine * EDGE_SCALE], dim=2),
            torch.cat([cosine_edge * EDGE_SCALE, direct + mirrored, odd_direct + odd_mirrored], dim=2),
            torch.cat([sine_edge * EDGE_SCALE, odd_direct - odd_mirrored, mirrored - direct], dim=2),
        ],
        dim=1,
    )
    rows_first = _synthesise(products.view(batch * height, width, channels))
    return _synthesise(rows_first.view(batch, height, width * channels)).view(batch, height, width, channels)


def fourier_basis(height: int, width: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The same map as an (n, n) matrix, rows in token order: spectrum = basis @ window.flatten()."""
    impulses = torch.eye(height * width, dtype=dtype).reshape(height * width, height, width, 1)
    return split_spectrum(impulses)[:, :, 0].T.contiguous()


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _frequencies(height: int, width: int) -> torch.Tensor:
    """(n/2 + 2, 2) signed vertical and horizontal frequency of each symmetric token, in cycles per window."""
    rows, columns = _inner_frequencies(height), _inner_frequencies(width)
    edges_down, edges_across = (0, height // 2), (0, width // 2)
    direct = [(row, column) for row in rows for column in columns]
    mirrored = [(-row, column) for row, column in direct]
    edge_rows = [(row, column) for row in edges_down for column in columns]
    edge_columns = [(row, column) for row in rows for column in edges_across]
    own = [(row, column) for row in edges_down for column in edges_across]
    return torch.tensor(direct + mirrored + edge_rows + edge_columns + own)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _frequency_features(height: int, width: int) -> torch.Tensor:
    frequencies = _frequencies(height, width).double()
    vertical, horizontal = frequencies[:, 0] / height, frequencies[:, 1] / width
    radius = torch.hypot(vertical, horizontal) * 2.0  # 1 at the Nyquist frequency of an axis
    angle = torch.atan2(vertical, horizontal)
    bands = [torch.cos(math.pi * order * radius) for order in range(5)]
    directions = [radius * torch.cos(2 * angle), radius * torch.sin(2 * angle)]
    features = torch.stack(bands + directions, dim=1)
    return torch.cat([features, features[: pair_count(height, width)]])


FREQUENCY_FEATURE_COUNT = 7


def frequency_features(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(n, 7) float64 description of each spectral token's own frequency, independent of the window size in pixels.

    Five cosines of the radial frequency tell bands apart, two terms tell directions apart.
    """
    return _frequency_features(height, width).to(device)

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


def pair_count(height: int, width: int) -> int:
    """Number of conjugate frequency pairs, n/2 - 2, of a real height x width window (both even)."""
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ValueError(f"a spectral window needs even sides of at least 2, not {height} x {width}")
    return height * width // 2 - 2


def _axis_waves(size: int, parity: int) -> list[tuple[str, int]]:
    """The real waves of one axis with even (0) or odd (1) frequency: ("cos" | "sin", frequency)."""
    waves = []
    for frequency in range(parity, size // 2 + 1, 2):
        waves.append(("cos", frequency))
        if 0 < frequency < size // 2:
            waves.append(("sin", frequency))
    return waves


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a cached tensor born in inference mode could never be used in training
def _axis_matrices(size: int, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal real Fourier transform of one axis as two (size/2, size/2) matrices.

    A wave of even frequency repeats after half the axis, one of odd frequency changes its sign there.  So the sum of
    the two half axes carries all even and their difference all odd frequencies, at half the multiplications.
    The sign of the sine follows the imaginary part of exp(-i k x).
    """
    matrices = []
    for parity in (0, 1):
        rows = []
        for kind, frequency in _axis_waves(size, parity):
            phase = 2 * math.pi * frequency * torch.arange(size // 2, dtype=torch.float64) / size
            norm = math.sqrt((1.0 if frequency in (0, size // 2) else 2.0) / size)
            rows.append(norm * (torch.cos(phase) if kind == "cos" else -torch.sin(phase)))
        matrices.append(torch.stack(rows).to(device, dtype))
    return matrices[0], matrices[1]


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _frequencies(height: int, width: int) -> torch.Tensor:
    """(n/2 + 2, 2) integer (row, column) places in the rfft2 half plane, pairs first, self-conjugate last."""
    pair_count(height, width)
    half_height, half_width = height // 2, width // 2
    pairs = [(row, column) for column in range(1, half_width) for row in range(height)]
    pairs += [(row, column) for column in (0, half_width) for row in range(1, half_height)]
    return torch.tensor(pairs + [(0, 0), (half_height, 0), (0, half_width), (half_height, half_width)])


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _rotation(height: int, width: int) -> torch.Tensor:
    """(n, n) rotation from products of axis waves to spectral tokens, float64.

    cos(a + b) = cos a cos b - sin a sin b and sin(a + b) = sin a cos b + cos a sin b, scaled to stay orthonormal.
    """
    rows = _axis_waves(height, 0) + _axis_waves(height, 1)
    columns = _axis_waves(width, 0) + _axis_waves(width, 1)
    product = {(row, column): i * width + j for i, row in enumerate(rows) for j, column in enumerate(columns)}
    pairs, n = pair_count(height, width), height * width
    rotation = torch.zeros(n, n, dtype=torch.float64)
    for token, (row, column) in enumerate(_frequencies(height, width).tolist()):
        frequency, direction = (height - row, -1.0) if row > height // 2 else (row, 1.0)  # past Nyquist: negative
        cosine_terms = [("cos", "cos", 1.0), ("sin", "sin", -direction)]
        sine_terms = [("sin", "cos", direction), ("cos", "sin", 1.0)]
        for place, terms in ((token, cosine_terms), (token + pairs + SELF_CONJUGATE_COUNT, sine_terms)):
            waves = [(product.get(((a, frequency), (b, column))), weight) for a, b, weight in terms]
            waves = [(source, weight) for source, weight in waves if source is not None]  # no sine at 0 and Nyquist
            for source, weight in waves:
                rotation[place, source] = weight / math.sqrt(len(waves))
    return rotation


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _gather_plan(
    height: int, width: int, inverse: bool, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, ...]:
    """The rotation as two gathers: every token is a weighted sum of at most two products (and the reverse)."""
    rotation = _rotation(height, width)
    rotation = rotation.T if inverse else rotation
    places = rotation.abs().topk(2, dim=1).indices
    weights = rotation.gather(1, places)
    return (
        places[:, 0].contiguous().to(device),
        weights[:, :1].to(device, dtype),
        places[:, 1].contiguous().to(device),
        weights[:, 1:].to(device, dtype),
    )


def _rotate(tokens: torch.Tensor, height: int, width: int, inverse: bool) -> torch.Tensor:
    first, first_weight, second, second_weight = _gather_plan(height, width, inverse, tokens.device, tokens.dtype)
    rotated = tokens.index_select(1, first) * first_weight
    return torch.addcmul(rotated, tokens.index_select(1, second), second_weight)


def _analyse(values: torch.Tensor) -> torch.Tensor:
    """Real Fourier transform along the middle axis of (batch, size, anything)."""
    even, odd = _axis_matrices(values.shape[1], values.device, values.dtype)
    first, second = values.chunk(2, dim=1)
    return torch.cat([torch.matmul(even, first + second), torch.matmul(odd, first - second)], dim=1)


def _synthesise(values: torch.Tensor) -> torch.Tensor:
    """Inverse of :func:`_analyse`."""
    even, odd = _axis_matrices(values.shape[1], values.device, values.dtype)
    first, second = values.chunk(2, dim=1)
    first, second = torch.matmul(even.T, first), torch.matmul(odd.T, second)
    return torch.cat([first + second, first - second], dim=1)


def split_spectrum(window: torch.Tensor) -> torch.Tensor:
    """Orthonormal real spectrum of windows.

    Computed axis by axis as small matrix products, not by ``rfft2``: on windows of 16 to 64 the products are faster
    on CPU and CUDA, work in bfloat16, and give the non-redundant coefficients without a detour over complex numbers.

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
    products = _analyse(rows.view(batch * height, width, channels))
    return _rotate(products.view(batch, height * width, channels), height, width, inverse=False)


def join_spectrum(spectrum: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Inverse of :func:`split_spectrum`.

    Args:
        spectrum: (batch, n, channels), n = height * width.

    Returns:
        (batch, height, width, channels) real windows.
    """
    batch, _, channels = spectrum.shape
    products = _rotate(spectrum, height, width, inverse=True)
    rows = _synthesise(products.view(batch * height, width, channels))
    return _synthesise(rows.view(batch, height, width * channels)).view(batch, height, width, channels)


def fourier_basis(height: int, width: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The same map as an (n, n) matrix, rows in token order: spectrum = basis @ window.flatten()."""
    impulses = torch.eye(height * width, dtype=dtype).reshape(height * width, height, width, 1)
    return split_spectrum(impulses)[:, :, 0].T.contiguous()


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _frequency_features(height: int, width: int) -> torch.Tensor:
    frequencies = _frequencies(height, width).double()
    vertical = torch.where(frequencies[:, 0] > height / 2, frequencies[:, 0] - height, frequencies[:, 0]) / height
    horizontal = frequencies[:, 1] / width
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

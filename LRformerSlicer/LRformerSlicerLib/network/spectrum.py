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
from torch.autograd.function import once_differentiable

SELF_CONJUGATE_COUNT = 4
_ROOT_2 = math.sqrt(2.0)


def pair_count(height: int, width: int) -> int:
    """Number of conjugate frequency pairs, n/2 - 2, of a real height x width window (both even)."""
    if height < 2 or width < 2 or height % 2 or width % 2:
        raise ValueError(f"a spectral window needs even sides of at least 2, not {height} x {width}")
    return height * width // 2 - 2


def _split(window: torch.Tensor) -> torch.Tensor:
    batch, height, width, channels = window.shape
    pairs, middle_row, middle_column = pair_count(height, width), height // 2, width // 2
    # Reduced precision has no Fourier transform on most devices.
    exact = window if window.dtype in (torch.float32, torch.float64) else window.float()
    spectrum = torch.fft.rfft2(exact, dim=(1, 2), norm="ortho")
    tokens = torch.empty((batch, height * width, channels), dtype=exact.dtype, device=window.device)
    inner = height * (middle_column - 1)  # pairs in the columns between zero and Nyquist frequency
    symmetric, antisymmetric = tokens[:, : pairs + SELF_CONJUGATE_COUNT], tokens[:, pairs + SELF_CONJUGATE_COUNT :]
    for half, part in ((symmetric, spectrum.real), (antisymmetric, spectrum.imag)):
        half[:, :inner].unflatten(1, (height, middle_column - 1)).copy_(part[:, :, 1:middle_column])
        half[:, inner:pairs].unflatten(1, (middle_row - 1, 2)).copy_(part[:, 1:middle_row, ::middle_column])
    tokens *= _ROOT_2
    symmetric[:, pairs:].unflatten(1, (2, 2)).copy_(spectrum.real[:, ::middle_row, ::middle_column])
    return tokens.to(window.dtype)


def _join(
    paired: torch.Tensor, own: torch.Tensor, antisymmetric: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    batch, pairs, channels = paired.shape
    middle_row, middle_column = height // 2, width // 2
    exact = paired.dtype if paired.dtype in (torch.float32, torch.float64) else torch.float32
    spectrum = torch.empty((batch, height, middle_column + 1, channels, 2), dtype=exact, device=paired.device)
    inner = height * (middle_column - 1)
    for place, half, sign in ((0, paired, 1), (1, antisymmetric, -1)):
        part = spectrum[..., place]
        part[:, :, 1:middle_column].copy_(half[:, :inner].unflatten(1, (height, middle_column - 1)))
        edge = half[:, inner:pairs].unflatten(1, (middle_row - 1, 2))
        part[:, 1:middle_row, ::middle_column].copy_(edge)
        # irfft2 wants the mirror images in the two edge columns, which the tokens rightly lack.
        part[:, middle_row + 1 :, ::middle_column].copy_(sign * edge.flip(1))
    spectrum[:, ::middle_row, ::middle_column, :, 0].copy_(own.unflatten(1, (2, 2)) * _ROOT_2)
    spectrum[:, ::middle_row, ::middle_column, :, 1] = 0.0
    window = torch.fft.irfft2(torch.view_as_complex(spectrum), (height, width), dim=(1, 2), norm="ortho")
    return window.mul_(1 / _ROOT_2).to(paired.dtype)


class _Split(torch.autograd.Function):
    """Orthonormal, so that the gradient is the inverse map: cheaper than the gradients of its steps."""

    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, window: torch.Tensor) -> torch.Tensor:
        context.sides = window.shape[1:3]
        return _split(window)

    @staticmethod
    @once_differentiable
    def backward(context: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> torch.Tensor:
        return _join(*gradient.split(token_counts(*context.sides), dim=1), *context.sides)


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(
        context: torch.autograd.function.FunctionCtx,
        paired: torch.Tensor,
        own: torch.Tensor,
        antisymmetric: torch.Tensor,
        height: int,
        width: int,
    ) -> torch.Tensor:
        context.sides = height, width
        return _join(paired, own, antisymmetric, height, width)

    @staticmethod
    @once_differentiable
    def backward(context: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple:
        return *_split(gradient).split(token_counts(*context.sides), dim=1), None, None


def token_counts(height: int, width: int) -> tuple[int, int, int]:
    """Tokens of the symmetric half that are paired and that are their own mirror image, and of the antisymmetric."""
    pairs = pair_count(height, width)
    return pairs, SELF_CONJUGATE_COUNT, pairs


def split_spectrum(window: torch.Tensor) -> torch.Tensor:
    """Orthonormal real spectrum of windows.

    Args:
        window: (batch, h, w, channels) real, h and w even.

    Returns:
        (batch, n, channels): tokens 0 .. n/2+1 are the symmetric half, the remaining n/2 - 2 the antisymmetric one.

    Raises:
        ValueError: for an odd side.
    """
    return _Split.apply(window)


def join_spectrum(
    paired: torch.Tensor, own: torch.Tensor, antisymmetric: torch.Tensor, height: int, width: int
) -> torch.Tensor:
    """Inverse of :func:`split_spectrum`, from the three runs of tokens that :func:`token_counts` names.

    Args:
        paired: (batch, n/2 - 2, channels) of the symmetric half, n = height * width.
        own: (batch, 4, channels), the self-conjugate rest of the symmetric half.
        antisymmetric: (batch, n/2 - 2, channels).

    Returns:
        (batch, height, width, channels) real windows.
    """
    return _Join.apply(paired, own, antisymmetric, height, width)


def fourier_basis(height: int, width: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The same map as an (n, n) matrix, rows in token order: spectrum = basis @ window.flatten()."""
    impulses = torch.eye(height * width, dtype=dtype).reshape(height * width, height, width, 1)
    return split_spectrum(impulses)[:, :, 0].T.contiguous()


def _frequency_features(height: int, width: int) -> torch.Tensor:
    rows = torch.fft.fftfreq(height, dtype=torch.float64)
    rows[height // 2] = 0.5  # the Nyquist frequency has no sign; fftfreq gives it one
    columns = torch.fft.rfftfreq(width, dtype=torch.float64)
    inner = torch.cartesian_prod(rows, columns[1:-1])
    edges = torch.cartesian_prod(rows[1 : height // 2], columns[[0, -1]])
    own = torch.cartesian_prod(rows[[0, height // 2]], columns[[0, -1]])
    vertical, horizontal = torch.cat([inner, edges, own]).unbind(1)
    radius = torch.hypot(vertical, horizontal) * 2.0  # 1 at the Nyquist frequency of an axis
    angle = torch.atan2(vertical, horizontal)
    bands = [torch.cos(math.pi * order * radius) for order in range(5)]
    directions = [radius * torch.cos(2 * angle), radius * torch.sin(2 * angle)]
    features = torch.stack(bands + directions, dim=1)
    return torch.cat([features, features[: pair_count(height, width)]])


FREQUENCY_FEATURE_COUNT = 7


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # a cached tensor born in inference mode could never be used in training
def frequency_features(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """(n, 7) description of each spectral token's own frequency, independent of the window size in pixels.

    Five cosines of the radial frequency tell bands apart, two terms tell directions apart.
    """
    return _frequency_features(height, width).to(dtype).to(device)  # in this order: not every device has float64

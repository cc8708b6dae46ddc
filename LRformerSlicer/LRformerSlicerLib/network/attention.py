"""GFCA, guided frequency cross-attention, and its naive twin for benchmark and ablation.

Query and value come from the image, the key from the prior (arXiv 2504.11286, section on GFCA).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import nn
from torch.nn import functional

from .spectrum import (
    FREQUENCY_FEATURE_COUNT,
    frequency_features,
    join_spectrum,
    split_spectrum,
    token_counts,
)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Multi-head attention of (batch, tokens, channels) tensors by torch's fused kernel."""
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # The kernel's gradient in bfloat16 takes more than twice the time of that in float32 on a CPU.
        with torch.autocast("cpu", enabled=False):
            return _attend(query.float(), key.float(), value.float(), heads, mask if mask is None else mask.float())
    query, key, value = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)


# torch's CPU kernel takes the exponentials of a row's last, incomplete vector one by one.
CPU_VECTOR_LENGTH = 16


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _mask_of_first(masked: int, count: int, dtype: torch.dtype) -> torch.Tensor:
    """(1, 1, 1, count) additive mask that hides the first keys."""
    mask = torch.zeros(1, 1, 1, count, dtype=dtype)
    mask[..., :masked] = -math.inf
    return mask


# Memory bandwidth decides on a CPU: this many tokens at a time stay in its cache through the whole operator.
CPU_CHUNK_TOKENS = 8192


def _windows_at_once(windows: torch.Tensor) -> int:
    """How many of (batch, h, w, channels) windows to work on at a time."""
    return max(1, CPU_CHUNK_TOKENS // windows[0, ..., 0].numel()) if windows.device.type == "cpu" else len(windows)


PRIOR_ROLES = ("key", "query")
"""Where the prior stands in the attention; the other one and the value come from the image."""


class _CrossAttention(nn.Module):
    """What both attentions share: projections of the same width and an embedding of the token's place."""

    def __init__(
        self, channels: int, prior_channels: int, heads: int, place_feature_count: int, prior_role: str
    ) -> None:
        super().__init__()
        if prior_role not in PRIOR_ROLES:
            raise ValueError(f"the prior's role must be one of {PRIOR_ROLES}, not {prior_role!r}")
        self.prior_role = prior_role
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.heads = heads
        self.query_value = nn.Linear(channels, 2 * channels, bias=False)
        self.key = nn.Linear(prior_channels, channels, bias=False)
        self.output = nn.Linear(channels, channels, bias=False)
        # Attention itself does not know which token is which; one embedding for the query's place, one for the key's.
        self.query_place = nn.Linear(place_feature_count, channels, bias=False)
        self.key_place = nn.Linear(place_feature_count, channels, bias=False)

    def forward(self, image: torch.Tensor, prior_tokens: torch.Tensor) -> torch.Tensor:
        """(batch, h, w, channels) windows and (batch, n, prior_channels) prior tokens -> (batch, h, w, channels)."""
        count = _windows_at_once(image)
        if count >= len(image):
            return self._attend_windows(image, prior_tokens)
        chunks = zip(image.split(count), prior_tokens.split(count), strict=True)
        return torch.cat([self._attend_windows(*chunk) for chunk in chunks])

    def _attend_windows(self, image: torch.Tensor, prior_tokens: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _project(self, image: torch.Tensor, prior: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor, ...]:
        query, value = self.query_value(image).chunk(2, dim=-1)
        query, key = query + self.query_place(place), self.key(prior) + self.key_place(place)
        return (query, key, value) if self.prior_role == "key" else (key, query, value)


class GuidedFrequencyCrossAttention(_CrossAttention):
    """Cross-attention on the symmetric and the antisymmetric half of the spectrum separately, at half the cost.

    With w^r, w^i the halves of image (l) and prior (u) spectra (n/2 + 2 and n/2 - 2 real tokens)::

        A_r = softmax(Q(w_l^r) K(w_u^r)^T / sqrt(d)) V(w_l^r)        and the same for i
        CA_r = t A_r + (1 - t) A_i,   CA_i = t A_i + (1 - t) A_r,    t = sigmoid(theta)    (adaptive mixup)

    The mixup pairs coefficients by frequency; the four self-conjugate ones have no partner and pass unmixed.
    Q and K see the token's frequency through a linear embedding of :func:`frequency_features`.
    """

    def __init__(
        self,
        channels: int,
        prior_channels: int,
        heads: int,
        adaptive_mixup: bool = True,
        prior_role: str = "key",
    ) -> None:
        super().__init__(channels, prior_channels, heads, FREQUENCY_FEATURE_COUNT, prior_role)
        # sigmoid(2) = 0.88: the halves start nearly separate; at 0.5 they would start indistinguishable.
        self.theta = nn.Parameter(torch.tensor(2.0)) if adaptive_mixup else None

    @staticmethod
    def represent(window: torch.Tensor) -> torch.Tensor:
        """(batch, h, w, channels) window -> (batch, n, channels) tokens; a prior's can be kept for many blocks."""
        return torch.cat([split_spectrum(part) for part in window.split(_windows_at_once(window))])

    def _attend_windows(self, image: torch.Tensor, prior_tokens: torch.Tensor) -> torch.Tensor:
        _, height, width, _ = image.shape
        place = frequency_features(height, width, image.device, image.dtype)
        query, key, value = self._project(split_spectrum(image), prior_tokens, place)
        pairs, own_count, _ = token_counts(height, width)
        symmetric_count = pairs + own_count
        symmetric = _attend(*(tokens[:, :symmetric_count] for tokens in (query, key, value)), self.heads)
        # The last keys of all, in whole vectors of the processor; the few before the antisymmetric half are masked.
        padding = min(-pairs % CPU_VECTOR_LENGTH, symmetric_count) if image.device.type == "cpu" else 0
        mask = _mask_of_first(padding, pairs + padding, query.dtype) if padding else None
        keys = slice(symmetric_count - padding, None)
        antisymmetric = _attend(query[:, symmetric_count:], key[:, keys], value[:, keys], self.heads, mask)
        paired, own = symmetric.split((pairs, own_count), dim=1)
        if self.theta is not None:
            share = torch.sigmoid(self.theta).to(symmetric.dtype)
            paired, antisymmetric = torch.lerp(antisymmetric, paired, share), torch.lerp(paired, antisymmetric, share)
        # The output map works on channels, the transform on pixels: either may come first.
        return self.output(join_spectrum(paired, own, antisymmetric, height, width))


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _position_features(height: int, width: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    waves = [torch.ones_like(rows)]
    for axis in (rows, columns):
        waves += [torch.sin(math.pi / 2 * axis), torch.cos(math.pi * axis), torch.sin(math.pi * axis)]
    return torch.stack(waves, dim=-1).flatten(0, 1)


class NaiveCrossAttention(_CrossAttention):
    """The same cross-attention on all n pixels of the window at once: the yardstick for GFCA's cost and quality."""

    def __init__(self, channels: int, prior_channels: int, heads: int, prior_role: str = "key") -> None:
        super().__init__(channels, prior_channels, heads, FREQUENCY_FEATURE_COUNT, prior_role)

    @staticmethod
    def represent(window: torch.Tensor) -> torch.Tensor:
        """(batch, h, w, channels) window -> (batch, n, channels) tokens."""
        return window.flatten(1, 2)

    def _attend_windows(self, image: torch.Tensor, prior_tokens: torch.Tensor) -> torch.Tensor:
        _, height, width, _ = image.shape
        place = _position_features(height, width).to(image)
        query, key, value = self._project(image.flatten(1, 2), prior_tokens, place)
        return self.output(_attend(query, key, value, self.heads)).unflatten(1, (height, width))

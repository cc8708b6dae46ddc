"""LRformer: a light transformer that restores a slice under the guidance of a prior (arXiv 2504.11286)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional

from .attention import GuidedFrequencyCrossAttention, NaiveCrossAttention

DETAIL_GAIN = 10.0  # brings noise and fine contrast, a few hundredths of the intensity range, to the order of one
DETAIL_RADIUS_PIXELS = 3

PRIOR_CHANNEL_COUNT = 2  # consistency C and discrepancy D; the paper's U = (C + D)/2 is one linear embedding of them


@dataclass(frozen=True)
class LRformerArchitecture:
    """Everything needed to rebuild a network.

    Attributes:
        scale: 1 for denoising and artifacts, 2 or 4 for super-resolution.
        context: neighbouring slices given on each side of the slice to restore.
        levels: 1 for groups one after another at one resolution; more for a pyramid (see :mod:`.pyramid`).
        channels: width of the feature maps; a pyramid's level l has (l + 1) times as many.
        prior_channels: width of the prior's tokens; it starts from two maps and needs less.
        groups: number of groups, each closed by a convolution (the paper's N); a pyramid has one each way a level.
        blocks: blocks a group, twice as many at the foot of a pyramid (the paper's M is 6; full convolutions in 3 fill
            the same budget of parameters).
        heads: attention heads.
        window: side of the attention window in tokens, a multiple of 4.
        foot_window: the same at the foot of a pyramid; 0 for ``window``.  One as wide as the slice lets attention see
            the spectrum of the whole slice.
        fold: side in input pixels of one token (pixel-unshuffle factor of the stem).
        expansion: hidden width of the feed-forward part over ``channels``.
        attention: "gfca" or, for benchmark and ablation, "naive".
        adaptive_mixup: whether GFCA mixes its two halves.
        prior_role: "key", as in the paper, or, for ablation, "query".
    """

    scale: int = 1
    context: int = 0
    levels: int = 1
    channels: int = 48
    prior_channels: int = 24
    groups: int = 6
    blocks: int = 3
    heads: int = 6
    window: int = 32
    foot_window: int = 0
    fold: int = 2
    expansion: int = 2
    attention: str = "gfca"
    adaptive_mixup: bool = True
    prior_role: str = "key"

    def as_dict(self) -> dict:
        """Plain values, for a checkpoint's metadata."""
        return asdict(self)

    def window_at(self, level: int) -> int:
        """Side of the attention window at a level, 0 the finest, in its tokens."""
        is_foot = 0 < level == self.levels - 1
        return self.foot_window if is_foot and self.foot_window else self.window

    def build(self) -> LRformer:
        """A new network with random weights."""
        if self.levels == 1:
            return LRformer(self)
        from .pyramid import PyramidLRformer  # it is made of what this file holds

        return PyramidLRformer(self)


class _FeedForward(nn.Module):
    """A 3x3 convolution that widens and a pointwise one that narrows: the block's sense of neighbourhood.

    A full convolution instead of the usual pointwise-depthwise-pointwise: it does more with one pass over memory,
    which is what costs time on a CPU.
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels, channels * expansion, 3, padding=1)
        self.narrow = nn.Conv2d(channels * expansion, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, h, w, C) -> (B, h, w, C); the permutes are free views of a channels-last tensor."""
        return self.narrow(functional.gelu(self.widen(features.permute(0, 3, 1, 2)))).permute(0, 2, 3, 1)


def _into_windows(features: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(B, h, w, C) -> (B * windows, rows, columns, C)."""
    batch, height, width, channels = features.shape
    grid = features.unflatten(1, (height // rows, rows)).unflatten(3, (width // columns, columns))
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, rows, columns, channels)


def _from_windows(windows: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
    """Inverse of :func:`_into_windows`."""
    _, rows, columns, channels = windows.shape
    grid = windows.view(batch, height // rows, width // columns, rows, columns, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, channels)


@dataclass(frozen=True)
class WindowGrid:
    """How a map of tokens is cut into attention windows: from its corner, or shifted by half a window.

    In the shifted grid the outermost windows are cut off at the map's border.  Wrapping them around, as is usual,
    would join the two ends of the slice: pixels that have nothing to do with each other, and others in every tile.
    """

    window: int
    is_shifted: bool

    def _spans(self, length: int) -> list[tuple[int, int, int]]:
        """Start, end and window side of the runs of equal windows along an axis."""
        if not self.is_shifted:
            return [(0, length, self.window)]
        half = self.window // 2
        spans = [(0, half, half), (half, length - half, self.window), (length - half, length, half)]
        return [span for span in spans if span[0] < span[1]]

    def cut(self, features: torch.Tensor) -> list[torch.Tensor]:
        """(B, h, w, C) -> (windows, rows, columns, C) for every size of window in the grid."""
        return [
            _into_windows(features[:, top:bottom, left:right], rows, columns)
            for top, bottom, rows in self._spans(features.shape[1])
            for left, right, columns in self._spans(features.shape[2])
        ]

    def join(self, parts: list[torch.Tensor], batch: int, height: int, width: int) -> torch.Tensor:
        """Inverse of :meth:`cut`."""
        remaining, bands = iter(parts), []
        for top, bottom, _ in self._spans(height):
            band = [
                _from_windows(next(remaining), batch, bottom - top, right - left)
                for left, right, _ in self._spans(width)
            ]
            bands.append(torch.cat(band, dim=2) if len(band) > 1 else band[0])
        return torch.cat(bands, dim=1) if len(bands) > 1 else bands[0]


class Block(nn.Module):
    def __init__(self, architecture: LRformerArchitecture, is_shifted: bool) -> None:
        super().__init__()
        channels = architecture.channels
        self.grid = WindowGrid(architecture.window, is_shifted)
        self.attention_norm = nn.LayerNorm(channels)
        self.feed_forward_norm = nn.LayerNorm(channels)
        shape = (channels, architecture.prior_channels, architecture.heads)
        if architecture.attention == "gfca":
            self.attention = GuidedFrequencyCrossAttention(*shape, architecture.adaptive_mixup, architecture.prior_role)
        elif architecture.attention == "naive":
            self.attention = NaiveCrossAttention(*shape, architecture.prior_role)
        else:
            raise ValueError(f"attention must be 'gfca' or 'naive', not {architecture.attention!r}")
        self.feed_forward = _FeedForward(channels, architecture.expansion)

    def forward(self, features: torch.Tensor, prior_tokens: list[torch.Tensor]) -> torch.Tensor:
        batch, height, width, _ = features.shape
        windows = self.grid.cut(self.attention_norm(features))
        attended = [self.attention(*pair) for pair in zip(windows, prior_tokens, strict=True)]
        features = features + self.grid.join(attended, batch, height, width).to(features.dtype)
        return features + self.feed_forward(self.feed_forward_norm(features))


def tokens_by_grid(guide: torch.Tensor, blocks: Iterable[Block]) -> dict[WindowGrid, list[torch.Tensor]]:
    """The tokens of a (B, h, w, prior_channels) guide, once for each window grid: they are the same for every block."""
    represent_of = {block.grid: block.attention.represent for block in blocks}
    return {grid: [represent(windows) for windows in grid.cut(guide)] for grid, represent in represent_of.items()}


class _Group(nn.Module):
    def __init__(self, architecture: LRformerArchitecture) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(architecture, index % 2 == 1) for index in range(architecture.blocks))
        self.convolution = nn.Conv2d(architecture.channels, architecture.channels, 3, padding=1)

    def forward(self, features: torch.Tensor, prior_tokens: dict[WindowGrid, list]) -> torch.Tensor:
        deep = features
        for block in self.blocks:
            deep = block(deep, prior_tokens[block.grid])
        return features + self.convolution(deep.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class LRformer(nn.Module):
    """Groups of GFCA blocks on folded pixels, with a global residual from the input slice.

    Attributes:
        architecture: what it was built from.
        scale: output pixels per input pixel along each axis.
        context: neighbouring slices expected on each side.
        tile_multiple: tiles whose origin and size are multiples of this (input pixels) see the same attention
            windows as the whole slice.
        tile_overlap: input pixels, in so many multiples, that neighbouring tiles are to share.  What a cut edge changes
            fades with every block's mixing: at two fifths of the overlap to less than a thousandth of the display
            window (``lrformer benchmark tiling``).
    """

    _overlap_multiples = 5

    def __init__(self, architecture: LRformerArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.scale, self.context = architecture.scale, architecture.context
        self.tile_multiple = architecture.fold * math.lcm(
            *(architecture.window_at(level) * 2**level for level in range(architecture.levels))
        )
        self.tile_overlap = self._overlap_multiples * self.tile_multiple
        channels, fold = architecture.channels, architecture.fold
        self.image_embedding = nn.Conv2d(2 * (1 + 2 * self.context) * fold**2, channels, 3, padding=1)
        self.prior_embedding = nn.Conv2d(PRIOR_CHANNEL_COUNT * fold**2, architecture.prior_channels, 3, padding=1)
        self._make_body()
        self.reconstruction = nn.Conv2d(channels, (fold * self.scale) ** 2, 3, padding=1)
        # A new network returns its input (or its interpolation): training starts from there, not from noise.
        nn.init.zeros_(self.reconstruction.weight)
        nn.init.zeros_(self.reconstruction.bias)

    def _make_body(self) -> None:
        """What lies between the embeddings and the reconstruction."""
        self.prior_norm = nn.LayerNorm(self.architecture.prior_channels)
        self.groups = nn.ModuleList(_Group(self.architecture) for _ in range(self.architecture.groups))

    def _deepen(self, shallow: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
        """(B, h, w, C) features and (B, h, w, prior_channels) guide -> (B, h, w, C) for the reconstruction."""
        prior_tokens = tokens_by_grid(self.prior_norm(guide), self.groups[0].blocks)
        features = shallow
        for group in self.groups:
            features = group(features, prior_tokens)
        return features + shallow

    def widened_for_context(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The weights of a network without context for this one: it does the same, whatever the neighbours.

        Weights of another kind are given back as they are.
        """
        name = "image_embedding.weight"
        own, given = self.image_embedding.weight, weights.get(name)
        planes, pixels = 1 + 2 * self.context, self.architecture.fold**2
        if given is None or not self.context or given.shape != (own.shape[0], 2 * pixels, *own.shape[2:]):
            return weights
        widened = torch.zeros(own.shape, dtype=given.dtype)
        for part in range(2):  # the slices, then their detail: see with_detail
            first = (part * planes + self.context) * pixels
            widened[:, first : first + pixels] = given[:, part * pixels : (part + 1) * pixels]
        return {**weights, name: widened}

    def forward(self, image: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Restore slices.

        Args:
            image: (B, 1 + 2*context, H, W) normalised intensities, the slice to restore in the middle channel.
            prior: (B, 2, H, W) consistency and discrepancy in [0, 1]; zeros mean that there is no prior.

        Returns:
            (B, 1, scale*H, scale*W) normalised intensities.
        """
        height, width = image.shape[-2:]
        middle = image[:, self.context : self.context + 1]
        folded = functional.pixel_unshuffle(with_detail(_mirror_pad(image, self.tile_multiple)), self.architecture.fold)
        folded_prior = functional.pixel_unshuffle(_mirror_pad(prior, self.tile_multiple), self.architecture.fold)
        shallow = self.image_embedding(folded.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        features = self._deepen(shallow, self.prior_embedding(folded_prior).permute(0, 2, 3, 1))
        residual = self.reconstruction(features.permute(0, 3, 1, 2))
        residual = functional.pixel_shuffle(residual, self.architecture.fold * self.scale) / DETAIL_GAIN
        residual = residual[..., : height * self.scale, : width * self.scale]
        if self.scale > 1:
            middle = functional.interpolate(middle, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return middle + residual.to(middle.dtype)


def with_detail(image: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B, 2C, H, W): beside each slice its amplified difference from the local mean.

    Next to air, bone and fat, noise is a ripple of 3 % that the layer norms would make the network almost blind to,
    and that bfloat16 would round away.
    """
    size = 2 * DETAIL_RADIUS_PIXELS + 1
    padded = functional.pad(image, [DETAIL_RADIUS_PIXELS] * 4, mode="replicate")
    return torch.cat([image, DETAIL_GAIN * (image - functional.avg_pool2d(padded, size, stride=1))], dim=1)


def _mirror_pad(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Extend the bottom and right of (B, C, H, W) by mirroring until both sides are multiples of ``multiple``.

    Indexing instead of ``functional.pad`` because the extension may be longer than the image itself.
    """
    for axis in (-2, -1):
        size = image.shape[axis]
        target = -(-size // multiple) * multiple
        if target != size:
            step = torch.arange(target, device=image.device) % (2 * size)
            image = image.index_select(axis, torch.where(step < size, step, 2 * size - 1 - step))
    return image

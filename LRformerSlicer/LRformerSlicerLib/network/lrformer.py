"""LRformer: a light transformer that restores a slice under the guidance of a prior (arXiv 2504.11286)."""

from __future__ import annotations

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
        channels: width of the feature maps.
        groups: number of groups, each closed by a convolution (the paper's N).
        blocks: blocks a group (the paper's M is 6; full convolutions in 3 fill the same budget of parameters).
        heads: attention heads.
        window: side of the attention window in tokens, even.
        fold: side in input pixels of one token (pixel-unshuffle factor of the stem).
        expansion: hidden width of the feed-forward part over ``channels``.
        attention: "gfca" or, for benchmark and ablation, "naive".
        adaptive_mixup: whether GFCA mixes its two halves.
    """

    scale: int = 1
    context: int = 0
    channels: int = 48
    groups: int = 6
    blocks: int = 3
    heads: int = 2
    window: int = 32
    fold: int = 2
    expansion: int = 2
    attention: str = "gfca"
    adaptive_mixup: bool = True

    def as_dict(self) -> dict:
        """Plain values, for a checkpoint's metadata."""
        return asdict(self)


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


def _into_windows(features: torch.Tensor, window: int) -> torch.Tensor:
    """(B, h, w, C) -> (B * windows, window, window, C)."""
    batch, height, width, channels = features.shape
    grid = features.view(batch, height // window, window, width // window, window, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(-1, window, window, channels)


def _from_windows(windows: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
    """Inverse of :func:`_into_windows`."""
    _, window, _, channels = windows.shape
    grid = windows.view(batch, height // window, width // window, window, window, channels)
    return grid.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, channels)


def _rolled(features: torch.Tensor, shift: int) -> torch.Tensor:
    return torch.roll(features, (shift, shift), dims=(1, 2)) if shift else features


class _Block(nn.Module):
    def __init__(self, architecture: LRformerArchitecture, shift: int) -> None:
        super().__init__()
        channels = architecture.channels
        self.window, self.shift = architecture.window, shift
        self.attention_norm = nn.LayerNorm(channels)
        self.feed_forward_norm = nn.LayerNorm(channels)
        if architecture.attention == "gfca":
            self.attention = GuidedFrequencyCrossAttention(channels, architecture.heads, architecture.adaptive_mixup)
        elif architecture.attention == "naive":
            self.attention = NaiveCrossAttention(channels, architecture.heads)
        else:
            raise ValueError(f"attention must be 'gfca' or 'naive', not {architecture.attention!r}")
        self.feed_forward = _FeedForward(channels, architecture.expansion)

    def forward(self, features: torch.Tensor, prior_tokens: torch.Tensor) -> torch.Tensor:
        batch, height, width, _ = features.shape
        windows = _into_windows(_rolled(self.attention_norm(features), -self.shift), self.window)
        attended = self.attention(windows, prior_tokens)
        features = features + _rolled(_from_windows(attended, batch, height, width), self.shift).to(features.dtype)
        return features + self.feed_forward(self.feed_forward_norm(features))


class _Group(nn.Module):
    def __init__(self, architecture: LRformerArchitecture) -> None:
        super().__init__()
        shifts = [0 if index % 2 == 0 else architecture.window // 2 for index in range(architecture.blocks)]
        self.blocks = nn.ModuleList(_Block(architecture, shift) for shift in shifts)
        self.convolution = nn.Conv2d(architecture.channels, architecture.channels, 3, padding=1)

    def forward(self, features: torch.Tensor, prior_tokens: dict[int, torch.Tensor]) -> torch.Tensor:
        deep = features
        for block in self.blocks:
            deep = block(deep, prior_tokens[block.shift])
        return features + self.convolution(deep.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class LRformer(nn.Module):
    """Groups of GFCA blocks on folded pixels, with a global residual from the input slice.

    Attributes:
        architecture: what it was built from.
        scale: output pixels per input pixel along each axis.
        context: neighbouring slices expected on each side.
        tile_multiple: tiles whose origin and size are multiples of this (input pixels) see the same attention
            windows as the whole slice.
    """

    def __init__(self, architecture: LRformerArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.scale, self.context = architecture.scale, architecture.context
        self.tile_multiple = architecture.window * architecture.fold
        channels, fold = architecture.channels, architecture.fold
        self.image_embedding = nn.Conv2d(2 * (1 + 2 * self.context) * fold**2, channels, 3, padding=1)
        self.prior_embedding = nn.Conv2d(PRIOR_CHANNEL_COUNT * fold**2, channels, 3, padding=1)
        self.prior_norm = nn.LayerNorm(channels)
        self.groups = nn.ModuleList(_Group(architecture) for _ in range(architecture.groups))
        self.reconstruction = nn.Conv2d(channels, (fold * self.scale) ** 2, 3, padding=1)
        # A new network returns its input (or its interpolation): training starts from there, not from noise.
        nn.init.zeros_(self.reconstruction.weight)
        nn.init.zeros_(self.reconstruction.bias)

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
        folded = functional.pixel_unshuffle(
            _with_detail(_mirror_pad(image, self.tile_multiple)), self.architecture.fold
        )
        folded_prior = functional.pixel_unshuffle(_mirror_pad(prior, self.tile_multiple), self.architecture.fold)
        shallow = self.image_embedding(folded.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
        guide = self.prior_norm(self.prior_embedding(folded_prior).permute(0, 2, 3, 1))
        represent = self.groups[0].blocks[0].attention.represent
        # The prior is the same for every block: its tokens are computed once for each of the two window grids.
        prior_tokens = {
            shift: represent(_into_windows(_rolled(guide, -shift), self.architecture.window))
            for shift in sorted({block.shift for block in self.groups[0].blocks})
        }
        features = shallow
        for group in self.groups:
            features = group(features, prior_tokens)
        residual = self.reconstruction((features + shallow).permute(0, 3, 1, 2))
        residual = functional.pixel_shuffle(residual, self.architecture.fold * self.scale) / DETAIL_GAIN
        residual = residual[..., : height * self.scale, : width * self.scale]
        if self.scale > 1:
            middle = functional.interpolate(middle, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return middle + residual.to(middle.dtype)


def _with_detail(image: torch.Tensor) -> torch.Tensor:
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

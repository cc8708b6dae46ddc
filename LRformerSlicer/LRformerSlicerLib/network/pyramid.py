"""LRformer as a pyramid: blocks at the first resolution, at half of it, at a quarter, and back again.

Noise and artifacts are wider than a token: at a coarser level a block sees more of them for a quarter of the cost.  The
shape is that of U-Net (Ronneberger, Fischer and Brox, MICCAI 2015, arXiv 1505.04597), the blocks are LRformer's own.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import torch
from torch import nn
from torch.nn import functional

from .lrformer import Block, LRformer, tokens_by_grid


class PyramidLRformer(LRformer):
    """Embeddings, reconstruction, attributes and call are those of :class:`.lrformer.LRformer`."""

    _overlap_multiples = 3

    def _make_body(self) -> None:
        own = self.architecture
        widths = [own.channels * (level + 1) for level in range(own.levels)]
        self._way = [*range(own.levels), *reversed(range(own.levels - 1))]
        self.prior_norms = nn.ModuleList(nn.LayerNorm(own.prior_channels) for _ in widths)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                Block(replace(own, channels=widths[level], window=own.window_at(level)), place % 2 == 1)
                for place in range(own.blocks * (2 if level == own.levels - 1 else 1))
            )
            for level in self._way
        )
        pairs = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairs)

    def _deepen(self, shallow: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
        tokens = self._prior_tokens(guide)
        features, left, above = shallow, [], None
        for level, stage in zip(self._way, self.stages, strict=True):
            if above is not None and level > above:
                left.append(features)
                features = self.down[above](features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            elif above is not None:
                finer = functional.pixel_shuffle(self.up[level](features.permute(0, 3, 1, 2)), 2)
                features = finer.permute(0, 2, 3, 1) + left.pop()
            for block in stage:
                features = block(features, tokens[level][block.grid])
            above = level
        return features

    def _prior_tokens(self, guide: torch.Tensor) -> list[dict]:
        """Of every level, the guide's tokens by window grid."""
        tokens = []
        for level, norm in enumerate(self.prior_norms):
            if level:
                guide = functional.avg_pool2d(guide.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            blocks = chain.from_iterable(stage for at, stage in zip(self._way, self.stages, strict=True) if at == level)
            tokens.append(tokens_by_grid(norm(guide), blocks))
        return tokens

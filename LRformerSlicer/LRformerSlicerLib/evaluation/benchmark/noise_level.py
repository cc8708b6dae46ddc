"""LRformer told how noisy each part of the slice is, to see whether that helps it.

The noise is estimated from the slice itself as in Immerkaer, Computer Vision and Image Understanding 64 (1996) 300: the
mean modulus under a mask that is blind to planes, here over a neighbourhood instead of the whole image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from ...network.lrformer import LRformerArchitecture
from ...restoration.metrics import LAPLACIAN_DIFFERENCE

NEIGHBOURHOOD_PIXELS = 31
LEVEL_GAIN = 10.0  # brings the SD of noise, some hundredths of the intensity range, near the prior's range of 0 to 1


def noise_level(image: torch.Tensor) -> torch.Tensor:
    """(B, 1, H, W) -> SD of white noise near each pixel, likewise; of correlated noise a number that grows with it."""
    padded = functional.pad(image, [1] * 4, mode="replicate")
    mask = torch.from_numpy(LAPLACIAN_DIFFERENCE).to(image)
    response = functional.conv2d(padded, mask[None, None]).abs()
    # A Gaussian's mean modulus is sqrt(2 / pi) of its SD; the mask's squared weights sum to 36.
    sd = response * math.sqrt(math.pi / 2) / 6
    return functional.avg_pool2d(sd, NEIGHBOURHOOD_PIXELS, 1, NEIGHBOURHOOD_PIXELS // 2, count_include_pad=False)


@dataclass(frozen=True)
class NoiseLevelArchitecture:
    """What stands for :class:`~...network.lrformer.LRformerArchitecture` when the noise takes the place of D.

    Attributes:
        network: the LRformer within.
    """

    network: LRformerArchitecture

    def as_dict(self) -> dict:
        """Plain values."""
        return {"guided_by": "noise level", **self.network.as_dict()}

    def build(self) -> NoiseLevelNetwork:
        """A new network with random weights."""
        return NoiseLevelNetwork(self)


class NoiseLevelNetwork(nn.Module):
    """LRformer whose prior is the consistency C and, in the place of the discrepancy D, the noise level."""

    def __init__(self, architecture: NoiseLevelArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.network = architecture.network.build()
        self.scale, self.context = self.network.scale, self.network.context

    def forward(self, image: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) and (B, 2, H, W) -> (B, 1, H, W)."""
        level = LEVEL_GAIN * noise_level(image)
        return self.network(image, torch.cat([prior[:, :1], level.to(prior)], dim=1))

"""Networks of others, cut to LRformer's budget of parameters, to be trained by the same trainer on the same patches.

The architectures are those that the package spandrel carries.  Sources: Zhang et al., IEEE TIP 26 (2017) 3142 (DnCNN,
without batch norm, which a batch of four patches cannot feed); Chen et al., ECCV 2022 (NAFNet); Liang et al., ICCVW
2021 (SwinIR).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from torch import nn

from ...errors import UserError
from ...network.lrformer import DETAIL_GAIN, with_detail
from ...prior.torchvision_guard import ensure_torchvision_imports

# Module and class in spandrel, and the size that comes near LRformer's 0.75 M parameters.
_PEERS = {
    "DnCNN": ("DnCNN.__arch.network_dncnn", "DnCNN", {"in_nc": 2, "out_nc": 2, "nc": 64, "nb": 20, "act_mode": "R"}),
    "NAFNet": (
        "NAFNet.__arch.NAFNet_arch",
        "NAFNet",
        {"img_channel": 2, "width": 20, "middle_blk_num": 2, "enc_blk_nums": [1, 1, 2], "dec_blk_nums": [1, 1, 1]},
    ),
    "SwinIR": (
        "SwinIR.__arch.SwinIR",
        "SwinIR",
        {
            "img_size": 64,
            "in_chans": 2,
            "embed_dim": 60,
            "depths": [4, 4, 4, 4],
            "num_heads": [6, 6, 6, 6],
            "window_size": 8,
            "mlp_ratio": 2.0,
            "upscale": 1,
            "drop_path_rate": 0.0,
        },
    ),
}
PEER_NAMES = tuple(_PEERS)


@dataclass(frozen=True)
class PeerArchitecture:
    """What stands for :class:`~...network.lrformer.LRformerArchitecture` when a peer is trained.

    Attributes:
        name: one of ``PEER_NAMES``.
    """

    name: str
    scale: int = 1
    context: int = 0

    def as_dict(self) -> dict:
        """Plain values."""
        return {"name": self.name, **_PEERS[self.name][2]}

    def build(self) -> PeerNetwork:
        """A new network with random weights; UserError where spandrel is missing."""
        return PeerNetwork(self)


class PeerNetwork(nn.Module):
    """A peer with LRformer's inputs: the slice and its amplified detail; the prior is not looked at.

    What the peer adds to its first channel is the residual, in LRformer's own scale, so that neither starts with an
    advantage.
    """

    def __init__(self, architecture: PeerArchitecture) -> None:
        super().__init__()
        ensure_torchvision_imports()
        place, name, sizes = _PEERS[architecture.name]
        try:
            module = importlib.import_module(f"spandrel.architectures.{place}")
        except ModuleNotFoundError as error:
            raise UserError("The benchmark's peer networks need a package: pip install spandrel.") from error
        self.architecture, self.scale, self.context = architecture, 1, 0
        self.peer = getattr(module, name)(**sizes)
        if architecture.name == "DnCNN":
            # Without batch norm, and with torch's own weights, nothing of the slice gets through its twenty layers.
            for part in self.peer.modules():
                if isinstance(part, nn.Conv2d):
                    nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                    nn.init.zeros_(part.bias)

    def forward(self, image: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """(B, 1, H, W) and a prior -> (B, 1, H, W)."""
        stack = with_detail(image)
        residual = (self.peer(stack) - stack)[:, :1].to(image.dtype)
        return image + residual / DETAIL_GAIN

"""RLPP, the reliable lesion-semantic prior producer: Monte-Carlo dropout on a frozen MedSAM (arXiv 2504.11286)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .backbones import Backbone

# Two dropout layers, both behind the decoder's transformer, so that encoder and transformer run once per slice.
FEATURE_DROPOUT_RATE = 0.1
TOKEN_DROPOUT_RATE = 0.1

CONSISTENCY_WEIGHT = 0.5  # the paper's alpha
DISCREPANCY_WEIGHT = 0.5  # the paper's beta


@dataclass(frozen=True)
class PriorMaps:
    """Maps of a batch of slices, each (B, H, W) float32 in [0, 1].

    Attributes:
        consistency: C, share of pairs of passes that agree that there is a structure.
        discrepancy: D, share of pairs of passes that disagree: the uncertainty.
        prior: U = C/2 + D/2.
    """

    consistency: np.ndarray
    discrepancy: np.ndarray
    prior: np.ndarray


def pairwise_maps(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Consistency and discrepancy of binary masks.

    C is the mean over pairs i < j of (S_i AND S_j), D the mean of |S_i - S_j|.  With k of T masks set at a pixel
    there are k(k-1)/2 agreeing and k(T-k) disagreeing pairs, so no pair need be formed.

    Args:
        masks: (T, ...) of zeros and ones.

    Returns:
        C and D, each of shape (...), float32 in [0, 1].  A single mask has no pair: C is the mask, D zero.
    """
    passes = masks.shape[0]
    votes = masks.sum(dim=0, dtype=torch.float32)
    if passes == 1:
        return votes, torch.zeros_like(votes)
    pairs = passes * (passes - 1) / 2
    return votes * (votes - 1) / 2 / pairs, votes * (passes - votes) / pairs


class ReliablePriorProducer:
    """Prior maps of slices.

    Every slice sees the same T thinned networks: the dropout pattern depends on the seed alone.  So the same slice
    gives the same bytes whatever batch it comes in, and neighbouring slices get comparable maps.

    Args:
        backbone: see :mod:`.backbones`.
        samples: T, number of passes, at least 1.
        seed: of the dropout patterns.
    """

    def __init__(self, backbone: Backbone, samples: int = 4, seed: int = 0) -> None:
        if samples < 1:
            raise ValueError(f"at least one pass is needed, not {samples}")
        self.backbone, self.samples, self.seed = backbone, samples, seed

    def _dropout(self, shape: tuple[int, ...], rate: float, generator: torch.Generator) -> torch.Tensor:
        # Drawn on the CPU whatever the device, so that a GPU gives the same patterns.
        kept = torch.rand(shape, generator=generator) >= rate
        return (kept.float() / (1.0 - rate)).to(self.backbone.device)

    @torch.inference_mode()
    def produce(self, slices: np.ndarray, boxes: np.ndarray) -> PriorMaps:
        """Prior maps of slices.

        Args:
            slices: (B, H, W) float in [0, 1].
            boxes: (B, 4) prompts x0, y0, x1, y1 in pixels.

        Returns:
            Maps on the grid of the slices.
        """
        images = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32))
        prompts = torch.from_numpy(np.ascontiguousarray(boxes, dtype=np.float32))
        generator = torch.Generator().manual_seed(self.seed)
        consistency, discrepancy = [], []
        decoded = self.backbone.decode(images, prompts)
        channels = decoded[0].features.shape[0]
        # Whole feature channels are dropped: single pixels would only add speckle that the upscaling smooths away.
        feature_pattern = self._dropout((self.samples, channels, 1, 1), FEATURE_DROPOUT_RATE, generator)
        token_pattern = self._dropout((self.samples, channels), TOKEN_DROPOUT_RATE, generator)
        for one in decoded:
            logits = self.backbone.mask_logits(
                one.features * feature_pattern, one.mask_token * token_pattern, images.shape[-2:]
            )
            agreed, disputed = pairwise_maps(logits > 0)
            consistency.append(agreed)
            discrepancy.append(disputed)
        c, d = (torch.stack(maps).cpu().numpy() for maps in (consistency, discrepancy))
        return PriorMaps(c, d, CONSISTENCY_WEIGHT * c + DISCREPANCY_WEIGHT * d)

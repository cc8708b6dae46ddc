"""Batches of patches cut from the cached pairs; which patches a step sees depends on seed and step alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..restoration.intensity import ct_intensity

NOISE_SCALE_RANGE = (0.5, 1.5)  # stretches the cached noise, and with it the range of doses


@dataclass(frozen=True)
class Pair:
    """One cached pair: clean and degraded (H, W) in HU, prior (2, H, W) uint8, body (H, W) bool."""

    name: str
    clean: np.ndarray
    degraded: np.ndarray
    prior: np.ndarray
    body: np.ndarray


def load_pairs(files: list[Path]) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs of a cache, held in memory as the small integers they are stored as."""
    training, validation = [], []
    for file in files:
        with np.load(file) as stored:
            pair = Pair(file.stem, stored["clean"], stored["degraded"], stored["prior"], stored["body"])
            (validation if bool(stored["validation"]) else training).append(pair)
    return training, validation


def to_tensors(pair: Pair) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Degraded and clean (1, H, W) normalised, prior (2, H, W) in [0, 1]."""
    intensity = ct_intensity()
    degraded, clean = (torch.from_numpy(intensity.normalise(plane))[None] for plane in (pair.degraded, pair.clean))
    return degraded, clean, torch.from_numpy(pair.prior).float() / 255.0


class PatchSampler:
    """Random patches with flips, stretched noise and, now and then, no prior.

    No quarter turns: patients lie, so the starved rays and their streaks run along the rows, and the network is to
    know that.

    Args:
        pairs: to cut from.
        patch_size: side in pixels.
        batch_size: patches a step.
        prior_dropout: share of patches whose prior is blanked, so that the network also works without one.
        seed: of everything random.
    """

    def __init__(self, pairs: list[Pair], patch_size: int, batch_size: int, prior_dropout: float, seed: int) -> None:
        self._pairs, self._patch_size, self._batch_size = pairs, patch_size, batch_size
        self._prior_dropout, self._seed = prior_dropout, seed

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Degraded (B, 1, P, P), clean (B, 1, P, P) and prior (B, 2, P, P) of a step."""
        random = np.random.default_rng((self._seed, step))
        patches = [self._patch(random) for _ in range(self._batch_size)]
        return tuple(torch.stack(tensors) for tensors in zip(*patches, strict=True))

    def _patch(self, random: np.random.Generator) -> tuple[torch.Tensor, ...]:
        pair = self._pairs[random.integers(len(self._pairs))]
        size = self._patch_size
        rows, columns = pair.body.nonzero()
        centre = random.integers(len(rows)) if len(rows) else None
        corner = []
        for axis, places in enumerate((rows, columns)):
            length = pair.body.shape[axis]
            middle = int(places[centre]) if centre is not None else length // 2
            corner.append(int(np.clip(middle - size // 2, 0, length - size)))
        window = np.s_[corner[0] : corner[0] + size, corner[1] : corner[1] + size]
        cut = Pair(pair.name, pair.clean[window], pair.degraded[window], pair.prior[(slice(None), *window)], None)
        noise = (cut.degraded.astype(np.float32) - cut.clean) * np.float32(random.uniform(*NOISE_SCALE_RANGE))
        cut = Pair(cut.name, cut.clean, cut.clean + noise, cut.prior, None)
        flipped = [axis for axis in (1, 2) if random.integers(2)]
        blank = random.random() < self._prior_dropout
        degraded, clean, prior = (tensor.flip(flipped) for tensor in to_tensors(cut))
        return degraded, clean, torch.zeros_like(prior) if blank else prior

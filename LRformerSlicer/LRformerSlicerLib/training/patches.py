"""Batches of patches cut from the cached pairs; which patches a step sees depends on seed and step alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from .inserted_lesions import lesion_map
from .noise_texture import of_a_foreign_spectrum, of_another_grain
from .pair_cache import PRIOR_STEPS
from .training_task import Augmentation, TrainingTask


@dataclass(frozen=True)
class Pair:
    """One cached pair.

    Attributes:
        name: of the clean slice and the realisation.
        clean: (scale * H, scale * W) int16 in the task's stored numbers.
        degraded: (H, W) likewise.
        prior: (2, H, W) uint8, consistency and discrepancy in steps of 1/255.
        body: (H, W) bool, of the degraded slice.
        dark: the stored number that stands for no signal in a magnitude image.
    """

    name: str
    clean: np.ndarray
    degraded: np.ndarray
    prior: np.ndarray
    body: np.ndarray
    dark: float = 0.0


def load_pairs(files: list[Path], task: TrainingTask) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs of a cache, held in memory as the small integers they are stored as."""
    training, validation = [], []
    for file in files:
        with np.load(file) as stored:
            zero, unit = stored["intensity"]
            dark = float(task.stored.restore(-zero / unit))
            pair = Pair(file.stem, stored["clean"], stored["degraded"], stored["prior"], stored["body"], dark)
            (validation if bool(stored["validation"]) else training).append(pair)
    return training, validation


def to_tensors(pair: Pair, task: TrainingTask) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Degraded (1, H, W) and clean (1, scale * H, scale * W) normalised, prior (2, H, W) in [0, 1]."""
    degraded, clean = (torch.from_numpy(task.stored.normalise(plane))[None] for plane in (pair.degraded, pair.clean))
    return degraded, clean, torch.from_numpy(pair.prior).float() / PRIOR_STEPS


class PatchSampler:
    """Random patches around body pixels with the task's augmentation and, now and then, no prior.

    Args:
        task: what is trained for.
        pairs: to cut from.
        patch_size: side in input pixels; slices that are smaller are mirrored at their ends.
        batch_size: patches a step.
        prior_dropout: share of patches whose prior is blanked, so that the network also works without one.
        seed: of everything random.
    """

    def __init__(
        self, task: TrainingTask, pairs: list[Pair], patch_size: int, batch_size: int, prior_dropout: float, seed: int
    ) -> None:
        self._task, self._pairs, self._patch_size, self._batch_size = task, pairs, patch_size, batch_size
        self._prior_dropout, self._seed = prior_dropout, seed

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Degraded (B, 1, P, P), clean (B, 1, scale * P, scale * P) and prior (B, 2, P, P) of a step."""
        random = np.random.default_rng((self._seed, step))
        patches = [self._patch(random) for _ in range(self._batch_size)]
        return tuple(torch.stack(tensors) for tensors in zip(*patches, strict=True))

    def _patch(self, random: np.random.Generator) -> tuple[torch.Tensor, ...]:
        augmentation = self._task.augmentation
        cut = self._cut(self._pairs[random.integers(len(self._pairs))], random)
        if augmentation.stretches:
            share = np.float32(random.uniform(*augmentation.residual_range))
            difference = cut.degraded.astype(np.float32) - cut.clean
            if augmentation.changes_texture:
                difference = _of_another_texture(difference, augmentation, random)
            stretched = cut.clean + difference * share
            cut = replace(cut, degraded=stretched)
        if augmentation.fresh_noise_share and random.random() < augmentation.fresh_noise_share:
            deviation = random.uniform(*augmentation.fresh_noise_range) * self._task.stored.unit
            cut = replace(cut, degraded=_with_noise(cut.degraded - cut.dark, deviation, random) + cut.dark)
        if augmentation.lesions and random.random() < augmentation.lesions.share:
            added = lesion_map(cut.body, augmentation.lesions, random)
            cut = replace(cut, clean=cut.clean + added, degraded=cut.degraded + added)
        flipped = [axis for axis in (1, 2) if random.integers(2)]
        turns = augmentation.quarter_turns and bool(random.integers(2))
        blank = random.random() < self._prior_dropout
        tensors = [tensor.flip(flipped) for tensor in to_tensors(cut, self._task)]
        degraded, clean, prior = (tensor.transpose(1, 2) if turns else tensor for tensor in tensors)
        return degraded, clean, torch.zeros_like(prior) if blank else prior

    def _cut(self, pair: Pair, random: np.random.Generator) -> Pair:
        size, scale = self._patch_size, self._task.scale
        missing = [max(0, size - length) for length in pair.body.shape]
        if any(missing):
            pair = _mirrored(pair, missing, scale)
        rows, columns = pair.body.nonzero()
        centre = random.integers(len(rows)) if len(rows) else None
        spans = []
        for axis, places in enumerate((rows, columns)):
            length = pair.body.shape[axis]
            middle = int(places[centre]) if centre is not None else length // 2
            first = int(np.clip(middle - size // 2, 0, length - size))
            spans.append((first, first + size))
        coarse = tuple(slice(*span) for span in spans)
        fine = tuple(slice(scale * first, scale * last) for first, last in spans)
        return replace(
            pair,
            clean=pair.clean[fine],
            degraded=pair.degraded[coarse],
            prior=pair.prior[(slice(None), *coarse)],
            body=pair.body[coarse],
        )


def _with_noise(magnitude: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    """A magnitude patch (H, W) with further noise of this SD in each channel, float32."""
    real, imaginary = random.standard_normal((2, *magnitude.shape), dtype=np.float32) * np.float32(deviation)
    return np.hypot(magnitude.astype(np.float32) + real, imaginary)


def _of_another_texture(noise: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    """(H, W) float32 noise as the augmentation varies it."""
    # Without a share nothing is drawn, so that trainings without it see the patches that they always saw.
    if augmentation.foreign_texture_share and random.random() < augmentation.foreign_texture_share:
        return of_a_foreign_spectrum(noise, random)
    return of_another_grain(noise, augmentation.texture_blur_pixels, augmentation.texture_sharpening, random)


def _mirrored(pair: Pair, missing: list[int], scale: int) -> Pair:
    """The pair extended at the bottom and right; mirroring at pixel faces keeps both grids aligned."""
    coarse = [(0, pixels) for pixels in missing]
    fine = [(0, scale * pixels) for pixels in missing]
    return replace(
        pair,
        clean=np.pad(pair.clean, fine, mode="symmetric"),
        degraded=np.pad(pair.degraded, coarse, mode="symmetric"),
        prior=np.pad(pair.prior, [(0, 0), *coarse], mode="symmetric"),
        body=np.pad(pair.body, coarse, mode="symmetric"),
    )

"""Batches of patches cut from the cached pairs; which patches a step sees depends on seed and step alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..degradation.scan_noise import ScanNoise, measure_scan_noise
from .inserted_lesions import lesion_map
from .neighbours import in_order, lesions_in_neighbours, nearer, sharing_noise, with_missing
from .noise_texture import of_a_foreign_spectrum, of_another_grain
from .pair_cache import PRIOR_STEPS
from .recorrupted import recorrupted
from .sampling import sampling_shares
from .training_task import Augmentation, TrainingTask

NEIGHBOUR_ARRAYS = ("clean_neighbours", "degraded_neighbours")


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
        clean_neighbours, degraded_neighbours: (2, H, W) int16, of the slice before and the one behind; None where the
            slice has none.
        scan_noise: of the clean slice; None where nothing is recorrupted.
    """

    name: str
    clean: np.ndarray
    degraded: np.ndarray
    prior: np.ndarray
    body: np.ndarray
    dark: float = 0.0
    clean_neighbours: np.ndarray | None = None
    degraded_neighbours: np.ndarray | None = None
    scan_noise: ScanNoise | None = None


def load_pairs(files: list[Path], task: TrainingTask) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs of a cache, held in memory as the small integers they are stored as.

    Where the task recorrupts, validation pairs are so already.
    """
    training, validation = [], []
    noise_of: dict[str, ScanNoise] = {}
    for file in files:
        with np.load(file) as stored:
            zero, unit = stored["intensity"]
            dark = float(task.stored.restore(-zero / unit))
            planes = [stored[name] for name in ("clean", "degraded", "prior", "body")]
            neighbours = [stored[name] for name in NEIGHBOUR_ARRAYS if name in stored]
            pair = Pair(file.stem, *planes, dark, *neighbours)
            if task.augmentation.recorrupts:
                pair = _with_scan_noise(pair, noise_of)
                if bool(stored["validation"]):
                    pair = _recorrupted_once(pair)
            (validation if bool(stored["validation"]) else training).append(pair)
    return training, validation


def to_tensors(pair: Pair, task: TrainingTask, context: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Degraded and clean normalised, prior (2, H, W) in [0, 1].

    The degraded is (1 + 2 * context, H, W), the clean (1, scale * H, scale * W); a slice without neighbours stands in
    their place, as in the engine.
    """
    planes = pair.degraded[None]
    if context and pair.degraded_neighbours is not None:
        planes = in_order(np.concatenate([planes, pair.degraded_neighbours]))
    elif context:
        planes = np.repeat(planes, 1 + 2 * context, axis=0)
    # What is cut off at -1000 HU is no longer right on average.
    of_target = task.stored if pair.scan_noise is None else replace(task.stored, clips_below=False)
    degraded = torch.from_numpy(task.stored.normalise(planes))
    clean = torch.from_numpy(of_target.normalise(pair.clean[None]))
    return degraded, clean, torch.from_numpy(pair.prior).float() / PRIOR_STEPS


def _with_scan_noise(pair: Pair, noise_of: dict[str, ScanNoise]) -> Pair:
    """A pair with the noise of its slice, which is measured once for all of its realisations."""
    scan = pair.name.rpartition("-")[0]
    if scan not in noise_of:
        noise_of[scan] = measure_scan_noise(pair.clean, pair.body)
    return replace(pair, scan_noise=noise_of[scan])


def _recorrupted_once(pair: Pair) -> Pair:
    """A whole validation pair, recorrupted in the same way whenever it is loaded."""
    random = np.random.default_rng(zlib.crc32(pair.name.encode()))
    degraded, target = recorrupted(pair.degraded, pair.clean, pair.scan_noise, random, share=1.0)
    return replace(pair, degraded=degraded, clean=target)


class PatchSampler:
    """Random patches around body pixels with the task's augmentation and, now and then, no prior.

    Args:
        task: what is trained for.
        pairs: to cut from.
        patch_size: side in input pixels; slices that are smaller are mirrored at their ends.
        batch_size: patches a step.
        prior_dropout: share of patches whose prior is blanked, so that the network also works without one.
        seed: of everything random.
        context: neighbours to give on each side, 0 or 1.
    """

    def __init__(
        self,
        task: TrainingTask,
        pairs: list[Pair],
        patch_size: int,
        batch_size: int,
        prior_dropout: float,
        seed: int,
        context: int = 0,
    ) -> None:
        if context not in (0, 1):
            raise ValueError(f"training pairs have one neighbour each side, not {context}")
        if not context:
            pairs = [replace(pair, clean_neighbours=None, degraded_neighbours=None) for pair in pairs]
        self._task, self._pairs, self._patch_size, self._batch_size = task, pairs, patch_size, batch_size
        self._prior_dropout, self._seed, self._context = prior_dropout, seed, context
        self._cumulative = np.cumsum(sampling_shares([pair.name for pair in pairs]))[:-1]

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Degraded (B, 1 + 2 * context, P, P), clean (B, 1, scale * P, scale * P) and prior (B, 2, P, P) of a step."""
        random = np.random.default_rng((self._seed, step))
        patches = [self._patch(random) for _ in range(self._batch_size)]
        return tuple(torch.stack(tensors) for tensors in zip(*patches, strict=True))

    def _patch(self, random: np.random.Generator) -> tuple[torch.Tensor, ...]:
        augmentation = self._task.augmentation
        cut = self._cut(self._pairs[int(np.searchsorted(self._cumulative, random.random(), side="right"))], random)
        if augmentation.stretches:
            cut = _stretched(cut, augmentation, random)
        if augmentation.fresh_noise_share and random.random() < augmentation.fresh_noise_share:
            deviation = random.uniform(*augmentation.fresh_noise_range) * self._task.stored.unit
            cut = replace(cut, degraded=_with_noise(cut.degraded - cut.dark, deviation, random) + cut.dark)
        if augmentation.lesions and random.random() < augmentation.lesions.share:
            added = lesion_map(cut.body, augmentation.lesions, random)
            cut = replace(cut, clean=cut.clean + added, degraded=cut.degraded + added)
            if cut.degraded_neighbours is not None:
                beside = lesions_in_neighbours(added, len(cut.degraded_neighbours), random)
                cut = replace(cut, degraded_neighbours=cut.degraded_neighbours + beside)
        if cut.scan_noise is not None:
            degraded, target = recorrupted(cut.degraded, cut.clean, cut.scan_noise, random)
            cut = replace(cut, clean=target, degraded=degraded)
        if cut.degraded_neighbours is not None:
            planes = np.concatenate([cut.degraded[None], cut.degraded_neighbours])
            cut = replace(cut, degraded_neighbours=with_missing(planes, augmentation.neighbours, random)[1:])
        flipped = [axis for axis in (1, 2) if random.integers(2)]
        turns = augmentation.quarter_turns and bool(random.integers(2))
        blank = random.random() < self._prior_dropout
        tensors = [tensor.flip(flipped) for tensor in to_tensors(cut, self._task, self._context)]
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
            scan_noise=pair.scan_noise.part(*coarse) if pair.scan_noise is not None else None,
            **{name: planes[(slice(None), *coarse)] for name, planes in _neighbours_of(pair)},
        )


def _neighbours_of(pair: Pair) -> list[tuple[str, np.ndarray]]:
    """The names of its neighbours' arrays and these; none where it has none."""
    found = [(name, getattr(pair, name)) for name in NEIGHBOUR_ARRAYS]
    return [(name, planes) for name, planes in found if planes is not None]


def _stretched(cut: Pair, augmentation: Augmentation, random: np.random.Generator) -> Pair:
    """A patch whose noise is stronger or weaker, and of another texture; that of its neighbours likewise."""
    share = np.float32(random.uniform(*augmentation.residual_range))
    clean, degraded = cut.clean[None].astype(np.float32), cut.degraded[None]
    if cut.degraded_neighbours is not None:
        clean = np.concatenate([clean, cut.clean_neighbours])
        degraded = np.concatenate([degraded, cut.degraded_neighbours])
    noise = degraded - clean
    if cut.scan_noise is not None:
        noise = _of_a_lower_dose(noise, cut.scan_noise, augmentation, random)
    if augmentation.turns_noise_over and random.integers(2):
        noise = -noise
    if augmentation.changes_texture:
        noise = _of_another_texture(noise, augmentation, random)
    if cut.degraded_neighbours is not None:
        clean, noise = nearer(clean, random), sharing_noise(noise, augmentation.neighbours, random)
    stretched = clean + noise * share
    return replace(cut, degraded=stretched[0], degraded_neighbours=stretched[1:] if len(stretched) > 1 else None)


def _of_a_lower_dose(
    noise: np.ndarray, scan_noise: ScanNoise, augmentation: Augmentation, random: np.random.Generator
) -> np.ndarray:
    """(1, H, W) float32: now and then, and where there is none, noise as a lower dose adds it to the scan's own."""
    # Quantum noise of a fraction d of the dose has 1/d of the variance, by place as before.
    if random.random() >= augmentation.lower_dose_share and noise.any():
        return noise
    dose = np.exp(random.uniform(np.log(augmentation.lowest_dose), 0.0))
    return np.float32(np.sqrt(1.0 / dose - 1.0)) * scan_noise.draw(random)[None]


def _with_noise(magnitude: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    """A magnitude patch (H, W) with further noise of this SD in each channel, float32."""
    real, imaginary = random.standard_normal((2, *magnitude.shape), dtype=np.float32) * np.float32(deviation)
    return np.hypot(magnitude.astype(np.float32) + real, imaginary)


def _of_another_texture(noise: np.ndarray, augmentation: Augmentation, random: np.random.Generator) -> np.ndarray:
    """(1 + N, H, W) float32 noise as the augmentation varies it."""
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
        scan_noise=pair.scan_noise.mirrored(coarse) if pair.scan_noise is not None else None,
        **{name: np.pad(planes, [(0, 0), *coarse], mode="symmetric") for name, planes in _neighbours_of(pair)},
    )

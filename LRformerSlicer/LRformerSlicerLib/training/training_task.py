"""What a training must know of its task; see ct_dose, mr_resolution and mr_artifacts for the tasks themselves."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..network.lrformer import LRformerArchitecture
from ..restoration.intensity import Intensity
from ..restoration.tasks import Task
from .clean_slices import CleanSlice
from .inserted_lesions import LesionKind
from .neighbours import NeighbourKind

# Noise and artifacts are wider than a token, and a pyramid sees further for an eighth of the multiplications: in the
# same five minutes of one core it came 2 dB further than four groups at one resolution (docs/BENCHMARK.md, networks).
PYRAMID = LRformerArchitecture(levels=3, channels=32, prior_channels=16, blocks=1, window=16, heads=4)


@dataclass(frozen=True)
class DegradedSlice:
    """A clean slice and what became of it.

    Attributes:
        clean: (scale * H, scale * W) float32 in the scan's units.
        degraded: (H, W) float32 in the scan's units.
        intensity: the scan's units to the network's numbers, as the engine finds it for a degraded volume.
        recipe: what was drawn, in plain values.
        neighbours: degraded neighbours of the slice, (2 * context, H, W) float32 from the farthest before it to the
            farthest behind it; None where there are none.
    """

    clean: np.ndarray
    degraded: np.ndarray
    intensity: Intensity
    recipe: dict
    neighbours: np.ndarray | None = None


@dataclass(frozen=True)
class Augmentation:
    """How patches are varied beyond flips along both axes, which every task allows.

    Attributes:
        quarter_turns: whether rows and columns may change places.
        residual_range: the difference of degraded and clean is multiplied by a number drawn from here.
        texture_blur_pixels: every other difference is blurred by a Gaussian of an SD from 0 to this, its own SD kept.
        texture_sharpening: the others get 0 to this many times their own fine grain on top, likewise.
        foreign_texture_share: this share of the differences gets a spectrum drawn at random instead.
        fresh_noise_share: this share of the patches gets further noise, as a magnitude image has it.
        fresh_noise_range: of its SD, in network numbers.
        lesions: put into the degraded and the clean patch alike; None for none, and where that would not be what a
            scanner makes of a lesion.
        neighbours: what becomes of a slice's neighbours, where it has some and the network takes them.
        recorrupts: whether input and target get further noise of the scan's own kind (recorrupted.py).
        lower_dose_share: in this share of the patches, and where the difference is none, its place is taken by noise of
            the scan's own kind, as much as ...
        lowest_dose: ... a fraction of the dose from this to 1, its logarithm drawn evenly, adds to it.
        turns_noise_over: whether the sign of the difference is drawn: another realisation of noise.
    """

    quarter_turns: bool
    residual_range: tuple[float, float]
    texture_blur_pixels: float = 0.0
    texture_sharpening: float = 0.0
    foreign_texture_share: float = 0.0
    fresh_noise_share: float = 0.0
    fresh_noise_range: tuple[float, float] = (0.0, 0.0)
    lesions: LesionKind | None = None
    neighbours: NeighbourKind = NeighbourKind()
    recorrupts: bool = False
    lower_dose_share: float = 0.0
    lowest_dose: float = 1.0
    turns_noise_over: bool = False

    @property
    def stretches(self) -> bool:
        """Whether the difference is changed at all."""
        return self.residual_range != (1.0, 1.0) or self.changes_texture or self.turns_noise_over

    @property
    def changes_texture(self) -> bool:
        """Whether its grain is."""
        return max(self.texture_blur_pixels, self.texture_sharpening, self.foreign_texture_share) > 0.0


class TrainingTask(ABC):
    """One restoration task as a training sees it.

    Attributes:
        task: its name, modality, scale.
        stored: cached pairs are int16 numbers; this takes them to the network's numbers.  Its window is where PSNR and
            SSIM are measured.
        loss_unit: name of the training loss's unit and the number of them in one network number.
        augmentation: of the patches.
        architecture: of the network, where the caller does not choose another.
        patch_size, batch_size: input pixels and patches a step, likewise.
        shares_prior: whether the prior of a slice's first realisation serves for the others, whose degradation changes
            it little; it takes longer to make than all the rest of a pair.  On another grid it is interpolated.
        huber_scale: errors below it, in network numbers, count by their square (Huber's loss over this scale); None for
            the absolute error.
        intended_use, limits: for the model card.
    """

    task: Task
    stored: Intensity
    loss_unit: tuple[str, float]
    augmentation: Augmentation
    architecture: LRformerArchitecture
    patch_size: int
    batch_size: int
    shares_prior: bool = False
    huber_scale: float | None = None
    intended_use: str
    limits: tuple[str, ...]

    @property
    def name(self) -> str:
        """Such as ct-denoise."""
        return self.task.name

    @property
    def scale(self) -> int:
        """Clean pixels per degraded pixel along an axis."""
        return self.task.scale

    @abstractmethod
    def clean_slices(self, folder: Path) -> Iterator[CleanSlice]:
        """The slices of a folder of training scans, in order of name; UserError where there are none."""

    def has_prior(self, clean: CleanSlice) -> bool:
        """Whether the pairs of a slice get a prior, which takes long; the others are trained on without."""
        return True

    @abstractmethod
    def degrade(self, clean: CleanSlice, realisation: int, intensity: Intensity | None = None) -> DegradedSlice:
        """Degrade a slice; what is drawn depends on its name and the realisation alone.

        Args:
            clean: the slice.
            realisation: 0, 1, ...
            intensity: where it is known already, as in a packed training; else it is found.
        """

    def mended(self, degraded: np.ndarray) -> np.ndarray:
        """A degraded slice as the engine hands it to the network, (H, W) in the scan's units."""
        return degraded

    def unrestored(self, degraded: np.ndarray) -> np.ndarray:
        """What a reader has without the network: degraded (H, W), any unit, on the clean slice's grid, float32."""
        return degraded

    @abstractmethod
    def degradation_card(self) -> dict:
        """The degradation in the words and numbers of a model card."""

    def store(self, values: np.ndarray, intensity: Intensity) -> np.ndarray:
        """Scan values as the int16 numbers of a cached pair."""
        limits = np.iinfo(np.int16)
        numbers = (np.asarray(values, dtype=np.float64) - intensity.zero) / intensity.unit
        return np.clip(np.rint(self.stored.restore(numbers)), limits.min, limits.max).astype(np.int16)

    def seed(self, clean: CleanSlice, realisation: int, neighbour: int | None = None) -> int:
        """Seed of a pair or of one of its neighbours: of its name alone, not of order or machine."""
        text = f"{clean.name}/{realisation}" + ("" if neighbour is None else f"/{neighbour}")
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

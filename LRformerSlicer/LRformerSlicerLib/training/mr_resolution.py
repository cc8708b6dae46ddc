"""Training of mr-sr2 and mr-sr4: MR slices from scans with fewer k-space samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..degradation.mr.kspace import bright_tissue, centre_of, to_image, to_kspace
from ..degradation.mr.resolution import NOISE_SHARE, enlarge_by_zero_filling, truncate_kspace
from ..restoration.intensity import Intensity
from ..restoration.tasks import TASKS
from .clean_slices import CleanSlice, mr_slices
from .mr_contrast import random_contrast
from .mr_intensities import STORED_MR_INTENSITY, intensity_of_slices
from .training_task import PYRAMID, Augmentation, DegradedSlice, TrainingTask

NOISE_SHARE_RANGE = (0.0, 0.02)
SHARPNESS_RANGE = (0.5, 1.0)
"""Of a training scan's k-space, along each axis, so much is kept before anything else: most of these scans are sampled
finer than they resolve, and a network that sees only those learns to expect little detail."""
OTHER_CONTRAST_SHARE = 0.6  # of the further realisations
SMALLEST_SIDE = 112  # of the slice that is left, in pixels


class ResolutionTask(TrainingTask):
    """k-space truncated by the task's scale to the coarse grid, with noise of 0 to 2 % of the bright tissue.

    The first realisation of a slice is restored to the scan's own grid and contrast, further ones to a coarser grid,
    where the slice is as sharp as its pixels allow, and most of them in another contrast.

    Args:
        name: mr-sr2 or mr-sr4.
    """

    stored = STORED_MR_INTENSITY
    loss_unit = ("percent", 100.0)
    # Truncation treats both axes alike.  Input and target lie on different grids: there is no difference to stretch.
    augmentation = Augmentation(quarter_turns=True, residual_range=(1.0, 1.0))
    patch_size, batch_size = 64, 4
    shares_prior = True
    limits = (
        "Trained on simulated truncation of magnitude images; partial Fourier and the scanner's own filters differ.",
        "Detail that the coarse scan did not measure is a guess from other patients, brains and abdomens above all.",
        "One slice at a time: consistency between slices is not enforced.",
    )

    def __init__(self, name: str) -> None:
        self.task = TASKS[name]
        # Every measured pixel is a token: tokens of 2 x 2 pixels reached 0.04 dB less on validation slices in the same
        # three minutes of one core, a pyramid of two levels with 48 channels 0.06 dB less.
        self.architecture = replace(PYRAMID, scale=self.scale, fold=1)
        self.intended_use = (
            f"Research only, not for diagnosis. MR with {self.scale} times fewer samples along both axes of the slice."
        )

    def clean_slices(self, folder: Path) -> Iterator[CleanSlice]:
        """MR slices in the acquisition's plane, and others of nearly isotropic scans."""
        return mr_slices(folder)

    def degrade(self, clean: CleanSlice, realisation: int, intensity: Intensity | None = None) -> DegradedSlice:
        """The slice on the coarse grid; validation slices always with 1 % noise."""
        seed = self.seed(clean, realisation)
        random = np.random.default_rng(seed)
        noise_share = NOISE_SHARE if clean.validation else float(random.uniform(*NOISE_SHARE_RANGE))
        sharpness, contrast = 1.0, None
        if realisation > 0:
            lowest, highest = SHARPNESS_RANGE
            sharpness = float(
                random.uniform(max(lowest, min(highest, SMALLEST_SIDE / min(clean.stored.shape))), highest)
            )
            if random.random() < OTHER_CONTRAST_SHARE:
                contrast = random_contrast(bright_tissue(clean.pixels), random)

        def target(pixels: np.ndarray) -> np.ndarray:
            pixels = pixels if contrast is None else contrast(pixels)
            return _divisible(pixels if sharpness == 1.0 else _on_coarser_grid(pixels, sharpness), self.scale)

        def degrade(pixels: np.ndarray, own_seed: int) -> np.ndarray:
            return truncate_kspace(pixels, self.scale, own_seed, noise_share)

        if intensity is None:
            companions = [target(one * np.float32(clean.step)) for one in clean.companions]
            intensity = intensity_of_slices([degrade(one, seed + 1 + place) for place, one in enumerate(companions)])
        pixels = target(clean.pixels)
        recipe = {"noise_share": noise_share, "sharpness": sharpness, "other_contrast": contrast is not None}
        return DegradedSlice(pixels, degrade(pixels, seed), intensity, recipe)

    def unrestored(self, degraded: np.ndarray) -> np.ndarray:
        """Zero-filled to the fine grid."""
        return enlarge_by_zero_filling(degraded, self.scale)

    def degradation_card(self) -> dict:
        """Truncation and noise."""
        return {
            "method": "centre of k-space kept, on the coarse grid over the same extent; Rician magnitude",
            "factor": self.scale,
            "noise_share_of_bright_tissue": list(NOISE_SHARE_RANGE),
            "validation_noise_share": NOISE_SHARE,
            "share_of_kspace_kept_in_targets": list(SHARPNESS_RANGE),
            "other_contrast_share": OTHER_CONTRAST_SHARE,
        }


def _on_coarser_grid(pixels: np.ndarray, share: float) -> np.ndarray:
    """The magnitude of the centre of k-space, ``share`` of it along each axis, in the same units."""
    spectrum = to_kspace(pixels)
    centre = spectrum[centre_of(pixels.shape, tuple(round(size * share) for size in pixels.shape))]
    return (np.abs(to_image(centre)) * np.sqrt(centre.size / spectrum.size)).astype(np.float32)


def _divisible(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Without the last rows and columns that do not fill a coarse pixel."""
    rows, columns = (size // factor * factor for size in pixels.shape)
    return pixels[:rows, :columns]

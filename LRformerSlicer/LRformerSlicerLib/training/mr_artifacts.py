"""Training of mr-artifact: MR slices with mixtures of artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..degradation.mr import bias_field, ghosting, mixture, motion, spikes, undersampling
from ..restoration.intensity import Intensity
from ..restoration.kspace.correction import without_kspace_artifacts
from ..restoration.tasks import TASKS
from .clean_slices import CleanSlice, mr_slices
from .mr_intensities import STORED_MR_INTENSITY, intensity_of_slices
from .training_task import PYRAMID, Augmentation, DegradedSlice, TrainingTask


class ArtifactTask(TrainingTask):
    """Motion, ghosts, bias field, spikes, undersampling and noise, mixed at random; one slice in ten stays clean."""

    task = TASKS["mr-artifact"]
    stored = STORED_MR_INTENSITY
    loss_unit = ("percent", 100.0)
    # Weaker artifacts down to none: what is nearly clean must hardly be changed.
    # Noise is what a network can take away best, and the only artifact that is new for every patch at no cost.
    augmentation = Augmentation(
        quarter_turns=True, residual_range=(0.0, 1.2), fresh_noise_share=0.6, fresh_noise_range=(0.0, 0.05)
    )
    architecture = PYRAMID
    # One patch of 256 pixels a step, a whole slice, learned next to nothing: a step needs several artifacts.
    patch_size, batch_size = 128, 4
    shares_prior = True
    intended_use = "Research only, not for diagnosis. MR magnitude images with noise, motion and other artifacts."
    limits = (
        "Trained on artifacts simulated from magnitude images of one coil; parallel imaging makes others.",
        "Strong motion cannot be undone from one image: what is lost in k-space is guessed.",
        "Six other patients, brains above all; one slice at a time.",
    )

    def clean_slices(self, folder: Path) -> Iterator[CleanSlice]:
        """MR slices in the acquisition's plane, and others of nearly isotropic scans."""
        return mr_slices(folder)

    def degrade(self, clean: CleanSlice, realisation: int, intensity: Intensity | None = None) -> DegradedSlice:
        """The slice with a mixture of its own; its volume's intensities are taken under the same mixture."""
        seed = self.seed(clean, realisation)
        pixels = clean.pixels
        drawn = mixture.random_mixture(pixels.shape, np.random.default_rng(seed), not clean.validation)
        if intensity is None:
            companions = [one * np.float32(clean.step) for one in clean.companions]
            degraded = [drawn.apply(one, seed + 1 + place) for place, one in enumerate(companions)]
            intensity = intensity_of_slices(degraded)
        return DegradedSlice(pixels, drawn.apply(pixels, seed), intensity, drawn.as_dict())

    def mended(self, degraded: np.ndarray) -> np.ndarray:
        """Without spikes, ghosts and missing lines, as far as the engine finds them in k-space."""
        return without_kspace_artifacts(degraded).pixels

    def degradation_card(self) -> dict:
        """Each artifact's share and strength."""
        return {
            "method": "simulated in k-space from magnitude images with a smooth phase; single coil",
            "clean_share": mixture.CLEAN_SHARE,
            "motion": {
                "share": mixture.MOTION_SHARE,
                "largest_rotation_degrees": motion.LARGEST_ROTATION_DEGREES,
                "largest_translation_pixels": motion.LARGEST_TRANSLATION_PIXELS,
                "strength_range": list(mixture.MOTION_STRENGTH_RANGE),
                "still_centre_share": motion.STILL_CENTRE_SHARE,
            },
            "ghosting": {
                "share": mixture.GHOSTING_SHARE,
                "depth_range": list(ghosting.DEPTH_RANGE),
                "period_range_lines": list(ghosting.PERIOD_RANGE_LINES),
            },
            "bias_field": {
                "share": mixture.BIAS_SHARE,
                "largest_log_gain_range": list(bias_field.LARGEST_LOG_GAIN_RANGE),
            },
            "spikes": {
                "share": mixture.SPIKES_SHARE,
                "amplitude_share_range": list(spikes.AMPLITUDE_SHARE_RANGE),
            },
            "undersampling": {
                "share": mixture.UNDERSAMPLING_SHARE,
                "acceleration_range": list(undersampling.ACCELERATION_RANGE),
                "centre_share_range": list(undersampling.CENTRE_SHARE_RANGE),
            },
            "noise": {"share": mixture.NOISE_SHARE, "share_of_bright_tissue": list(mixture.NOISE_SHARE_RANGE)},
            "undone_before_the_network": "spikes, ghosts and missing lines, as far as they are found in k-space",
            "artifact_scaled_by": list(self.augmentation.residual_range),
            "further_noise": {
                "share": self.augmentation.fresh_noise_share,
                "share_of_the_foregrounds_range": list(self.augmentation.fresh_noise_range),
            },
        }

"""Training of ct-denoise: CT slices at a fraction of their dose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ..degradation.ct import (
    ELECTRONIC_NOISE_PHOTONS,
    FULL_DOSE_PHOTONS,
    KERNELS,
    VIEW_COUNT,
    WATER_ATTENUATION_PER_MM,
    dose_noises,
)
from ..restoration.intensity import Intensity, ct_intensity
from ..restoration.tasks import TASKS
from .clean_slices import CleanSlice, ct_slices
from .inserted_lesions import LesionKind
from .recorrupted import SHARE_RANGE
from .training_task import PYRAMID, Augmentation, DegradedSlice, TrainingTask

DOSE_RANGE = (0.1, 0.5)
RECORRUPTED_DOSE_RANGE = (0.05, 0.5)
RECORRUPTED_STRETCH = (0.0, 1.5)  # from no noise added
# Every fifth slice is simulated in projections, streaks and all, and has a prior: that takes fifty times as long as the
# rest.  The others get their noise in the patch.
SIMULATED_EVERY = 5
LOWER_DOSE_SHARE = 0.5
HUBER_SCALE = 0.05  # 50 HU: the targets' noise counts by its square, streaks and metal do not
VALIDATION_DOSE = 0.25
# 3 to 15 mm across at the usual 0.7 mm a pixel.
LESIONS = LesionKind(share=0.5, most=4, radius_pixels=(2.0, 11.0), edge_pixels=(0.5, 1.5), contrast=(10.0, 120.0))

LIMITS = (
    "Trained on simulated noise of a parallel-beam scanner; other noise may be removed less well.",
    "Few patients; rare anatomy, metal and contrast phases are hardly covered.",
)


class DoseTask(TrainingTask):
    """Tube current drawn from 10 to 50 %, its logarithm evenly; kernel drawn from smooth, standard and sharp.

    Args:
        context: 1 for pairs with the slices beside theirs and a network that takes them.
        recorrupts: train without bias (recorrupted.py), from no noise added to a twentieth of the dose; else towards
            the scans as they are, noise and all.
    """

    task = TASKS["ct-denoise"]
    stored = ct_intensity()  # pairs are stored in HU
    loss_unit = ("hu", 1000.0)
    # No quarter turns: patients lie, so the starved rays and their streaks run along the rows, and the network is to
    # know that.  Stretching the noise stretches the range of doses.  It gets the texture of many kernels and of spectra
    # that no kernel here has: the clean slices have noise of their own, and a network that can tell it from ours learns
    # to leave it.  Then it leaves real noise, too, that of lung kernels above all (docs/METHOD.md).
    # Noise is added to the scan, so that a lesion adds the same to both; it would change the variance by 2 % at most.
    augmentation = Augmentation(
        quarter_turns=False,
        residual_range=(0.2, 2.0),
        texture_blur_pixels=0.9,
        texture_sharpening=4.0,
        foreign_texture_share=0.4,
        lesions=LESIONS,
    )
    patch_size, batch_size = 128, 2
    intended_use = "Research only, not for diagnosis. Axial CT in HU, tube current 10 to 50 % of a usual scan's."

    def __init__(self, context: int = 0, recorrupts: bool = False) -> None:
        self._dose_range = DOSE_RANGE
        if recorrupts:
            self._dose_range, self.huber_scale = RECORRUPTED_DOSE_RANGE, HUBER_SCALE
            self.augmentation = replace(
                self.augmentation,
                residual_range=RECORRUPTED_STRETCH,
                recorrupts=True,
                lower_dose_share=LOWER_DOSE_SHARE,
                lowest_dose=RECORRUPTED_DOSE_RANGE[0],
                turns_noise_over=True,
            )
        self.architecture = replace(PYRAMID, context=context)
        seen = "A slice with the two beside it" if context else "One slice at a time"
        self.limits = (*LIMITS, f"{seen}: consistency between slices is not enforced.")

    def clean_slices(self, folder: Path) -> Iterator[CleanSlice]:
        """Axial CT slices."""
        return ct_slices(folder, with_neighbours=self.architecture.context > 0)

    def has_prior(self, clean: CleanSlice) -> bool:
        """Where the dose is simulated."""
        return self._is_simulated(clean)

    def _is_simulated(self, clean: CleanSlice) -> bool:
        return not self.augmentation.recorrupts or clean.validation or self.seed(clean, 0) % SIMULATED_EVERY == 0

    def degrade(self, clean: CleanSlice, realisation: int, intensity: Intensity | None = None) -> DegradedSlice:
        """The slice at a lower dose; validation slices always at a quarter, standard kernel."""
        if not self._is_simulated(clean):
            return DegradedSlice(clean.pixels, clean.pixels, ct_intensity(), {"dose": 1.0})
        seed = self.seed(clean, realisation)
        dose, kernel = VALIDATION_DOSE, "standard"
        if not clean.validation:
            random = np.random.default_rng(seed)
            dose = float(np.exp(random.uniform(*np.log(self._dose_range))))
            kernel = str(random.choice(list(KERNELS)))
        # The neighbours' noise is that of this slice drawn again: over a few millimetres its strength hardly changes.
        planes = np.stack([clean.pixels, *clean.neighbour_pixels])
        seeds = [seed, *(self.seed(clean, realisation, place) for place in range(len(planes) - 1))]
        noisy = planes + dose_noises(clean.pixels, clean.pixel_size_mm[0], dose, seeds, kernel)
        recipe = {"dose": dose, "kernel": kernel}
        return DegradedSlice(clean.pixels, noisy[0], ct_intensity(), recipe, noisy[1:] if clean.neighbours else None)

    def degradation_card(self) -> dict:
        """Geometry, photons, kernels and range of doses."""
        return {
            "method": "binomial thinning of photon counts, electronic noise, filtered back-projection of the noise",
            "geometry": f"parallel beam, {VIEW_COUNT} views over 180 degrees, detector pitch of one pixel",
            "dose_range": list(self._dose_range),
            **(self._recorruption_card() if self.augmentation.recorrupts else {}),
            "noise_stretched_by": list(self.augmentation.residual_range),
            "noise_blurred_by_pixels": [0.0, self.augmentation.texture_blur_pixels],
            "noise_sharpened_by": [0.0, self.augmentation.texture_sharpening],
            "share_with_noise_of_a_foreign_spectrum": self.augmentation.foreign_texture_share,
            "inserted_lesions": {
                key: list(value) if isinstance(value, tuple) else value for key, value in asdict(LESIONS).items()
            },
            **({"neighbours": asdict(self.augmentation.neighbours)} if self.architecture.context else {}),
            "full_dose_photons": FULL_DOSE_PHOTONS,
            "electronic_noise_photons": ELECTRONIC_NOISE_PHOTONS,
            "water_attenuation_per_mm": WATER_ATTENUATION_PER_MM,
            "kernels": {name: list(values) for name, values in KERNELS.items()},
            "validation_dose": VALIDATION_DOSE,
        }

    def _recorruption_card(self) -> dict:
        return {
            "targets": "recorrupted-to-recorrupted: scan less noise of its own SD and texture",
            "share_of_that_noise_in_the_input": list(SHARE_RANGE),
            "dose_simulated_for_one_slice_in": SIMULATED_EVERY,
            "share_with_own_noise_of_a_lower_dose": self.augmentation.lower_dose_share,
        }

"""Mixtures of artifacts, in the order in which a scanner would add them.

The patient, whose magnetisation has a smooth phase, moves under the coil's gain; the signal pulsates; a spark strikes;
the receiver adds its noise; lines that are left out stay zero; the magnitude is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from .bias_field import LARGEST_LOG_GAIN_RANGE, bias_field, random_coefficients, smooth_polynomial
from .ghosting import Pulsation, pulsating, random_pulsation
from .kspace import bright_tissue, to_image
from .motion import RigidPose, random_poses, spectrum_in_motion
from .noise import complex_noise
from .spikes import Spike, random_spikes, with_spikes
from .undersampling import random_lines, undersampled

CLEAN_SHARE = 0.1  # of the mixtures: the network must learn to leave clean slices alone
# How often each artifact is part of a mixture that is not clean.
MOTION_SHARE, GHOSTING_SHARE, BIAS_SHARE = 0.4, 0.25, 0.25
SPIKES_SHARE, UNDERSAMPLING_SHARE, NOISE_SHARE = 0.15, 0.25, 0.5
MOTION_STRENGTH_RANGE = (0.25, 1.0)
NOISE_SHARE_RANGE = (0.005, 0.04)
LARGEST_PHASE_RADIANS = 1.0
TISSUE_SHARE = 0.1  # of the bright tissue: what is darker counts as air where the bias field is centred


@dataclass(frozen=True)
class ArtifactMixture:
    """What went wrong in one acquisition; it may be applied to every slice of a volume.

    Attributes:
        shape: (rows, columns) of the slices it is for.
        phase_along_columns: whether phase encoding runs along the columns' axis instead of the rows'.
        poses: of the patient; empty without motion.
        pulsation: None without ghosts.
        bias: coefficients and largest logarithm of the gain; None without.
        spikes: empty without.
        measured: phase-encoding lines, (lines,) bool; None where all are.
        noise_share: standard deviation of the noise in each channel over the slice's bright tissue.
        phase: coefficients of the smooth phase of the magnetisation, in radians.
    """

    shape: tuple[int, int]
    phase_along_columns: bool = False
    poses: list[RigidPose] = field(default_factory=list)
    pulsation: Pulsation | None = None
    bias: tuple[np.ndarray, float] | None = None
    spikes: list[Spike] = field(default_factory=list)
    measured: np.ndarray | None = None
    noise_share: float = 0.0
    phase: np.ndarray | None = None

    @property
    def is_clean(self) -> bool:
        """Whether it leaves slices as they are."""
        return not (self.poses or self.pulsation or self.bias or self.spikes or self.lacks_lines or self.noise_share)

    @property
    def lacks_lines(self) -> bool:
        """Whether lines of k-space were left out."""
        return self.measured is not None and not self.measured.all()

    def apply(self, slice_values: np.ndarray, seed: int) -> np.ndarray:
        """Degrade a slice.

        Args:
            slice_values: (rows, columns) magnitude.
            seed: of the noise.

        Returns:
            (rows, columns) float32 magnitude in the slice's units.

        Raises:
            ValueError: a slice of another shape.
        """
        if slice_values.shape != self.shape:
            raise ValueError(f"the mixture is for slices of {self.shape} pixels, not {slice_values.shape}")
        if self.is_clean:
            return slice_values.astype(np.float32)
        values = slice_values.astype(np.float64)
        bright, gain = bright_tissue(slice_values), None
        if self.bias is not None:
            gain = bias_field(slice_values > TISSUE_SHARE * bright, *self.bias)
        if self.phase is not None:
            values = values * np.exp(1j * smooth_polynomial(self.shape, self.phase))
        if self.phase_along_columns:
            values, gain = values.T, gain.T if gain is not None else None
        spectrum = spectrum_in_motion(values, self.poses, gain)
        if self.pulsation is not None:
            spectrum = pulsating(spectrum, self.pulsation)
        spectrum = with_spikes(spectrum, self.spikes, bright)
        spectrum += complex_noise(spectrum.shape, self.noise_share * bright, np.random.default_rng(seed))
        if self.measured is not None:
            spectrum = undersampled(spectrum, self.measured)
        magnitude = np.abs(to_image(spectrum)).astype(np.float32)
        return np.ascontiguousarray(magnitude.T) if self.phase_along_columns else magnitude

    def as_dict(self) -> dict:
        """Plain values, without arrays: which artifacts and how strong."""
        plain = {"noise_share": self.noise_share, "phase_along_columns": self.phase_along_columns}
        plain["poses"] = [asdict(pose) for pose in self.poses]
        plain["pulsation"] = asdict(self.pulsation) if self.pulsation else None
        plain["spikes"] = [asdict(spike) for spike in self.spikes]
        plain["largest_log_gain"] = self.bias[1] if self.bias else 0.0
        plain["measured_share"] = float(self.measured.mean()) if self.measured is not None else 1.0
        return plain


def random_mixture(shape: tuple[int, int], random: np.random.Generator, may_be_clean: bool = True) -> ArtifactMixture:
    """Draw what goes wrong with slices of (rows, columns); now and then nothing, where ``may_be_clean``."""

    def occurs(share: float) -> bool:
        return random.random() < share

    if may_be_clean and occurs(CLEAN_SHARE):
        return ArtifactMixture(shape)
    phase = random_coefficients(random)
    phase *= random.uniform(0.0, LARGEST_PHASE_RADIANS) / np.abs(phase).sum()
    drawn = ArtifactMixture(shape)
    while drawn.is_clean:
        along_columns = occurs(0.5)
        encoded = shape[::-1] if along_columns else shape
        strength, log_gain, noise_share = (
            float(random.uniform(*bounds))
            for bounds in (MOTION_STRENGTH_RANGE, LARGEST_LOG_GAIN_RANGE, NOISE_SHARE_RANGE)
        )
        drawn = ArtifactMixture(
            shape,
            along_columns,
            poses=random_poses(encoded[0], strength, random) if occurs(MOTION_SHARE) else [],
            pulsation=random_pulsation(random) if occurs(GHOSTING_SHARE) else None,
            bias=(random_coefficients(random), log_gain) if occurs(BIAS_SHARE) else None,
            spikes=random_spikes(encoded, random) if occurs(SPIKES_SHARE) else [],
            measured=random_lines(encoded[0], random) if occurs(UNDERSAMPLING_SHARE) else None,
            noise_share=noise_share if occurs(NOISE_SHARE) else 0.0,
            phase=phase,
        )
    return drawn

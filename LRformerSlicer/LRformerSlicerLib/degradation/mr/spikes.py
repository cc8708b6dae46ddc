"""Spikes: single samples of k-space with far too much energy, from sparks in the scanner.

A sample of height A at the frequencies (k, l) adds A / sqrt(n m) exp(2 pi i (k y / n + l x / m)) to the image: stripes
all over the slice (herringbone).
Source: Heiland, American Journal of Neuroradiology 29 (2008) 1440.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COUNT_RANGE = (1, 4)
AMPLITUDE_SHARE_RANGE = (0.02, 0.1)
SMALLEST_RADIUS_SHARE = 0.1  # of the way to the edge of k-space: nearer the stripes are mere shading


@dataclass(frozen=True)
class Spike:
    """One bad sample.

    Attributes:
        frequency: cycles per field of view along rows' and columns' index.
        amplitude_share: height of the stripes over the slice's bright tissue.
        phase: in radians.
    """

    frequency: tuple[int, int]
    amplitude_share: float
    phase: float


def random_spikes(shape: tuple[int, int], random: np.random.Generator) -> list[Spike]:
    """One to three spikes away from the centre of k-space."""
    spikes = []
    for _ in range(random.integers(*COUNT_RANGE)):
        radius, angle = random.uniform(SMALLEST_RADIUS_SHARE, 0.95), random.uniform(0.0, 2.0 * np.pi)
        frequency = (int(radius * np.cos(angle) * shape[0] / 2), int(radius * np.sin(angle) * shape[1] / 2))
        share = float(random.uniform(*AMPLITUDE_SHARE_RANGE))
        spikes.append(Spike(frequency, share, float(random.uniform(0.0, 2.0 * np.pi))))
    return spikes


def with_spikes(spectrum: np.ndarray, spikes: list[Spike], bright: float) -> np.ndarray:
    """A centred (rows, columns) spectrum with the spikes; ``bright`` is the slice's bright tissue, in its units."""
    struck = spectrum.copy()
    rows, columns = spectrum.shape
    for spike in spikes:
        height = spike.amplitude_share * bright * np.sqrt(spectrum.size) * np.exp(1j * spike.phase)
        struck[rows // 2 + spike.frequency[0], columns // 2 + spike.frequency[1]] += height
    return struck

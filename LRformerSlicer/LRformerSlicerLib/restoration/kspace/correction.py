"""What of MR artifacts is undone in k-space before the network sees a slice: spikes, ghosts, missing lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_dilation

from ...prior.foreground import body_mask
from .ghosts import Ghosts, find_ghosts, ghosts_in_air, measured_ghosts, noise_variance, without_ghosts
from .missing_lines import LineLevels, explanations
from .spikes import BRIGHT_PERCENTILE, without_spikes
from .weighted_lines import half_spectrum_length, misfit, unweighted, weighted

# Clean slices of the training scans reach an evidence of 10; mixtures with missing lines 35 to 570.
LEAST_EVIDENCE = 25.0
LEAST_GHOST_EVIDENCE = 1.25  # clean slices reach 1.24
MOST_MISFIT = 1.25  # of an explanation over that of a slice that lacks nothing; worse ones are wrong, however likely
TRIED_SMOOTHNESS, SMOOTHNESS = 2e-3, 1e-3
SMOOTHNESS_OF_NOISE = 0.1  # more, in shares of the noise's SD
TRIED_STEPS, STEPS = 10, 40
TRIED_EXPLANATIONS = 4
LEAST_DIFFERENCE = 0.03  # mean, of the weights of two explanations that are worth trying both
MARGIN_PIXELS = 2
SMALLEST_SIDE = 48
SMALLEST_BODY_SHARE, LARGEST_BODY_SHARE = 0.1, 0.95


@dataclass(frozen=True)
class Correction:
    """A slice and what was undone in it.

    Attributes:
        pixels: (H, W) float32; None where only the rest is of interest.
        spikes: samples of k-space that were subtracted.
        ghosts: whether copies of the body were.
        missing_lines: lines of k-space that were filled in.
    """

    pixels: np.ndarray | None
    spikes: int = 0
    ghosts: bool = False
    missing_lines: int = 0


def corrections_in_words(corrections: Iterable[Correction], slice_count: int) -> list[str]:
    """What was undone in a volume of so many slices: a sentence for each kind of artifact that was found."""
    found = list(corrections)
    counts = {
        "Stripes from spikes in k-space were taken out of": sum(one.spikes > 0 for one in found),
        "Ghosts along phase encoding were taken out of": sum(one.ghosts for one in found),
        "Lines of k-space that had not been measured were filled in, from where the body ends, in": sum(
            one.missing_lines > 0 for one in found
        ),
    }
    return [f"{words} {count} of {slice_count} slices." for words, count in counts.items() if count]


def without_kspace_artifacts(pixels: np.ndarray) -> Correction:
    """A magnitude slice (H, W) without spikes, ghosts and the aliasing of missing lines, as far as they are found.

    Where nothing is found the slice keeps every bit of its float32 values, which must be finite.
    """
    image, spikes = without_spikes(pixels)
    if min(image.shape) < SMALLEST_SIDE:
        return Correction(image, spikes)
    body = body_mask(image, "MR")
    bright = float(np.percentile(image, BRIGHT_PERCENTILE))
    if not SMALLEST_BODY_SHARE <= body.mean() <= LARGEST_BODY_SHARE or bright <= 0:
        return Correction(image, spikes)
    found = [_line_artifacts(*turned) for turned in ((image / bright, body), (image.T / bright, body.T))]
    axis = int(np.argmax([artifacts.evidence for artifacts in found]))
    artifacts = found[axis]
    if not artifacts.any:
        return Correction(image, spikes)
    mended = (artifacts.mended if axis == 0 else artifacts.mended.T) * bright
    return Correction(mended.astype(np.float32), spikes, artifacts.ghosts is not None, artifacts.missing_lines)


@dataclass(frozen=True)
class _LineArtifacts:
    """Ghosts and missing lines along the rows of a slice."""

    pixels: np.ndarray
    body: np.ndarray
    ghosts: Ghosts | None
    levels: LineLevels | None

    @property
    def any(self) -> bool:
        return self.ghosts is not None or self.levels is not None

    @property
    def evidence(self) -> float:
        of_ghosts = self.ghosts.evidence if self.ghosts else 0.0
        return of_ghosts + (self.levels.evidence / LEAST_EVIDENCE if self.levels else 0.0)

    @property
    def missing_lines(self) -> int:
        return round(2.0 * float(np.sum(1.0 - self.levels.weights))) if self.levels else 0

    @cached_property
    def mended(self) -> np.ndarray:
        """The slice without them, (rows, columns)."""
        if self.levels is None:
            inside = without_ghosts(self.pixels, self.body, self.ghosts)
            folded = ghosts_in_air(self.pixels, inside, self.body, self.ghosts)
        else:
            weights = self.levels.weights
            if self.ghosts is not None:
                weights = weights * self.ghosts.weights(len(self.pixels))
            smoothness = SMOOTHNESS + SMOOTHNESS_OF_NOISE * noise_variance(self.pixels, self.body) ** 0.5
            inside = unweighted(self.pixels, self.body, weights, smoothness, STEPS)
            folded = weighted(inside, weights) - inside
            if self.ghosts is not None:
                folded = np.hypot(folded, ghosts_in_air(self.pixels, inside, self.body, self.ghosts))
        return np.where(self.body, np.maximum(inside, 0.0), _magnitude_without(self.pixels, folded))


def _line_artifacts(pixels: np.ndarray, body: np.ndarray) -> _LineArtifacts:
    body = binary_dilation(body, iterations=MARGIN_PIXELS)
    ghosts = find_ghosts(pixels, body)
    if ghosts.evidence >= LEAST_GHOST_EVIDENCE:
        ghosts = measured_ghosts(pixels, body, ghosts)
        body = _without_ghosts_of_it(pixels, body, ghosts)
        ghosts = measured_ghosts(pixels, body, ghosts)
        only_ghosts = _LineArtifacts(pixels, body, ghosts, None)
        levels = _levels(only_ghosts.mended, body)
        return only_ghosts if levels is None else replace(only_ghosts, levels=levels)
    levels = _levels(pixels, body)
    if levels is None:
        return _LineArtifacts(pixels, body, None, None)
    # What folded in because of missing lines may have covered ghosts.
    filled = unweighted(pixels, body, levels.weights, TRIED_SMOOTHNESS, TRIED_STEPS)
    ghosts = find_ghosts(filled, body, air_is_shown=False)
    found = ghosts.evidence >= LEAST_GHOST_EVIDENCE
    return _LineArtifacts(pixels, body, measured_ghosts(filled, body, ghosts) if found else None, levels)


def _without_ghosts_of_it(pixels: np.ndarray, body: np.ndarray, ghosts: Ghosts) -> np.ndarray:
    """A body that bright ghosts beside it had been taken for a part of."""
    inside = without_ghosts(pixels, body, ghosts)
    own = body_mask(_magnitude_without(pixels, ghosts_in_air(pixels, inside, body, ghosts)), "MR")
    return body & binary_dilation(own, iterations=MARGIN_PIXELS) if own.mean() >= SMALLEST_BODY_SHARE else body


def _magnitude_without(pixels: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """In the air the magnitudes of what folded there and of what was there add as squares."""
    return np.sqrt(np.maximum(pixels**2 - folded**2, 0.0))


def _levels(pixels: np.ndarray, body: np.ndarray) -> LineLevels | None:
    """The likeliest explanation of missing lines that also fits the image; None where all were measured."""
    candidates: list[LineLevels] = []
    for levels in explanations(pixels):
        if levels.evidence < LEAST_EVIDENCE or len(candidates) == TRIED_EXPLANATIONS:
            break
        if all(np.abs(levels.weights - one.weights).mean() > LEAST_DIFFERENCE for one in candidates):
            candidates.append(levels)
    if not candidates:
        return None

    def misfit_of(weights: np.ndarray) -> float:
        image = unweighted(pixels, body, weights, TRIED_SMOOTHNESS, TRIED_STEPS)
        return misfit(pixels, body, weights, image, TRIED_SMOOTHNESS)

    most = MOST_MISFIT * misfit_of(np.ones(half_spectrum_length(len(pixels))))
    return next((levels for levels in candidates if misfit_of(levels.weights) <= most), None)

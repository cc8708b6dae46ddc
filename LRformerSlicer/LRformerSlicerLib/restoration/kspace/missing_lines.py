"""Which lines of k-space a magnitude image lacks: undersampling, seen in the energy of the lines.

Of a line k that was not measured, but whose mirror image -k was, half of the amplitude is left in the (nearly real)
magnitude image; where neither was, next to nothing.  Against a smooth fall of the energy from the centre to the edge of
k-space the lines therefore have three levels.  They are told apart by expectation maximisation for several shares of
measured lines: its square, twice its product with the rest, and the square of the rest are how often the levels occur.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.special import logsumexp

from .weighted_lines import half_spectrum_length

# Energies are taken in bands of the frequency along the line, in cycles a pixel.
BANDS_CYCLES_PER_PIXEL = ((0.01, 0.08), (0.08, 0.2), (0.2, 0.35))
FLOOR_SHARE = 1e-10  # of the largest power: less is rounding
TINY = 1e-30
CENTRE_SHARE = 0.06  # of all lines, on each side of zero: always measured
KNOT_COUNT = 6  # of the fall of the energy, evenly in the root of the frequency
RIDGE = 1e-2

MEASURED_SHARES = (0.85, 0.72, 0.62, 0.52, 0.44, 0.36)
# Logarithm of a full line's energy over that of a half one.  It would be 1.4; smooth phase lets neighbours leak in.
HALF_DROPS = (0.65, 0.95, 1.25)
NEITHER_OVER_HALF = 2.5  # the drop where neither line was measured, over that
LEVEL_SPREADS = (1.0, 1.6, 3.5)  # SD of each level over that of full lines
USUAL_SD, USUAL_SD_WEIGHT = 0.2, 20.0  # of full lines; clean slices have 0.1 to 0.3
SD_RANGE = (0.1, 0.6)
ITERATIONS = 15

# Where the 5 lines before exceed every later one by this (logarithm), k-space was zero-filled.
STEP_LINES, STEP_DROP = 5, 1.0
FIRST_STEP_SHARE = 0.1  # of all lines: nearer to the centre the energy falls as steeply by itself
FEWEST_LINES = 24
# Median difference of a line from the mean of its two neighbours.  Clean slices of the training scans have up to 0.16,
# where the energy falls unevenly, as it does at the edge of a filter, 0.08; lines missing at random make 0.2 to 1.3.
LEAST_ROUGHNESS = 0.18


@dataclass(frozen=True)
class LineLevels:
    """One way to explain the energies of the lines.

    Attributes:
        weights: (rows // 2 + 1,) expected weight of every line and its mirror image: 1, 1/2 or 0 where it is sure.
        evidence: how much better (logarithm) it explains them than that all lines were measured.
    """

    weights: np.ndarray
    evidence: float


def line_energies(pixels: np.ndarray) -> np.ndarray:
    """Logarithm of the energy of the lines 1, 2, ... of (rows, columns) pixels: (bands, rows // 2 - 1)."""
    rows, columns = pixels.shape
    along = np.abs(np.fft.fftfreq(columns))
    power = np.abs(np.fft.fft2(pixels)) ** 2
    floor = FLOOR_SHARE * power.max()
    power = power[1 : rows // 2]
    bands = [power[:, (along >= low) & (along < high)].mean(axis=1) for low, high in BANDS_CYCLES_PER_PIXEL]
    return np.log(np.maximum(np.stack(bands), floor) + TINY)


def explanations(pixels: np.ndarray) -> list[LineLevels]:
    """How lines along the rows of a magnitude image may be missing, the likeliest explanation first.

    Args:
        pixels: (rows, columns).

    Returns:
        Empty where the slice has too few lines to tell, or their energy changes smoothly.
    """
    rows = pixels.shape[0]
    energies = line_energies(pixels)
    energies = energies[:, : _measured_end(energies)]
    count = energies.shape[1]
    centre = np.arange(1, count + 1) <= CENTRE_SHARE * rows
    hardly_any = count and np.ptp(energies[:, ~centre]) == 0.0  # all at the floor: the same from row to row
    if count < FEWEST_LINES or hardly_any or _roughness(energies[:, ~centre]) < LEAST_ROUGHNESS:
        return []
    fit = _LevelFit(energies, centre)
    _, all_measured = fit.run(1.0, HALF_DROPS[0])
    found = []
    for share in MEASURED_SHARES:
        for drop in HALF_DROPS:
            levels, likelihood = fit.run(share, drop)
            weights = np.ones(half_spectrum_length(rows))
            weights[1 : count + 1] = levels[0] + 0.5 * levels[1]
            found.append(LineLevels(weights, likelihood - all_measured))
    return sorted(found, key=lambda levels: -levels.evidence)


def _roughness(energies: np.ndarray) -> float:
    """How much a line's energy usually differs from the mean of its two neighbours'."""
    level = energies.mean(axis=0)
    return float(np.median(np.abs(level[1:-1] - (level[:-2] + level[2:]) / 2.0)))


def _measured_end(energies: np.ndarray) -> int:
    """Number of lines before zero-filling: where the energy steps down for good."""
    level = energies.mean(axis=0)
    for line in range(max(STEP_LINES, round(2 * FIRST_STEP_SHARE * len(level))), len(level)):
        if level[line - STEP_LINES : line].min() - level[line:].max() > STEP_DROP:
            return line
    return len(level)


class _LevelFit:
    """Expectation maximisation of the three levels against a smooth fall of the energy.

    Args:
        energies: (bands, lines).
        centre: (lines,) bool, those that are certainly measured.
    """

    def __init__(self, energies: np.ndarray, centre: np.ndarray) -> None:
        self._energies, self._centre = energies, centre
        self._basis = _spline_basis(energies.shape[1])
        self._products = np.einsum("li,lj->lij", self._basis, self._basis)
        smooth = self._basis @ np.linalg.lstsq(self._basis, energies.T, rcond=None)[0]
        self._deviation = (energies - smooth.T).mean(axis=0)

    def run(self, measured_share: float, half_drop: float) -> tuple[np.ndarray, float]:
        """(3, lines) probabilities of the levels full, half, neither, and the logarithm of the likelihood."""
        energies, outer = self._energies, ~self._centre
        rest = 1.0 - measured_share
        shares = np.clip([measured_share**2, 2 * measured_share * rest, rest**2], 1e-3, 1.0)
        shares /= shares.sum()
        levels = -half_drop * np.array([0.0, 1.0, NEITHER_OVER_HALF])
        spreads = np.array(LEVEL_SPREADS)
        upper, lower = np.quantile(self._deviation[outer], [1 - shares[0], shares[2]])
        full = (self._deviation >= upper) | self._centre
        neither = (self._deviation < lower) & outer
        belief = np.stack([full, ~full & ~neither, neither]).astype(float)
        deviations = np.full(len(energies), 0.3)
        for _ in range(ITERATIONS):
            trust = belief / spreads[:, None] ** 2
            matrix = np.tensordot(trust.sum(axis=0) + 1e-4, self._products, (0, 0)) + RIDGE * np.eye(len(self._basis.T))
            lifted = (trust[:, None] * (energies - levels[:, None, None])).sum(axis=0)
            residuals = energies - (self._basis @ np.linalg.solve(matrix, self._basis.T @ lifted.T)).T
            squares = (trust[:, None] * (residuals - levels[:, None, None]) ** 2).sum(axis=(0, 2))
            deviations = np.sqrt(
                (USUAL_SD_WEIGHT * USUAL_SD**2 + squares) / (USUAL_SD_WEIGHT + energies.shape[1])
            ).clip(*SD_RANGE)
            scales = spreads[:, None, None] * deviations[:, None]
            errors = (residuals - levels[:, None, None]) / scales
            logarithms = (-0.5 * errors**2 - np.log(scales)).sum(axis=1) + np.log(shares)[:, None]
            logarithms[1:, self._centre] = -1e9
            total = logsumexp(logarithms, axis=0)
            belief = np.exp(logarithms - total)
        prior = -USUAL_SD_WEIGHT * (np.log(deviations) + 0.5 * (USUAL_SD / deviations) ** 2).sum()
        return belief, float(total.sum() + prior)


def _spline_basis(count: int) -> np.ndarray:
    """(count, functions) cubic B-splines over the lines 1 to count, finer near the centre."""
    place = np.sqrt(np.arange(1, count + 1))
    inner = np.linspace(place[0], place[-1], KNOT_COUNT)
    knots = np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])
    return BSpline.design_matrix(np.clip(place, knots[0], knots[-1] - 1e-9), knots, 3).toarray()

"""Does a map of uncertainty know where the errors are?  Rank correlation, sparsification, coverage, and a fit.

Sparsification: leave out the pixels called most uncertain, a share at a time; the mean error of the rest falls, at best
as if the errors themselves had been known (the oracle).  AUSE is the area between the two curves, both relative to the
mean error of all pixels.  A constant map leaves pixels out at random and its curve stays at 1.
Source: Ilg et al., ECCV 2018.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

SHARES_LEFT_OUT = np.linspace(0.0, 0.98, 50)
NEWTON_STEPS = 60


def spearman(uncertainty: np.ndarray, error: np.ndarray) -> float:
    """Rank correlation of a map with the absolute errors, both flat; 0 for a constant map."""
    ranks = [rankdata(values) for values in (uncertainty, error)]
    ranks = [values - values.mean() for values in ranks]
    scale = np.sqrt(np.square(ranks[0]).sum() * np.square(ranks[1]).sum())
    return float((ranks[0] * ranks[1]).sum() / scale) if scale > 0 else 0.0


def sparsification_curve(uncertainty: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Mean error of what is left at each of SHARES_LEFT_OUT, over the mean error of all; both inputs flat.

    Where a map cannot tell pixels apart, chance decides (fixed seed).
    """
    chance = np.random.default_rng(0).permutation(len(error))
    certain_first = chance[np.argsort(uncertainty[chance], kind="stable")]
    means = np.cumsum(error[certain_first], dtype=np.float64) / np.arange(1, len(error) + 1)
    left = np.maximum(np.round((1.0 - SHARES_LEFT_OUT) * len(error)).astype(int), 1)
    return means[left - 1] / means[-1]


def ause(uncertainty: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """The area between the map's curve and the oracle's, and that area over a constant map's."""
    oracle = sparsification_curve(error, error)
    area = float(np.mean(sparsification_curve(uncertainty, error) - oracle))
    return area, area / float(np.mean(1.0 - oracle))


def power_law(features: np.ndarray, error: np.ndarray) -> tuple[float, np.ndarray]:
    """Factor f and exponents a, (K,), for which f * prod(features^a) is the mean of ``error``.

    The maximum of the likelihood of exponentially distributed errors, which needs nothing but the mean to be right.

    Args:
        features: (N, K), above zero.
        error: (N,), not negative.
    """
    columns = np.column_stack([np.ones(len(features)), np.log(features)])
    coefficients = np.linalg.lstsq(columns, np.log(error + error.mean() * 0.1), rcond=None)[0]
    for _ in range(NEWTON_STEPS):
        ratio = error / np.exp(columns @ coefficients)
        curvature = (columns * ratio[:, None]).T @ columns + 1e-9 * len(error) * np.eye(columns.shape[1])
        step = np.linalg.solve(curvature, columns.T @ (1.0 - ratio))
        coefficients = coefficients - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-8:
            break
    return float(np.exp(coefficients[0])), coefficients[1:]


def interval_factor(expected: np.ndarray, error: np.ndarray, coverage: float) -> float:
    """How many expected errors an interval has to reach from zero to hold this share of the errors; both flat."""
    return float(np.quantile(error / expected, coverage))

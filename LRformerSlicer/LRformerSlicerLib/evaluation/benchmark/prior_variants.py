"""What a network may be given in the place of the prior, to see what the prior is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...training.pair_cache import PRIOR_STEPS
from ...training.patches import Pair

RANDOM_CELL_PIXELS = 16  # the random prior is as coarse as structures are


def _random(pair: Pair) -> np.ndarray:
    """Blobs that know nothing of the slice; the same for every slice of a size would be a constant, so by its name."""
    random = np.random.default_rng(list(pair.name.encode()))
    rows, columns = pair.body.shape
    cells = random.integers(0, PRIOR_STEPS + 1, (2, -(-rows // RANDOM_CELL_PIXELS), -(-columns // RANDOM_CELL_PIXELS)))
    fine = cells.repeat(RANDOM_CELL_PIXELS, 1).repeat(RANDOM_CELL_PIXELS, 2)[:, :rows, :columns]
    return fine.astype(np.uint8)


def _body(pair: Pair) -> np.ndarray:
    mask = pair.body.astype(np.uint8) * PRIOR_STEPS
    return np.stack([mask, np.zeros_like(mask)])


def _mean_of_both(pair: Pair) -> np.ndarray:
    mean = np.rint(pair.prior.mean(axis=0)).astype(np.uint8)
    return np.stack([mean, mean])


def _consistency_only(pair: Pair) -> np.ndarray:
    return np.stack([pair.prior[0], np.zeros_like(pair.prior[0])])


def _discrepancy_only(pair: Pair) -> np.ndarray:
    return np.stack([np.zeros_like(pair.prior[1]), pair.prior[1]])


PRIOR_VARIANTS: dict[str, Callable[[Pair], np.ndarray]] = {
    "C and D": lambda pair: pair.prior,
    "none": lambda pair: np.zeros_like(pair.prior),
    "random": _random,
    "body mask": _body,
    "U only": _mean_of_both,
    "C only": _consistency_only,
    "D only": _discrepancy_only,
}


def with_prior_variant(pair: Pair, variant: str) -> Pair:
    """The pair with another (2, H, W) prior; ``variant`` is a key of ``PRIOR_VARIANTS``."""
    return replace(pair, prior=PRIOR_VARIANTS[variant](pair))

"""What a prior knows of the clean slice that the degraded slice does not tell by itself.

A network that sees the degraded slice can only gain from a prior by what is not in that slice already.  Measured on
edges, where restorations differ: the logarithm of the clean slice's gradient magnitude is predicted by least squares
from the degraded slice's own gradients at several scales, from the prior's maps and their gradients, and from both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ...restoration.tasks import task_named
from ...training.pair_cache import PRIOR_STEPS, prior_of_slice
from ..mr_quality import TEST_SCANS, degrade_scan, load_scans
from .prior_variants import PRIOR_VARIANTS
from .same_budget import judged_slices

MARGIN_PIXELS = 8
"""Left out along the body's edge: every prior knows that one."""
CLEAN_GRADIENT_SD, OWN_GRADIENT_SDS, PRIOR_SDS = 1.0, (1.0, 2.0, 4.0), (0.5, 3.0)
PIXELS_A_SLICE = 20_000
MR_SLICES_A_SCAN = 2
VARIANTS = ("C and D", "body mask", "random")


@dataclass(frozen=True)
class Information:
    """Shares of the variance of the clean slice's logarithmic gradient, inside the body.

    Attributes:
        own: that the degraded slice explains.
        alone: that the prior explains.
        added: that both explain beyond ``own``.
    """

    own: float
    alone: float
    added: float


def information(degraded: np.ndarray, clean: np.ndarray, prior: np.ndarray, body: np.ndarray) -> Information | None:
    """What a prior adds to one slice; None where too little lies inside the body.

    Args:
        degraded, clean: (H, W) float in the same units.
        prior: (maps, H, W) in [0, 1].
        body: (H, W) bool.
    """
    inside = ndimage.binary_erosion(body, iterations=MARGIN_PIXELS)
    places = np.flatnonzero(inside)
    if len(places) < PIXELS_A_SLICE // 10:
        return None
    places = np.random.default_rng(0).permutation(places)[:PIXELS_A_SLICE]

    def gradient(plane: np.ndarray, sd: float, unit: float) -> np.ndarray:
        magnitude = ndimage.gaussian_gradient_magnitude(plane.astype(np.float64), sd).ravel()[places]
        return np.log(magnitude + unit)

    unit = 1e-3 * float(np.ptp(clean[body]))  # keeps the logarithm of nothing finite
    wanted = gradient(clean, CLEAN_GRADIENT_SD, unit)
    own = [gradient(degraded, sd, unit) for sd in OWN_GRADIENT_SDS]
    alone = [ndimage.gaussian_filter(one.astype(np.float64), sd).ravel()[places] for one in prior for sd in PRIOR_SDS]
    alone += [gradient(one, sd, 1e-2) for one in prior for sd in PRIOR_SDS]
    by_own, by_prior, by_both = (_explained(given, wanted) for given in (own, alone, own + alone))
    return Information(by_own, by_prior, by_both - by_own)


def _explained(given: list[np.ndarray], wanted: np.ndarray) -> float:
    """Share of the variance that a linear fit explains."""
    design = np.column_stack([np.ones(len(wanted)), *given])
    left = wanted - design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    return float(1.0 - left.var() / wanted.var())


def evaluate_prior_information(data: Path) -> dict:
    """Means over the test slices of CT at a quarter dose and of MR with artifacts, for RLPP and two stand-ins.

    Returns:
        {"rows": [{"task", "prior", "slices", "own", "alone", "added"}, ...]}.

    Raises:
        UserError: the scans are missing.
    """
    from ...training.patches import Pair

    ct = [one.pair for one in judged_slices(data) if one.label is None]
    mr = []
    for seed, scan in enumerate(load_scans(Path(data) / "test", TEST_SCANS, MR_SLICES_A_SCAN, 1)):
        for one in degrade_scan(scan, task_named("mr-artifact"), seed, mixtures=1):
            for place, name in enumerate(scan.names):
                prior = prior_of_slice(one.volume[place], scan.bodies[place], scan.intensity)
                mr.append(Pair(name, scan.slices[place], one.volume[place], prior, scan.bodies[place]))
    rows = []
    for task, pairs in (("ct-denoise", ct), ("mr-artifact", mr)):
        for variant in VARIANTS:
            found = [
                information(pair.degraded, pair.clean, PRIOR_VARIANTS[variant](pair) / PRIOR_STEPS, pair.body)
                for pair in pairs
            ]
            found = [one for one in found if one is not None]
            means = {
                name: round(float(np.mean([getattr(one, name) for one in found])), 4)
                for name in ("own", "alone", "added")
            }
            rows.append({"task": task, "prior": variant, "slices": len(found), **means})
    return {"rows": rows}

"""How much of the noise that real scans have is taken away: no noise is added, no reference is needed.

The figure is the SD in flat soft tissue: the 15th percentile of the SDs of 7 x 7 pixels around the places whose local
mean in the given slice is 20 to 140 HU.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..degradation.scan_noise import local_mean_and_sd
from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.engine import RestorationOptions, Restorer
from .fidelity.residual_anatomy import noise_like, residual_at_edges
from .quality import bootstrap_interval
from .unbiased_ct import TEST_FOLDERS, ct_scans, restored, scan_slices

FLAT_HU = (20.0, 140.0)
FLAT_PERCENTILE = 15.0
FEWEST_PLACES = 500
SLICES_A_SCAN = 1

Shown = Callable[[str, np.ndarray, np.ndarray], None]


def flat_places(given: np.ndarray, body: np.ndarray) -> np.ndarray:
    """(H, W) bool: the body's places whose local mean in HU is that of soft tissue."""
    mean, _ = local_mean_and_sd(given)
    return body & (mean > FLAT_HU[0]) & (mean < FLAT_HU[1])


def flat_sd(pixels: np.ndarray, places: np.ndarray) -> float:
    """SD in HU of a slice (H, W) where it is flattest among these places."""
    return float(np.percentile(local_mean_and_sd(pixels)[1][places], FLAT_PERCENTILE))


def evaluate_noise_as_it_is(
    data: Path, options: RestorationOptions, show: Shown | None = None, slices_a_scan: int = SLICES_A_SCAN
) -> dict:
    """Noise in flat soft tissue before and after, of every CT scan in ``data/test`` and ``data/test_only``.

    Args:
        data: folder of test/ and, where there is one, test_only/.
        options: of the model.
        show: is shown the name, the slice and what was made of it.
        slices_a_scan: at most; from the middle half of each scan.

    Returns:
        {"slices": by slice {"name", "before", "after", "at_edges", "at_edges_noise"}, "mean_reduction",
        "mean_reduction_interval": of the share that went}; at_edges as in the part real-noise.

    Raises:
        UserError: there are no scans.
    """
    files = ct_scans(Path(data) / name for name in TEST_FOLDERS)
    if not files:
        raise UserError(f"There are no ct_*.nii.gz scans in {data}/test: name the folder of test/.")
    restorer, rows = Restorer(), []
    for name, given, like in (one for file in files for one in scan_slices(file, slices_a_scan)):
        body = body_mask(given, "CT")
        places = flat_places(given, body)
        if places.sum() < FEWEST_PLACES:
            continue
        made = restored(restorer, given, like, options)
        residual = np.where(body, made - given, 0.0)
        rows.append(
            {
                "name": name,
                "before": round(flat_sd(given, places), 2),
                "after": round(flat_sd(made, places), 2),
                "at_edges": round(residual_at_edges(residual, made, body)[0], 3),
                "at_edges_noise": round(residual_at_edges(noise_like(residual, body), made, body)[0], 3),
            }
        )
        if show:
            show(name, given, made)
    gone = [1.0 - row["after"] / row["before"] for row in rows]
    return {
        "prior": f"{options.prior}, T = {options.samples}",
        "slices": rows,
        "mean_reduction": round(float(np.mean(gone)), 3),
        "mean_reduction_interval": [round(bound, 3) for bound in bootstrap_interval(gone)],
    }

"""What slices of context give: networks trained for the same time with and without neighbours, judged in a volume.

The test slices of a quarter dose are single ones, so the volume is a training scan that these trainings do not see.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...network.lrformer import LRformerArchitecture
from ...prior.foreground import body_mask
from ...training.ct_dose import DoseTask
from ...training.pair_cache import PairJob, fill_pair_cache, pair_file_name
from ...training.patches import Pair, load_pairs
from ..quality import JudgedSlice
from .same_budget import OUR_ROW, BudgetRow, Judged, judged_liver, train_and_judge

HELD_OUT_SCAN = "ct_chest_rider"
SLICE_STEP = 3
"""Every how many of its slices one is judged."""
WITHHELD = "neighbours withheld"


def context_rows(architecture: LRformerArchitecture) -> list[BudgetRow]:
    """A network without neighbours, with two seeds to see what chance does, and one with a neighbour each side."""
    return [
        BudgetRow(f"{OUR_ROW}, a slice alone", architecture),
        BudgetRow(f"{OUR_ROW}, a slice alone, another seed", architecture, seed=1),
        BudgetRow(f"{OUR_ROW}, a neighbour each side", replace(architecture, context=1)),
    ]


def judged_in_volume(data: Path, cache: Path) -> list[Judged]:
    """Slices of the held-out scan at a quarter dose, standard kernel, with their neighbours; made once in ``cache``."""
    task, cache = DoseTask(context=1), Path(cache)
    # A validation slice is degraded so, whatever its name.
    slices = [
        replace(one, validation=True)
        for one in task.clean_slices(Path(data) / "train")
        if one.name.startswith(HELD_OUT_SCAN) and one.neighbours
    ][::SLICE_STEP]
    jobs = [PairJob(task, one, 0, cache / pair_file_name(one.name, 0)) for one in slices]
    _, pairs = load_pairs(fill_pair_cache(jobs, 2), task)
    return [Judged(pair, _judged_slice(pair)) for pair in pairs]


def evaluate_context(
    data: Path,
    pairs: list[Pair],
    cache: Path,
    folder: Path,
    budget_seconds: float,
    device: torch.device,
) -> dict:
    """Train and judge.

    Args:
        data: folder of train/ and test/.
        pairs: of ct-denoise; those of the held-out scan are left out.
        cache: folder for the pairs to judge.
        folder: for the trainings, kept between runs.
        budget_seconds: of each training.
        device: to train on.

    Returns:
        {"held_out", "judged": names, "rows": see ``same_budget.train_and_judge``, "training_pairs",
        "with_neighbours": so many of them}; the last row is that of the neighbours, but with these withheld.
    """
    training = [pair for pair in pairs if not pair.name.startswith(HELD_OUT_SCAN)]
    slices = judged_in_volume(data, cache) + judged_liver(data)
    withheld = [replace(one, pair=replace(one.pair, degraded_neighbours=None)) for one in slices]
    rows = []
    for row in context_rows(DoseTask().architecture):
        found = train_and_judge(row, training, slices, folder, budget_seconds, device, {WITHHELD: withheld})
        further = found.pop("further")
        rows.append(found)
    rows.append({**rows[-1], **further[WITHHELD], "name": f"the same, {WITHHELD}"})
    names = [one.pair.name for one in slices if one.label is None]
    with_neighbours = sum(pair.degraded_neighbours is not None for pair in training)
    return {
        "held_out": HELD_OUT_SCAN,
        "judged": names,
        "rows": rows,
        "training_pairs": len(training),
        "with_neighbours": with_neighbours,
    }


def _judged_slice(pair: Pair) -> JudgedSlice:
    clean, degraded = (pixels.astype(np.float32) for pixels in (pair.clean, pair.degraded))
    return JudgedSlice(pair.name, clean, degraded, body_mask(clean, "CT"))

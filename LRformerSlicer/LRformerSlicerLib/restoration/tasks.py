"""The restoration tasks, and which of them fits a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .intensity import CT_SOFT_TISSUE_WINDOW_HU
from .slow_part import SlowPart

AIR_HU = -200
"""Nothing but air, lung and bowel gas lies below this in CT; MR magnitudes are not negative."""


@dataclass(frozen=True)
class Task:
    """One degradation that a network removes.

    `metrics_window` is in the units that `intensity` makes comparable: HU for CT, normalised intensity for MR.
    `slow_part`: what of a slice's low frequencies stays as it is, its `noise_sd` in `unit`; None where they, too, are
    to be restored.
    `weak_change`: where what would change has no more than this RMS, in `unit`, half of it or less is done.
    `mends_kspace`: whether spikes, ghosts and missing lines of k-space are undone before the network sees a slice.
    """

    name: str
    modality: str
    scale: int
    metrics_window: tuple[float, float]
    unit: str
    slow_part: SlowPart | None = None
    weak_change: float = 0.0
    mends_kspace: bool = False


TASKS = {
    task.name: task
    for task in (
        # Chosen by the benchmark of quality, part left-alone.
        Task("ct-denoise", "CT", 1, CT_SOFT_TISSUE_WINDOW_HU, "HU", SlowPart(blur_mm=2.0, noise_sd=80.0)),
        Task("mr-sr2", "MR", 2, (0.0, 1.0), "of the foreground's range"),
        Task("mr-sr4", "MR", 4, (0.0, 1.0), "of the foreground's range"),
        Task("mr-artifact", "MR", 1, (0.0, 1.0), "of the foreground's range", weak_change=0.008, mends_kspace=True),
    )
}

DEFAULT_TASK = {"CT": "ct-denoise", "MR": "mr-artifact"}


def task_named(name: str) -> Task:
    """The task called `name`; UserError when there is none."""
    if name not in TASKS:
        raise UserError(f'There is no task "{name}": choose {", ".join(TASKS)} or auto.')
    return TASKS[name]


def detect_modality(values: np.ndarray, stated: str | None = None) -> tuple[str, str]:
    """CT or MR and the reason in words, from the stated modality or else from a sample of finite voxel values.

    Raises UserError where the stated modality is neither.
    """
    if stated:
        stated = stated.strip().upper()
        if stated in ("CT", "MR"):
            return stated, f"the modality is stated as {stated}"
        raise UserError(f"This is a volume of modality {stated}, but only CT and MR can be restored.")
    lowest, highest = float(values.min()), float(values.max())
    share_of_air = float(np.mean(values < AIR_HU))
    if share_of_air > 0.0005:
        return "CT", f"{100 * share_of_air:.1f} % of the voxels lie below {AIR_HU}, as only air does in CT"
    return "MR", f"the values run from {lowest:g} to {highest:g} without the air of a CT at -1000 HU"


def choose_task(requested: str, modality: str, modality_reason: str, model_task: str | None = None) -> tuple[Task, str]:
    """The task to do and why: the requested one, the given model's, or the modality's default.

    Raises UserError for an unknown task and for one made for the other modality.
    """
    if requested != "auto":
        task, reason = task_named(requested), "as requested"
    elif model_task is not None:
        task, reason = task_named(model_task), "the given model is made for it"
    else:
        task = TASKS[DEFAULT_TASK[modality]]
        reason = f"{modality} volume: {modality_reason}"
    if task.modality != modality:
        fitting = ", ".join(other.name for other in TASKS.values() if other.modality == modality)
        scale_note = " in Hounsfield units" if task.modality == "CT" else ""
        raise UserError(
            f"The task {task.name} is for {task.modality}{scale_note}, but this volume is {modality} "
            f"({modality_reason}): choose {fitting} or auto."
        )
    return task, reason

"""The restoration tasks, and which of them fits a modality."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UserError
from .intensity import CT_SOFT_TISSUE_WINDOW_HU
from .slow_part import SlowPart


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


def choose_task(
    requested: str, modality: str, modality_reason: str, model_task: str | None = None, is_certain: bool = True
) -> tuple[Task, str]:
    """The task to do and why: the requested one, the given model's, or the modality's default.

    Where the modality is not certain, the task that was asked for decides it. Raises UserError for an unknown task and
    for one made for the other modality, if that is certain.
    """
    if requested != "auto":
        task, reason = task_named(requested), "as requested"
    elif model_task is not None:
        task, reason = task_named(model_task), "the given model is made for it"
    else:
        task = TASKS[DEFAULT_TASK[modality]]
        reason = f"{modality} volume: {modality_reason}"
    if task.modality != modality and is_certain:
        fitting = ", ".join(other.name for other in TASKS.values() if other.modality == modality)
        scale_note = " in Hounsfield units" if task.modality == "CT" else ""
        raise UserError(
            f"The task {task.name} is for {task.modality}{scale_note}, but this volume is {modality} "
            f"({modality_reason}): choose {fitting} or auto, or overrule it with --modality {task.modality}."
        )
    return task, reason

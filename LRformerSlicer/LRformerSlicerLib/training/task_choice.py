"""The training task by its name."""

from __future__ import annotations

from ..errors import UserError
from ..restoration.tasks import TASKS
from .ct_dose import DoseTask
from .mr_artifacts import ArtifactTask
from .mr_resolution import ResolutionTask
from .training_task import TrainingTask


def training_task(name: str, context: int = 0, recorrupts: bool = False) -> TrainingTask:
    """The task to train for, with so many neighbours on each side of a slice.

    Args:
        name: of the task.
        context: neighbours on each side.
        recorrupts: whether targets are recorrupted scans; ct-denoise without neighbours alone.

    Raises:
        UserError: an unknown name, or neighbours or recorrupted targets for a task whose pairs have none.
    """
    if recorrupts and name in TASKS and (context or name != "ct-denoise"):
        raise UserError("Recorrupted targets are for ct-denoise without neighbours: leave out --targets or --context.")
    if context and name != "ct-denoise" and name in TASKS:
        raise UserError(f"The training pairs of {name} have no neighbours: leave out --context.")
    if name == "ct-denoise":
        return DoseTask(context, recorrupts)
    if name in ("mr-sr2", "mr-sr4"):
        return ResolutionTask(name)
    if name == "mr-artifact":
        return ArtifactTask()
    raise UserError(f'There is no task "{name}" to train for: choose {", ".join(TASKS)}.')

"""The training task by its name."""

from __future__ import annotations

from ..errors import UserError
from ..restoration.tasks import TASKS
from .ct_dose import DoseTask
from .mr_artifacts import ArtifactTask
from .mr_resolution import ResolutionTask
from .training_task import TrainingTask


def training_task(name: str, context: int = 0) -> TrainingTask:
    """The task to train for, with so many neighbours on each side of a slice.

    Raises:
        UserError: an unknown name, or neighbours for a task whose pairs have none.
    """
    if context and name != "ct-denoise" and name in TASKS:
        raise UserError(f"The training pairs of {name} have no neighbours: leave out --context.")
    if name == "ct-denoise":
        return DoseTask(context)
    if name in ("mr-sr2", "mr-sr4"):
        return ResolutionTask(name)
    if name == "mr-artifact":
        return ArtifactTask()
    raise UserError(f'There is no task "{name}" to train for: choose {", ".join(TASKS)}.')

"""The training task by its name."""

from __future__ import annotations

from ..errors import UserError
from ..restoration.tasks import TASKS
from .ct_dose import DoseTask
from .mr_artifacts import ArtifactTask
from .mr_resolution import ResolutionTask
from .training_task import TrainingTask


def training_task(name: str) -> TrainingTask:
    """The task to train for; UserError for an unknown name."""
    if name == "ct-denoise":
        return DoseTask()
    if name in ("mr-sr2", "mr-sr4"):
        return ResolutionTask(name)
    if name == "mr-artifact":
        return ArtifactTask()
    raise UserError(f'There is no task "{name}" to train for: choose {", ".join(TASKS)}.')

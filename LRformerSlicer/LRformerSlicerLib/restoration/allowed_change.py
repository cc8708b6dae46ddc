"""What of a network's change a task lets through: one rule for the engine and for the benchmark that chose it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .slow_part import without_slow_part
from .tasks import Task
from .weak_change import without_weak_change


def allowed_change(
    change: np.ndarray, body: np.ndarray, task: Task, unit: float, pixel_size_mm: tuple[float, float]
) -> np.ndarray:
    """A change without its slow part and where it is weak, as far as the task leaves these alone.

    Args:
        change: restored minus original, (H, W).
        body: (H, W) bool; what lies outside neither counts nor is touched.
        task: whose ``slow_part`` and ``weak_change`` hold.
        unit: of the change, in the task's unit.
        pixel_size_mm: along rows' and columns' index.

    Returns:
        (H, W) float32.
    """
    if task.slow_part is not None:
        part = replace(task.slow_part, noise_sd=task.slow_part.noise_sd / unit)
        change = without_slow_part(change, body, part, pixel_size_mm)
    return without_weak_change(change, body, task.weak_change / unit, pixel_size_mm)

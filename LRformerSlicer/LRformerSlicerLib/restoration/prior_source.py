"""The prior of a batch of slices, from whichever backbone was asked for and in whatever memory there is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..errors import is_out_of_memory
from .models import ModelStore
from .options import RestorationOptions

Box = tuple[float, float, float, float]


class PriorSource:
    """Consistency and discrepancy maps for slices; zeros without a backbone or without a box.

    When the device runs out of memory slices go one at a time, then on the CPU, and `warn` is told.
    """

    def __init__(
        self, store: ModelStore, options: RestorationOptions, device: torch.device, warn: Callable[[str], None]
    ) -> None:
        self._store, self._options, self._device, self._warn = store, options, device, warn
        self._one_at_a_time = False
        self.backbone = None
        self._producer = None
        if options.prior != "none":
            self._build(device)

    def produce(self, slices: np.ndarray, boxes: list[Box | None]) -> tuple[np.ndarray, np.ndarray]:
        """Consistency and discrepancy, each float32 (B, H, W) in [0, 1], of window-normalised slices (B, H, W).

        A slice whose box is None shows nothing to segment and gets zeros.
        """
        consistency, discrepancy = np.zeros((2, *slices.shape), dtype=np.float32)
        prompted = [index for index, box in enumerate(boxes) if box is not None]
        if self._producer is None or not prompted:
            return consistency, discrepancy
        corners = np.array([boxes[index] for index in prompted], dtype=np.float32)
        maps = self._produce_in_memory(np.ascontiguousarray(slices[prompted]), corners)
        consistency[prompted], discrepancy[prompted] = maps
        return consistency, discrepancy

    def _build(self, device: torch.device) -> None:
        from ..prior.rlpp import ReliablePriorProducer

        options = self._options
        self.backbone = self._store.backbone(options.prior, options.medsam_checkpoint, device)
        self._producer = ReliablePriorProducer(self.backbone, samples=options.samples, seed=options.seed)

    def _produce_in_memory(self, slices: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        while True:
            try:
                size = 1 if self._one_at_a_time else len(slices)
                parts = [
                    self._producer.produce(slices[first : first + size], boxes[first : first + size])
                    for first in range(0, len(slices), size)
                ]
                return (
                    np.concatenate([part.consistency for part in parts]),
                    np.concatenate([part.discrepancy for part in parts]),
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or (self._one_at_a_time and self._device.type == "cpu"):
                    raise
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            if not self._one_at_a_time and len(slices) > 1:
                self._one_at_a_time = True
            elif self._device.type == "cpu":
                self._one_at_a_time = True
            else:
                self._warn(f"Memory ran out on {self._device.type} for the prior: the CPU makes it, more slowly.")
                self._device = torch.device("cpu")
                self._build(self._device)

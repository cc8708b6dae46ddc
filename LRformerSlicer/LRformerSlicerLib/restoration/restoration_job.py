"""Restoring the slices of a volume under their prior, and writing them into a volume like it."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import torch

from ..degradation.mr.resolution import with_measured_centre
from ..errors import UserError
from .allowed_change import allowed_change
from .expected_error import error_model_of, expected_error_of, no_expected_error
from .intensity import to_voxel_type, value_limits
from .kspace.correction import Correction, corrections_in_words, without_kspace_artifacts
from .metrics import noise_sd
from .models import ModelStore, shipped_model
from .prior_job import Clock, PriorJob
from .result import RestorationResult
from .self_ensemble import restored_by_ensemble
from .slicing import neighbour_stack
from .super_resolution import check_memory, interpolate_slice
from .tasks import choose_task
from .tiling import TiledNetwork
from .volume import fill_non_finite

NOISE_SLICES = 5

EXPECTED_ERROR_TYPE = np.float16
"""Of normalised intensity: three digits are more than the map knows, in half of the memory."""


class RestorationJob(PriorJob):
    stage = "restore"

    def _prepare(self, store: ModelStore) -> None:
        options, volume = self.options, self.volume
        loaded, network = None, None
        with Clock(self.seconds, "load"):
            if options.model is not None:
                loaded, network = store.network(options.model, None if options.task == "auto" else options.task)
        self.task, self.task_reason = choose_task(
            options.task, self.modality, self.modality_reason, loaded.task if loaded else None
        )
        check_memory(volume.image, volume.plane, self.task.scale, volume.dtype.itemsize)
        self.model_path = options.model
        with Clock(self.seconds, "load"):
            if loaded is None:
                self.model_path = shipped_model(self.task.name)
                loaded, network = store.network(self.model_path, self.task.name)
        if network.scale != self.task.scale:
            raise UserError(
                f"The model enlarges {network.scale} times, but {self.task.name} needs {self.task.scale}: "
                "choose another model."
            )
        self.loaded = loaded
        self.error_model = error_model_of(loaded.card)
        if options.expected_error_needed and self.error_model is None:
            raise UserError(no_expected_error(self.model_path))
        self.network = TiledNetwork(network, self.device, self.warn)
        self.context = network.context
        self.limits = value_limits(self.modality, volume.dtype, volume.lowest, volume.highest)
        self.seconds["network"] = 0.0
        self.precision: dict = {}

    def run(self, indices: range) -> RestorationResult:
        """Restore these slices."""
        self._first = indices.start
        self._noise_at = set(np.linspace(indices.start, indices.stop - 1, NOISE_SLICES).astype(int).tolist())
        self._noise: list[tuple[float, float]] = []
        self.corrections: dict[int, Correction] = {}
        self.restored = np.empty(self._array_shape(indices, self.task.scale), dtype=self.volume.dtype)
        self.expected: np.ndarray | None = None
        if self.options.expected_error and self.error_model is not None:
            self.seconds["expected_error"] = 0.0
            self.expected = np.zeros(self.restored.shape, dtype=EXPECTED_ERROR_TYPE)
        consistency, discrepancy = self._make_maps(indices)
        for sentence in corrections_in_words(self.corrections.values(), len(indices)):
            self.warn(sentence)
        return RestorationResult(
            self.volume,
            self._report(indices),
            consistency,
            discrepancy,
            indices.start,
            restored_array=self.restored,
            task=self.task,
            intensity=self.intensity,
            mask_of=self.mask_of,
            error_model=self.error_model,
            expected_error_array=self.expected,
        )

    def _use(self, batch: list[int], pixels: list, masks: list, consistency: np.ndarray, discrepancy: np.ndarray):
        weights = [self._weight(index, mask) for index, mask in zip(batch, masks, strict=True)]
        wanted = [place for place, weight in enumerate(weights) if np.any(weight)]
        answers: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if wanted:
            stacks = np.stack([self._network_input(batch[place]) for place in wanted])
            maps = np.stack([consistency[wanted], discrepancy[wanted]], axis=1)
            with Clock(self.seconds, "network"):
                outputs = self._answer(stacks, maps)
            self._judge_precision(stacks, maps)
            if not np.isfinite(outputs).all():
                raise UserError("The model gives values that are not numbers: choose another model.")
            answers = {
                place: (
                    self.intensity.normalise(pixels[place]),
                    self._kept(stack[self.context], output, masks[place]),
                )
                for place, stack, output in zip(wanted, stacks, outputs, strict=True)
            }
        targets = self.volume.plane.view(self.restored)
        for place, index in enumerate(batch):
            target = targets[index - self._first]
            if self.task.scale == 1:
                self._write_same_grid(target, index, pixels[place], weights[place], answers.get(place))
                self._measure_noise(index, pixels[place], target, masks[place])
            else:
                self._write_finer_grid(target, index, pixels[place], weights[place], answers.get(place))
            if self.expected is not None:
                with Clock(self.seconds, "expected_error"):
                    self._expect_error(index, pixels[place], target, masks[place])

    def _answer(self, stacks: np.ndarray, maps: np.ndarray) -> np.ndarray:
        if self.options.self_ensemble:
            return restored_by_ensemble(self.network, stacks, maps)
        return self.network(stacks, maps)

    def _kept(self, before: np.ndarray, after: np.ndarray, body: np.ndarray) -> np.ndarray:
        """The network's answer with what the task leaves alone, (H, W) normalised intensities as both given."""
        if self.task.slow_part is None and not self.task.weak_change:
            return after
        # Of the tasks' units HU are not what the network works in, shares of the foreground's range are.
        unit = self.intensity.unit if self.modality == "CT" else 1.0
        return before + allowed_change(after - before, body, self.task, unit, self.volume.pixel_size_mm)

    def _expect_error(self, index: int, original: np.ndarray, restored: np.ndarray, body: np.ndarray) -> None:
        if self.task.scale > 1:
            original = interpolate_slice(original, self.task.scale)
            body = self.mask_of(original)
        expected = expected_error_of(
            self.error_model,
            original,
            fill_non_finite(restored)[0],
            body,
            tuple(step / self.task.scale for step in self.volume.pixel_size_mm),
            self.intensity,
        )
        if self.options.only_roi:  # nothing was restored outside: that map would tell of the scan itself
            reached = self.region.weight(index) > 0
            expected = np.where(reached.repeat(self.task.scale, 0).repeat(self.task.scale, 1), expected, 0.0)
        self.volume.plane.view(self.expected)[index - self._first] = expected

    def _weight(self, index: int, mask: np.ndarray) -> np.ndarray:
        """How much of the network's answer each pixel takes: strength, region and, in CT, the body."""
        weight = np.full(mask.shape, self.options.strength, dtype=np.float32)
        if self.options.only_roi:
            weight *= self.region.weight(index)
        if self.modality == "CT":
            weight *= mask
        return weight

    def _network_input(self, index: int) -> np.ndarray:
        stack = [fill_non_finite(one)[0] for one in neighbour_stack(self.volume.slices, index, self.context)]
        if self.task.mends_kspace:
            corrections = [without_kspace_artifacts(one) for one in stack]
            self.corrections[index] = replace(corrections[self.context], pixels=None)
            stack = [correction.pixels for correction in corrections]
        return np.stack([self.intensity.normalise(one) for one in stack])

    def _write_same_grid(
        self,
        target: np.ndarray,
        index: int,
        pixels: np.ndarray,
        weight: np.ndarray,
        answer: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:
        """Add the weighted change that the network makes; every pixel it does not reach keeps its bits."""
        original = self.volume.slices[index]
        target[...] = original
        if answer is None:
            return
        before, after = answer
        change = (after.astype(np.float64) - before) * self.intensity.unit
        reached = (weight > 0) & np.isfinite(original)
        values = pixels[reached] + weight[reached] * change[reached]
        target[reached] = to_voxel_type(values, self.volume.dtype, self.limits)

    def _write_finer_grid(
        self,
        target: np.ndarray,
        index: int,
        pixels: np.ndarray,
        weight: np.ndarray,
        answer: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:
        """The network's slice, blended with cubic B-spline interpolation where the weight is below 1.

        Of the network only the frequencies are taken that the scan did not measure.
        """
        factor = self.task.scale
        if answer is not None:
            answer = (answer[0], with_measured_centre(answer[1], answer[0], factor))
        if answer is not None and weight.min() >= 1.0:
            values = self.intensity.restore(answer[1])
        else:
            values = interpolate_slice(pixels, factor).astype(np.float64)
            if answer is not None:
                fine_weight = np.clip(interpolate_slice(weight, factor), 0.0, 1.0)
                values += fine_weight * (self.intensity.restore(answer[1]) - values)
        target[...] = to_voxel_type(values, self.volume.dtype, self.limits)
        original = self.volume.slices[index]
        bad = ~np.isfinite(original)
        if bad.any():
            repeat = np.ones((factor, factor), dtype=bool)
            fine_bad = np.kron(bad, repeat)
            target[fine_bad] = original.repeat(factor, 0).repeat(factor, 1)[fine_bad]

    def _measure_noise(self, index: int, before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> None:
        if index in self._noise_at and mask.any():
            self._noise.append((noise_sd(before, mask), noise_sd(fill_non_finite(after)[0], mask)))

    def _judge_precision(self, stacks: np.ndarray, maps: np.ndarray) -> None:
        """Once a job, what the reduced precision of CUDA costs."""
        if self.precision or self.network.precision is torch.float32:
            return
        name = str(self.network.precision).removeprefix("torch.")
        difference = self.network.difference_to_float32(stacks[:1], maps[:1]) * self.intensity.unit
        self.precision = {"autocast": name, "largest_difference_to_float32": difference, "of_slice": 1}

    def _report(self, indices: range) -> dict:
        report = super()._report(indices)
        sd = [float(value) for value in np.mean(self._noise, axis=0)] if self._noise else [None, None]
        return {
            "task": self.task.name,
            "task_reason": self.task_reason,
            "model": {
                "name": self.loaded.card.get("name", self.task.name),
                "sha256": self.loaded.sha256,
                "file": str(self.model_path),
            },
            **report,
            # The network may have gone on elsewhere after memory ran out.
            "device_at_end": self.network.device.type,
            "tile_pixels": self.network.tile,
            "precision": self.precision or {"autocast": None},
            "strength": self.options.strength,
            "only_roi": self.options.only_roi,
            "self_ensemble": self.options.self_ensemble,
            "kept_slow_part": asdict(self.task.slow_part) if self.task.slow_part else None,
            "weak_change": self.task.weak_change,
            "spikes_removed": sum(one.spikes for one in self.corrections.values()),
            "slices_with_ghosts": sum(one.ghosts for one in self.corrections.values()),
            "lines_filled": sum(one.missing_lines for one in self.corrections.values()),
            "noise_sd": {"before": sd[0], "after": sd[1]},
        }

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
from .shown_slices import ShownSlice
from .slicing import neighbour_indices
from .super_resolution import check_memory, interpolate_slice, repeated
from .tasks import choose_task
from .tiling import TiledNetwork

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
            options.task,
            self.modality,
            self.modality_reason,
            loaded.task if loaded else None,
            self._is_modality_certain,
        )
        if self.task.modality != self.modality:
            self.modality, self.modality_reason = self.task.modality, f"the task {self.task.name} is for it"
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
        self.seconds["network"] = 0.0
        self.precision: dict = {}

    def run(self, indices: range) -> RestorationResult:
        """Restore these slices."""
        self.limits = value_limits(self.modality, self.volume.dtype, self.shown.lowest, self.shown.highest)
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
            shown=self.shown,
            error_model=self.error_model,
            expected_error_array=self.expected,
        )

    def _use(
        self,
        batch: list[int],
        slices: list[ShownSlice],
        masks: list,
        consistency: np.ndarray,
        discrepancy: np.ndarray,
    ):
        weights = [self._weight(*one) for one in zip(batch, slices, masks, strict=True)]
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
                    self.intensity.normalise(slices[place].pixels),
                    self._kept(stack[self.context], output, masks[place]),
                )
                for place, stack, output in zip(wanted, stacks, outputs, strict=True)
            }
        targets = self.volume.plane.view(self.restored)
        for place, index in enumerate(batch):
            target, one = targets[index - self._first], slices[place]
            if self.task.scale == 1:
                self._write_same_grid(target, index, one, weights[place], answers.get(place))
                self._measure_noise(index, one, target, masks[place])
            else:
                self._write_finer_grid(target, index, one, weights[place], answers.get(place))
            if self.expected is not None:
                with Clock(self.seconds, "expected_error"):
                    self._expect_error(index, one, target, masks[place])

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

    def _expect_error(self, index: int, one: ShownSlice, restored: np.ndarray, body: np.ndarray) -> None:
        original, kept = one.pixels, one.kept
        if self.task.scale > 1:
            original = interpolate_slice(original, self.task.scale)
            body = self.mask_of(original)
            if one.padding is not None:
                body &= ~repeated(one.padding, self.task.scale)
            kept = None if kept is None else repeated(kept, self.task.scale)
        expected = expected_error_of(
            self.error_model,
            original,
            restored if kept is None else np.where(kept, original, restored),
            body,
            tuple(step / self.task.scale for step in self.volume.pixel_size_mm),
            self.intensity,
        )
        if self.options.only_roi:  # nothing was restored outside: that map would tell of the scan itself
            reached = self.region.weight(index) > 0
            expected = np.where(repeated(reached, self.task.scale), expected, 0.0)
        self.volume.plane.view(self.expected)[index - self._first] = expected

    def _weight(self, index: int, one: ShownSlice, mask: np.ndarray) -> np.ndarray:
        """How much of the network's answer each pixel takes: strength, region and, in CT, the body.

        On the same grid none where the slice keeps its values; the finer grid looks to that by itself.
        """
        weight = np.full(mask.shape, self.options.strength, dtype=np.float32)
        if self.options.only_roi:
            weight *= self.region.weight(index)
        if self.modality == "CT":
            weight *= mask
        if one.kept is not None and self.task.scale == 1:
            weight[one.kept] = 0.0
        return weight

    def _network_input(self, index: int) -> np.ndarray:
        stack = [self.shown[place].pixels for place in neighbour_indices(len(self.shown), index, self.context)]
        if self.task.mends_kspace:
            corrections = [without_kspace_artifacts(one) for one in stack]
            self.corrections[index] = replace(corrections[self.context], pixels=None)
            stack = [correction.pixels for correction in corrections]
        return np.stack([self.intensity.normalise(one) for one in stack])

    def _write_same_grid(
        self,
        target: np.ndarray,
        index: int,
        one: ShownSlice,
        weight: np.ndarray,
        answer: tuple[np.ndarray, np.ndarray] | None,
    ) -> None:
        """Add the weighted change that the network makes; every pixel it does not reach keeps its bits."""
        target[...] = self.volume.slices[index]
        if answer is None:
            return
        before, after = answer
        change = (after.astype(np.float64) - before) * self.intensity.unit
        reached = weight > 0
        values = one.pixels[reached] + weight[reached] * change[reached]
        target[reached] = to_voxel_type(values, self.volume.dtype, self.limits)

    def _write_finer_grid(
        self,
        target: np.ndarray,
        index: int,
        one: ShownSlice,
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
            values = interpolate_slice(one.pixels, factor).astype(np.float64)
            if answer is not None:
                fine_weight = np.clip(interpolate_slice(weight, factor), 0.0, 1.0)
                values += fine_weight * (self.intensity.restore(answer[1]) - values)
        target[...] = to_voxel_type(values, self.volume.dtype, self.limits)
        if one.kept is not None:
            target[...] = np.where(repeated(one.kept, factor), repeated(self.volume.slices[index], factor), target)

    def _measure_noise(self, index: int, before: ShownSlice, after: np.ndarray, mask: np.ndarray) -> None:
        if index in self._noise_at and mask.any():
            after = after if before.kept is None else np.where(before.kept, before.pixels, after)
            self._noise.append((noise_sd(before.pixels, mask), noise_sd(after, mask)))

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

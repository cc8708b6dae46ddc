"""One volume in, one restored volume out: the whole way of a restoration."""

from __future__ import annotations

import time

import numpy as np
import SimpleITK as sitk
import torch

from .. import __version__
from ..errors import UserError
from .intensity import Intensity, ct_intensity, mr_intensity, to_voxel_type, value_limits
from .metrics import noise_sd
from .models import PRIORS, ModelStore, choose_device, device_name, shipped_model
from .options import Progress, ProgressCallback, RestorationOptions, ignore
from .prior_source import Box, PriorSource
from .region import Region
from .result import PriorResult, RestorationResult, check_reference, quantise
from .slicing import neighbour_stack
from .super_resolution import check_memory, interpolate_slice
from .tasks import choose_task, detect_modality
from .tiling import TiledNetwork
from .volume import Volume, check_volume, fill_non_finite

__all__ = ["Progress", "PriorResult", "RestorationOptions", "RestorationResult", "Restorer"]

SLICES_AT_ONCE = {"cuda": 8}
FOREGROUND_SLICES = 24
NOISE_SLICES = 5


class Restorer:
    """Restores volumes; models and backbones stay loaded between jobs.

    Example::

        restorer = Restorer()
        result = restorer.restore(read_volume("scan.nii.gz"), RestorationOptions(task="ct-denoise"))
        write_volume(result.restored, "restored.nii.gz")
    """

    def __init__(self, store: ModelStore | None = None) -> None:
        self._store = store or ModelStore()

    def restore(
        self,
        image: sitk.Image,
        options: RestorationOptions,
        progress: ProgressCallback = ignore,
        modality: str | None = None,
        reference: sitk.Image | None = None,
    ) -> RestorationResult:
        """Restore a whole volume.

        `modality` (CT, MR) is what the caller knows, for instance from DICOM; else it is read from the image's
        metadata or from the values. With a `reference`, the report gets PSNR, SSIM and RMSE before and after.
        Raises UserError for whatever only the user can put right; the image is never changed.
        """
        volume = check_volume(image)
        job = _RestorationJob(self._store, volume, options, progress, modality)
        if reference is not None:
            check_reference(reference, volume, job.task)
        result = job.run(range(volume.slices.shape[0]))
        if reference is not None:
            result.compare(reference)
        return result

    def restore_slice(
        self,
        image: sitk.Image,
        options: RestorationOptions,
        slice_axis_index: int,
        progress: ProgressCallback = ignore,
        modality: str | None = None,
    ) -> RestorationResult:
        """Restore the acquisition-plane slice with this index alone; the result's images hold one slice.

        Numbers are those that `restore` gives for the slice.
        """
        volume = check_volume(image)
        count = volume.slices.shape[0]
        if not 0 <= slice_axis_index < count:
            raise UserError(f"There is no slice {slice_axis_index}: the volume has slices 0 to {count - 1}.")
        job = _RestorationJob(self._store, volume, options, progress, modality)
        return job.run(range(slice_axis_index, slice_axis_index + 1))

    def produce_prior(
        self,
        image: sitk.Image,
        options: RestorationOptions,
        progress: ProgressCallback = ignore,
        modality: str | None = None,
    ) -> PriorResult:
        """The prior of a whole volume, without restoring it."""
        if options.prior == "none":
            raise UserError("The prior none makes nothing: choose lite-medsam or medsam.")
        volume = check_volume(image)
        job = _Job(self._store, volume, options, progress, modality)
        return job.run(range(volume.slices.shape[0]))


class _Job:
    """What producing a prior and restoring have in common: checks, intensities, prompts, prior, progress."""

    stage = "prior"

    def __init__(
        self,
        store: ModelStore,
        volume: Volume,
        options: RestorationOptions,
        progress: ProgressCallback,
        modality: str | None,
    ) -> None:
        _check_options(options)
        self.volume, self.options, self._progress = volume, options, progress
        self._done, self._total = 0, 0
        self._loop_started: float | None = None
        self.seconds = {"load": 0.0, "prior": 0.0}
        self.warnings: list[str] = []
        self._boxes: dict[str, list[float]] = {}
        self._started = time.perf_counter()
        self.device = choose_device(options.device)
        self.modality, self.modality_reason = detect_modality(volume.sample, modality or volume.stated_modality)
        self.region = Region.of(options.roi_lps_mm, volume.image, volume.plane) if options.roi_lps_mm else None
        if options.only_roi and self.region is None:
            raise UserError("Restoring only a region needs the region: give a ROI.")
        self._prepare(store)
        self.intensity = self._find_intensity()
        if volume.non_finite:
            voxels = "voxel is" if volume.non_finite == 1 else "voxels are"
            self.warn(f"{volume.non_finite} {voxels} NaN or infinite: restored around and left as they are.")
        self._tell(0, None)
        with _Clock(self.seconds, "load"):
            self.prior_source = PriorSource(store, options, self.device, self.warn)

    def _prepare(self, store: ModelStore) -> None:
        """Checks and loading of the kind of job, before anything slow happens."""

    def run(self, indices: range) -> PriorResult:
        """The prior of these slices."""
        consistency, discrepancy = self._make_maps(indices)
        return PriorResult(self.volume, self._report(indices), consistency, discrepancy, indices.start)

    def _make_maps(self, indices: range) -> tuple[np.ndarray, np.ndarray]:
        """Go through the slices in batches; the maps as K, J, I arrays in uint16 steps."""
        consistency, discrepancy = (np.zeros(self._array_shape(indices, 1), dtype=np.uint16) for _ in range(2))
        consistency_slices = self.volume.plane.view(consistency)
        discrepancy_slices = self.volume.plane.view(discrepancy)
        size = SLICES_AT_ONCE.get(self.device.type, 1)
        self._total, self._loop_started = len(indices), time.perf_counter()
        for first in range(0, len(indices), size):
            batch = list(indices[first : first + size])
            places = slice(first, first + len(batch))
            pixels = [fill_non_finite(self.volume.slices[index])[0] for index in batch]
            masks = [self.mask_of(one) for one in pixels]
            with _Clock(self.seconds, "prior"):
                maps = self._prior_of(batch, pixels, masks)
            consistency_slices[places], discrepancy_slices[places] = (quantise(one) for one in maps)
            self._use(batch, pixels, masks, *maps)
            self._tell(places.stop, self._seconds_left(places.stop))
        return consistency, discrepancy

    def _use(self, batch: list[int], pixels: list, masks: list, consistency: np.ndarray, discrepancy: np.ndarray):
        """What is done with a batch once its prior is there."""

    def mask_of(self, pixels: np.ndarray) -> np.ndarray:
        """The body in a slice of finite pixels."""
        from ..prior.foreground import body_mask

        return body_mask(np.asarray(pixels, dtype=np.float32), self.modality)

    def warn(self, sentence: str) -> None:
        """Put a sentence into the report and pass it on at once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            self._progress(Progress(self.stage, self._done, self._total, None, sentence))

    def _prior_of(self, batch: list[int], pixels: list, masks: list) -> tuple[np.ndarray, np.ndarray]:
        boxes = [self._box(index, mask) for index, mask in zip(batch, masks, strict=True)]
        return self.prior_source.produce(np.stack([self.intensity.to_window(one) for one in pixels]), boxes)

    def _box(self, index: int, mask: np.ndarray) -> Box | None:
        from ..prior.foreground import body_box

        box = self.region.box(index) if self.region is not None else None
        if box is None and not self.options.only_roi:
            box = body_box(mask)
        if box is not None:
            self._boxes[str(index)] = [round(float(side), 1) for side in box]
        return box

    def _find_intensity(self) -> Intensity:
        if self.modality == "CT":
            return ct_intensity()
        slices = self.volume.slices
        chosen = np.unique(np.linspace(0, slices.shape[0] - 1, FOREGROUND_SLICES).astype(int))
        values = []
        for index in chosen:
            pixels = fill_non_finite(slices[index])[0]
            values.append(pixels[self.mask_of(pixels)])
        foreground = np.concatenate(values)
        return mr_intensity(foreground if foreground.size else self.volume.sample)

    def _array_shape(self, indices: range, factor: int) -> tuple[int, ...]:
        shape = list(self.volume.image.GetSize())
        for axis in self.volume.plane.in_plane_axes:
            shape[axis] *= factor
        shape[self.volume.plane.across_axis] = len(indices)
        return tuple(reversed(shape))

    def _tell(self, done: int, seconds_left: float | None) -> None:
        self._done = done
        self._progress(Progress(self.stage, done, self._total, seconds_left))

    def _seconds_left(self, done: int) -> float:
        return (time.perf_counter() - self._loop_started) / done * (self._total - done)

    def _report(self, indices: range) -> dict:
        """JSON-serialisable account of the job."""
        self.seconds["total"] = time.perf_counter() - self._started
        return {
            "version": __version__,
            "modality": self.modality,
            "modality_reason": self.modality_reason,
            "device": self.device.type,
            "device_name": device_name(self.device),
            "slices": len(indices),
            "slice_axis": "ijk"[self.volume.plane.across_axis],
            "prior": self._prior_report(),
            "intensity": {"zero": self.intensity.zero, "unit": self.intensity.unit},
            "non_finite_voxels": self.volume.non_finite,
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            "warnings": list(self.warnings),
        }

    def _prior_report(self) -> dict:
        if self.prior_source.backbone is None:
            return {"backbone": "none"}
        options = self.options
        return {
            "backbone": self.prior_source.backbone.name,
            "sha256": self.prior_source.backbone.sha256,
            "samples": options.samples,
            "seed": options.seed,
            "prompts": {
                "kind": "body box" if self.region is None else "ROI box",
                "roi_lps_mm": list(options.roi_lps_mm) if options.roi_lps_mm else None,
                "boxes_by_slice": self._boxes,
            },
        }


class _RestorationJob(_Job):
    stage = "restore"

    def _prepare(self, store: ModelStore) -> None:
        options, volume = self.options, self.volume
        loaded, network = None, None
        with _Clock(self.seconds, "load"):
            if options.model is not None:
                loaded, network = store.network(options.model, None if options.task == "auto" else options.task)
        self.task, self.task_reason = choose_task(
            options.task, self.modality, self.modality_reason, loaded.task if loaded else None
        )
        check_memory(volume.image, volume.plane, self.task.scale, volume.dtype.itemsize)
        self.model_path = options.model
        with _Clock(self.seconds, "load"):
            if loaded is None:
                self.model_path = shipped_model(self.task.name)
                loaded, network = store.network(self.model_path, self.task.name)
        if network.scale != self.task.scale:
            raise UserError(
                f"The model enlarges {network.scale} times, but {self.task.name} needs {self.task.scale}: "
                "choose another model."
            )
        self.loaded = loaded
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
        self.restored = np.empty(self._array_shape(indices, self.task.scale), dtype=self.volume.dtype)
        consistency, discrepancy = self._make_maps(indices)
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
        )

    def _use(self, batch: list[int], pixels: list, masks: list, consistency: np.ndarray, discrepancy: np.ndarray):
        weights = [self._weight(index, mask) for index, mask in zip(batch, masks, strict=True)]
        wanted = [place for place, weight in enumerate(weights) if np.any(weight)]
        answers: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        if wanted:
            stacks = np.stack([self._network_input(batch[place]) for place in wanted])
            maps = np.stack([consistency[wanted], discrepancy[wanted]], axis=1)
            with _Clock(self.seconds, "network"):
                outputs = self.network(stacks, maps)
            self._judge_precision(stacks, maps)
            if not np.isfinite(outputs).all():
                raise UserError("The model gives values that are not numbers: choose another model.")
            answers = {
                place: (stack[self.context], output)
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

    def _weight(self, index: int, mask: np.ndarray) -> np.ndarray:
        """How much of the network's answer each pixel takes: strength, region and, in CT, the body."""
        weight = np.full(mask.shape, self.options.strength, dtype=np.float32)
        if self.options.only_roi:
            weight *= self.region.weight(index)
        if self.modality == "CT":
            weight *= mask
        return weight

    def _network_input(self, index: int) -> np.ndarray:
        stack = neighbour_stack(self.volume.slices, index, self.context)
        return np.stack([self.intensity.normalise(fill_non_finite(one)[0]) for one in stack])

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
        """The network's slice, blended with cubic B-spline interpolation where the weight is below 1."""
        factor = self.task.scale
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
            "noise_sd": {"before": sd[0], "after": sd[1]},
        }


def _check_options(options: RestorationOptions) -> None:
    if not 0.0 <= options.strength <= 1.0:
        raise UserError(f"The strength {options.strength:g} is out of range: choose a number from 0 to 1.")
    if options.samples < 1:
        raise UserError(f"{options.samples} samples make no prior: choose 1 or more.")
    if options.seed < 0:
        raise UserError(f"The seed {options.seed} is negative: choose 0 or more.")
    if options.prior not in PRIORS:
        raise UserError(f'There is no prior "{options.prior}": choose {", ".join(PRIORS[:-1])} or {PRIORS[-1]}.')


class _Clock:
    """Adds the time spent inside a with block to one stage."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + time.perf_counter() - self._start

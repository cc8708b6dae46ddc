"""Going through the slices of a volume and making their prior: a job of its own, and half of a restoration."""

from __future__ import annotations

import time

import numpy as np

from .. import __version__
from ..errors import UserError
from .intensity import Intensity, ct_intensity, mr_intensity
from .modality import detect_modality, doubt_about
from .models import ModelStore, choose_device, device_name
from .options import Progress, ProgressCallback, RestorationOptions, check_options
from .prior_source import Box, PriorSource
from .region import Region
from .result import PriorResult, quantise
from .shown_slices import ShownSlice, ShownSlices
from .volume import Volume

SLICES_AT_ONCE = {"cuda": 8}
FOREGROUND_SLICES = 24


class PriorJob:
    """Produces the prior of a volume; restoring adds to it what happens to a slice whose prior is there."""

    stage = "prior"

    def __init__(
        self,
        store: ModelStore,
        volume: Volume,
        options: RestorationOptions,
        progress: ProgressCallback,
        modality: str | None,
    ) -> None:
        check_options(options)
        self.volume, self.options, self._progress = volume, options, progress
        self._done, self._total = 0, 0
        self._loop_started: float | None = None
        self.seconds = {"load": 0.0, "prior": 0.0}
        self.warnings: list[str] = []
        self._boxes: dict[str, list[float]] = {}
        self._started = time.perf_counter()
        self.device = choose_device(options.device)
        found = detect_modality(volume.sample, modality or volume.stated_modality, options.modality)
        self.modality, self.modality_reason, doubt, self._is_modality_certain = found
        self.region = Region.of(options.roi_lps_mm, volume.image, volume.plane) if options.roi_lps_mm else None
        if options.only_roi and self.region is None:
            raise UserError("Restoring only a region needs the region: give a ROI.")
        self._prepare(store)
        if self.modality != found.name:  # the task decided it
            doubt = doubt_about(volume.sample, self.modality)
        if doubt:
            self.warn(doubt)
        self.shown = ShownSlices(volume, self.modality)
        self.intensity = self._find_intensity()
        if self.modality == "MR":
            self.shown.leave_out_no_tissue(self.intensity)
        if volume.non_finite:
            voxels = "voxel is" if volume.non_finite == 1 else "voxels are"
            self.warn(f"{volume.non_finite} {voxels} NaN or infinite: restored around and left as they are.")
        self._tell(0, None)
        with Clock(self.seconds, "load"):
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
            slices = [self.shown[index] for index in batch]
            masks = [self._body_of(one) for one in slices]
            with Clock(self.seconds, "prior"):
                maps = self._prior_of(batch, slices, masks)
            consistency_slices[places], discrepancy_slices[places] = (quantise(one) for one in maps)
            self._use(batch, slices, masks, *maps)
            self._tell(places.stop, self._seconds_left(places.stop))
        return consistency, discrepancy

    def _use(
        self,
        batch: list[int],
        slices: list[ShownSlice],
        masks: list,
        consistency: np.ndarray,
        discrepancy: np.ndarray,
    ):
        """What is done with a batch once its prior is there."""

    def mask_of(self, pixels: np.ndarray) -> np.ndarray:
        """The body in a slice of finite pixels."""
        from ..prior.foreground import body_mask

        return body_mask(np.asarray(pixels, dtype=np.float32), self.modality)

    def _body_of(self, one: ShownSlice) -> np.ndarray:
        mask = self.mask_of(one.pixels)
        return mask if one.padding is None else mask & ~one.padding

    def warn(self, sentence: str) -> None:
        """Put a sentence into the report and pass it on at once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)
            self._progress(Progress(self.stage, self._done, self._total, None, sentence))

    def _prior_of(self, batch: list[int], slices: list[ShownSlice], masks: list) -> tuple[np.ndarray, np.ndarray]:
        boxes = [self._box(index, mask) for index, mask in zip(batch, masks, strict=True)]
        return self.prior_source.produce(np.stack([self.intensity.to_window(one.pixels) for one in slices]), boxes)

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
        chosen = np.unique(np.linspace(0, len(self.shown) - 1, FOREGROUND_SLICES).astype(int))
        values = []
        for index in chosen:
            one = self.shown[index]
            values.append(one.pixels[self._body_of(one)])
        foreground = np.concatenate(values)
        return mr_intensity(foreground if foreground.size else self.shown.sample)

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


class Clock:
    """Adds the time spent inside a with block to one stage."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + time.perf_counter() - self._start

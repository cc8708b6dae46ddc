"""What a job gives back: volumes made when asked for, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from .expected_error import ExpectedErrorModel
from .intensity import Intensity
from .metrics import MetricSum
from .reference import on_restored_grid
from .shown_slices import ShownSlices
from .super_resolution import interpolate_slice, place_on_grid, repeated
from .tasks import Task
from .volume import Volume, one_slice

MAP_STEPS = np.iinfo(np.uint16).max
"""Maps in [0, 1] are kept as 16-bit numbers, a quarter of the memory of C, D and the prior in float32."""

MaskOf = Callable[[np.ndarray], np.ndarray]


def quantise(maps: np.ndarray) -> np.ndarray:
    """Maps in [0, 1] as uint16; the error is below 1e-5."""
    return np.rint(np.clip(maps, 0.0, 1.0) * MAP_STEPS).astype(np.uint16)


@dataclass
class PriorResult:
    """The prior of a volume or of one slice of it.

    The images are float32 in [0, 1] on the input's grid. Each access makes a new image, so that only those
    that somebody wants take memory.
    """

    volume: Volume
    report: dict
    consistency_steps: np.ndarray = field(repr=False)
    discrepancy_steps: np.ndarray = field(repr=False)
    first_index: int = 0

    @property
    def consistency(self) -> sitk.Image:
        """C: where the stochastic passes agree that there is a structure."""
        return self._map_image(self.consistency_steps)

    @property
    def uncertainty(self) -> sitk.Image:
        """D: where the passes disagree."""
        return self._map_image(self.discrepancy_steps)

    @property
    def prior(self) -> sitk.Image:
        """U = (C + D) / 2, the reliable lesion-semantic prior."""
        return self._float_image(
            (np.add(agreed, disputed, dtype=np.float32) * np.float32(0.5 / MAP_STEPS))
            for agreed, disputed in zip(self.consistency_steps, self.discrepancy_steps, strict=True)
        )

    def _map_image(self, steps: np.ndarray) -> sitk.Image:
        return self._float_image(np.multiply(one, np.float32(1.0 / MAP_STEPS), dtype=np.float32) for one in steps)

    def _float_image(self, layers: Iterable[np.ndarray]) -> sitk.Image:
        """A float32 image on the input's grid from its layers along K, never held twice as one array would be."""
        layers_count, rows, columns = self.consistency_steps.shape
        image = sitk.Image([columns, rows, layers_count], sitk.sitkFloat32)
        for place, layer in enumerate(layers):
            image[:, :, place : place + 1] = sitk.GetImageFromArray(layer[None])
        return self._placed(image, 1)

    def _image(self, array: np.ndarray, factor: int) -> sitk.Image:
        return self._placed(sitk.GetImageFromArray(array), factor)

    def _placed(self, image: sitk.Image, factor: int) -> sitk.Image:
        place_on_grid(image, self.volume.image, self.volume.plane, factor, self.first_index)
        return one_slice(image) if self.volume.was_2d else image


@dataclass
class RestorationResult(PriorResult):
    """A restored volume or slice with its prior; `restored` has the input's voxel type."""

    restored_array: np.ndarray = field(repr=False, kw_only=True)
    task: Task = field(kw_only=True)
    intensity: Intensity = field(kw_only=True)
    mask_of: MaskOf = field(repr=False, kw_only=True)
    shown: ShownSlices = field(repr=False, kw_only=True)
    """The slices as the networks saw them."""
    error_model: ExpectedErrorModel | None = field(default=None, kw_only=True)
    """Of the weights, where their card holds one."""
    expected_error_array: np.ndarray | None = field(default=None, repr=False, kw_only=True)
    """In normalised intensity on the restored grid, where the options asked for it and the card tells it."""

    @property
    def restored(self) -> sitk.Image:
        """The restored volume: on the input's grid, or on the finer one for super-resolution."""
        return self._image(self.restored_array, self.task.scale)

    @property
    def difference(self) -> sitk.Image:
        """Restored minus input, float32; for super-resolution minus the input's cubic B-spline interpolation.

        0 where the input is NaN or infinite.
        """
        if self.task.scale == 1:
            return self._float_image(
                _change(original, restored)
                for original, restored in zip(self._original_layers(), self.restored_array, strict=True)
            )
        difference = np.empty(self.restored_array.shape, dtype=np.float32)
        target = self.volume.plane.view(difference)
        for place, (before, after) in enumerate(self._pairs()):
            target[place] = _change(before, after)
        return self._image(difference, self.task.scale)

    @property
    def expected_error(self) -> sitk.Image:
        """How far the restored values are expected to be off, float32 in their unit; 0 outside the body.

        Meant for restorations at full strength.  Raises UserError where the weights' card says nothing of it, and
        ValueError where the options did not ask for it.
        """
        if self.error_model is None:
            raise UserError("The card of these weights holds no expected error: choose other weights for that map.")
        if self.expected_error_array is None:
            raise ValueError("no expected error was made: RestorationOptions(expected_error=True) makes it")
        unit = np.float32(abs(self.intensity.unit))
        return self._image(self.expected_error_array.astype(np.float32) * unit, self.task.scale)

    def compare(self, reference: sitk.Image | Volume) -> dict:
        """PSNR, SSIM and RMSE before and after against a reference, in the task's window inside the body.

        Put into the report as "metrics" too. Raises UserError where the reference does not lie on the restored grid.
        """
        if not isinstance(reference, Volume):
            reference = on_restored_grid(reference, self.volume, self.task)
        references = ShownSlices(reference, self.task.modality)
        before, after = MetricSum(self.task.metrics_window), MetricSum(self.task.metrics_window)
        for place, (original, restored_slice) in enumerate(self._pairs()):
            target = references[place]
            mask = self.mask_of(target.pixels)
            if target.kept is not None:
                mask &= ~target.kept
            kept = self.shown[self.first_index + place].kept
            if kept is not None:
                mask &= ~repeated(kept, self.task.scale)
            truth = self._comparable(target.pixels)
            before.add(self._comparable(original), truth, mask)
            after.add(self._comparable(restored_slice), truth, mask)
        self.report["metrics"] = {
            "window": list(self.task.metrics_window),
            "unit": self.task.unit,
            "region": "body",
            "before": before.result(),
            "after": after.result(),
        }
        return self.report["metrics"]

    def _original_layers(self) -> np.ndarray:
        """The input voxels that were restored, K, J, I."""
        array = sitk.GetArrayViewFromImage(self.volume.image)
        across = self.volume.plane.order[0]
        restored = slice(self.first_index, self.first_index + self.restored_array.shape[across])
        return array[tuple(restored if axis == across else slice(None) for axis in range(3))]

    def _comparable(self, values: np.ndarray) -> np.ndarray:
        if self.task.modality == "CT":
            return values.astype(np.float64)
        return (values.astype(np.float64) - self.intensity.zero) / self.intensity.unit

    def _pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Input (interpolated to the restored grid) and restored slice, one after another."""
        factor = self.task.scale
        for place, after in enumerate(self.volume.plane.view(self.restored_array)):
            original = self.volume.slices[self.first_index + place]
            if factor > 1:
                one = self.shown[self.first_index + place]
                finer = interpolate_slice(one.pixels, factor)
                original = (
                    finer
                    if one.kept is None
                    else np.where(repeated(one.kept, factor), repeated(original, factor), finer)
                )
            yield original, after


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """after - before, float32, 0 where that is not a number."""
    with np.errstate(invalid="ignore"):
        change = after.astype(np.float64) - before
    return np.where(np.isfinite(change), change, 0.0).astype(np.float32)

"""One volume in, one restored volume out: what command line, worker and tests call."""

from __future__ import annotations

import SimpleITK as sitk

from ..errors import UserError
from .models import ModelStore
from .options import Progress, ProgressCallback, RestorationOptions, ignore
from .prior_job import PriorJob
from .reference import on_restored_grid
from .restoration_job import RestorationJob
from .result import PriorResult, RestorationResult
from .volume import Volume, check_volume

__all__ = ["Progress", "PriorResult", "RestorationOptions", "RestorationResult", "Restorer"]


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
        image: sitk.Image | Volume,
        options: RestorationOptions,
        progress: ProgressCallback = ignore,
        modality: str | None = None,
        reference: sitk.Image | None = None,
    ) -> RestorationResult:
        """Restore a whole volume: an image, or what `check_volume` made of it and of what its source states.

        `modality` (CT, MR) is what the caller knows, for instance from DICOM; else it is read from the image's
        metadata or from the values. With a `reference` in the same place of the patient, the report gets PSNR, SSIM and
        RMSE before and after.
        Raises UserError for whatever only the user can put right; the image is never changed.
        """
        volume = image if isinstance(image, Volume) else check_volume(image)
        job = RestorationJob(self._store, volume, options, progress, modality)
        if reference is not None:
            reference = on_restored_grid(reference, volume, job.task)
        result = job.run(range(volume.slices.shape[0]))
        if reference is not None:
            result.compare(reference)
        return result

    def restore_slice(
        self,
        image: sitk.Image | Volume,
        options: RestorationOptions,
        slice_axis_index: int,
        progress: ProgressCallback = ignore,
        modality: str | None = None,
    ) -> RestorationResult:
        """Restore the acquisition-plane slice with this index alone; the result's images hold one slice.

        Numbers are those that `restore` gives for the slice.
        """
        volume = image if isinstance(image, Volume) else check_volume(image)
        count = volume.slices.shape[0]
        if not 0 <= slice_axis_index < count:
            raise UserError(f"There is no slice {slice_axis_index}: the volume has slices 0 to {count - 1}.")
        job = RestorationJob(self._store, volume, options, progress, modality)
        return job.run(range(slice_axis_index, slice_axis_index + 1))

    def produce_prior(
        self,
        image: sitk.Image | Volume,
        options: RestorationOptions,
        progress: ProgressCallback = ignore,
        modality: str | None = None,
    ) -> PriorResult:
        """The prior of a whole volume, without restoring it."""
        if options.prior == "none":
            raise UserError("The prior none makes nothing: choose lite-medsam or medsam.")
        volume = image if isinstance(image, Volume) else check_volume(image)
        job = PriorJob(self._store, volume, options, progress, modality)
        return job.run(range(volume.slices.shape[0]))

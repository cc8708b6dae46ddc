"""Pairs of clean and degraded slices with the prior of the degraded one, computed once and kept on disk."""

from __future__ import annotations

import json
import logging
import multiprocessing
import zipfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import UserError
from ..prior.foreground import body_box, body_mask
from ..restoration.intensity import Intensity
from .clean_slices import CleanSlice
from .sampling import spread_over_patients
from .training_task import TrainingTask

PAIR_VERSION = 5
"""Raised whenever pairs change: those of another version are made again, and packed ones refused."""
PRIOR_SAMPLES = 4
PRIOR_STEPS = 255
VALIDATION_SLICES_A_PATIENT = 4

_backbone = None  # one a process


@dataclass(frozen=True)
class PairJob:
    """A pair to make.

    Attributes:
        task: what degrades it.
        clean: the slice.
        realisation: 0, 1, ...
        file: to write.
        intensity, prior: where they are known already, as in a packed training; the prior is (2, H, W) uint8.
        has_prior: False for a pair without one, as in a restoration without a prior.
        prior_file: of the pair whose prior serves for this one, too; None where it has its own.
    """

    task: TrainingTask
    clean: CleanSlice
    realisation: int
    file: Path
    intensity: Intensity | None = None
    prior: np.ndarray | None = None
    prior_file: Path | None = None
    has_prior: bool = True

    def known_prior(self) -> np.ndarray | None:
        """(2, H, W) uint8, where it needs not be made."""
        if self.prior is None and self.prior_file is not None:
            with np.load(self.prior_file) as first:
                return first["prior"]
        return self.prior


def prior_of_slice(
    degraded: np.ndarray, body: np.ndarray, intensity: Intensity, samples: int = PRIOR_SAMPLES
) -> np.ndarray:
    """Consistency and discrepancy (2, H, W) uint8 of a degraded slice under the box of its body, as in the engine.

    Args:
        degraded: (H, W) in the scan's units.
        body: (H, W) bool.
        intensity: of the scan.
        samples: stochastic passes T.
    """
    global _backbone
    import torch

    from ..prior.backbones import load_backbone
    from ..prior.rlpp import ReliablePriorProducer

    box = body_box(body)
    if box is None:
        return np.zeros((2, *degraded.shape), dtype=np.uint8)
    if _backbone is None:
        torch.set_num_threads(1)
        _backbone = load_backbone("lite-medsam")
    maps = ReliablePriorProducer(_backbone, samples).produce(intensity.to_window(degraded)[None], np.array([box]))
    return np.rint(np.concatenate([maps.consistency, maps.discrepancy]) * PRIOR_STEPS).astype(np.uint8)


def make_pair(job: PairJob) -> None:
    """Degrade, produce the prior and write the file; a crash leaves no half-written one."""
    task, clean = job.task, job.clean
    made = task.degrade(clean, job.realisation, job.intensity)
    body = body_mask(made.degraded, task.task.modality)
    has_prior = job.has_prior and task.has_prior(clean)
    prior = job.known_prior() if has_prior else np.zeros((2, *body.shape), dtype=np.uint8)
    if prior is None:
        prior = prior_of_slice(made.degraded, body, made.intensity)
    prior = on_grid(prior, body.shape)
    neighbours = {}
    if made.neighbours is not None:
        neighbours = {
            "clean_neighbours": np.stack([task.store(one, made.intensity) for one in clean.neighbour_pixels]),
            "degraded_neighbours": np.stack([task.store(task.mended(one), made.intensity) for one in made.neighbours]),
        }
    partial = job.file.with_suffix(".partial.npz")
    np.savez(
        partial,
        clean=task.store(made.clean, made.intensity),
        degraded=task.store(task.mended(made.degraded), made.intensity),
        prior=prior,
        body=body,
        intensity=np.array([made.intensity.zero, made.intensity.unit]),
        recipe=json.dumps(made.recipe),
        validation=clean.validation,
        has_prior=job.has_prior,
        version=PAIR_VERSION,
        **neighbours,
    )
    partial.replace(job.file)


def on_grid(prior: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A (2, H, W) uint8 prior of the same slice on another grid over the same extent, by linear interpolation."""
    if prior.shape[1:] == shape:
        return prior
    factors = [1.0, *(size / own for size, own in zip(shape, prior.shape[1:], strict=True))]
    return ndimage.zoom(prior, factors, order=1, mode="nearest", grid_mode=True)


def folder_jobs(
    task: TrainingTask,
    folder: Path,
    cache: Path,
    realisations: int,
    slices_a_patient: int | None = None,
    prior_every: int = 1,
) -> list[PairJob]:
    """The pairs of a folder of scans: ``realisations`` of each training slice, one of each validation slice.

    Args:
        task: what degrades them.
        folder: of the scans.
        cache: folder of the pairs' files.
        realisations: degradations drawn for each training slice.
        slices_a_patient: at most so many training slices of a patient, spread evenly; None for all.  Validation
            slices are four a patient at most.
        prior_every: every so many slices get a prior, the others none.

    Raises:
        UserError: the folder holds no scan for the task.
    """
    cache = Path(cache)
    slices = list(task.clean_slices(folder))
    kept = spread_over_patients([one for one in slices if not one.validation], _name_of, slices_a_patient)
    kept += spread_over_patients([one for one in slices if one.validation], _name_of, VALIDATION_SLICES_A_PATIENT)
    return [
        PairJob(
            task,
            clean,
            realisation,
            cache / pair_file_name(clean.name, realisation),
            prior_file=cache / pair_file_name(clean.name, 0) if realisation and task.shares_prior else None,
            has_prior=place % prior_every == 0,
        )
        for place, clean in enumerate(sorted(kept, key=_name_of))
        for realisation in range(1 if clean.validation else realisations)
    ]


def _name_of(clean: CleanSlice) -> str:
    return clean.name


def require_neighbours(jobs: list[PairJob], data: Path) -> None:
    """UserError where a training with slices of context would never see any: ``data`` is where the jobs come from."""
    if not any(job.clean.neighbours for job in jobs if not job.clean.validation):
        raise UserError(f"No training slice in {data} has its neighbours: leave out --context, or pack with it.")


def _is_made(job: PairJob) -> bool:
    """Whether its file holds a pair of this version, with neighbours and a prior if it is to have them."""
    try:
        with np.load(job.file) as pair:
            is_current = "version" in pair and int(pair["version"]) == PAIR_VERSION
            has_all = "degraded_neighbours" in pair or not job.clean.neighbours
            return is_current and has_all and bool(pair["has_prior"] or not job.has_prior)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def pair_file_name(slice_name: str, realisation: int) -> str:
    """Name of a pair's file in its cache."""
    return f"{slice_name}-{realisation}.npz"


def fill_pair_cache(jobs: list[PairJob], processes: int) -> list[Path]:
    """Make the pairs that are not there yet, or made otherwise, and return all their files, in order of name.

    Args:
        jobs: of :func:`folder_jobs` or ``pack.pack_jobs``; the folder of their files is made if need be, and a killed
            run is continued by the next.
        processes: to share the work among.
    """
    missing = [job for job in jobs if not _is_made(job)]
    if missing:
        cache = missing[0].file.parent
        cache.mkdir(parents=True, exist_ok=True)
        logging.info("making %d of %d training pairs in %s", len(missing), len(jobs), cache)
        first = [job for job in missing if job.prior_file is None]
        further = [job for job in missing if job.prior_file is not None]
        with multiprocessing.get_context("spawn").Pool(min(processes, len(missing))) as pool:
            # The further ones are begun when all of the first, which have the priors, are there.
            made = chain.from_iterable(
                pool.imap_unordered(make_pair, jobs_at_once) for jobs_at_once in (first, further)
            )
            for done, _ in enumerate(made, start=1):
                if done % 20 == 0:
                    logging.info("%d of %d pairs made", done, len(missing))
    return sorted(job.file for job in jobs)

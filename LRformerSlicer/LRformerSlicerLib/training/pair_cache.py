"""Pairs of clean and degraded slices with the prior of the degraded one, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
from pathlib import Path

import numpy as np

from ..degradation.ct import KERNELS, simulate_low_dose
from ..prior.foreground import body_box, body_mask
from ..restoration.intensity import ct_intensity
from .clean_slices import CleanSlice, ct_slices

DOSE_RANGE = (0.1, 0.5)
VALIDATION_DOSE = 0.25
PRIOR_SAMPLES = 4

_producer = None  # one backbone a process


def _recipe(clean: CleanSlice, realisation: int) -> tuple[float, str, int]:
    """Dose, kernel and noise seed of a pair; they depend on its name alone, not on order or machine."""
    seed = int.from_bytes(hashlib.sha256(f"{clean.name}/{realisation}".encode()).digest()[:4], "little")
    if clean.validation:
        return VALIDATION_DOSE, "standard", seed
    random = np.random.default_rng(seed)
    dose = float(np.exp(random.uniform(*np.log(DOSE_RANGE))))
    return dose, str(random.choice(list(KERNELS))), seed


def _make_pair(job: tuple[CleanSlice, int, Path]) -> None:
    global _producer
    import torch

    from ..prior.backbones import load_backbone
    from ..prior.rlpp import ReliablePriorProducer

    clean, realisation, target = job
    if _producer is None:
        torch.set_num_threads(1)
        _producer = ReliablePriorProducer(load_backbone("lite-medsam"), PRIOR_SAMPLES)
    dose, kernel, seed = _recipe(clean, realisation)
    degraded = simulate_low_dose(clean.pixels, clean.pixel_size_mm, dose, seed, kernel)
    body = body_mask(degraded, "CT")
    box = body_box(body) or (0.0, 0.0, float(body.shape[1]), float(body.shape[0]))
    maps = _producer.produce(ct_intensity().to_window(degraded)[None], np.array([box]))
    prior = np.stack([maps.consistency[0], maps.discrepancy[0]])
    partial = target.with_suffix(".partial.npz")
    np.savez(
        partial,
        clean=np.rint(clean.pixels).astype(np.int16),
        degraded=np.rint(degraded).astype(np.int16),
        prior=np.rint(prior * 255).astype(np.uint8),
        body=body,
        dose=dose,
        validation=clean.validation,
    )
    partial.replace(target)


def fill_pair_cache(data: Path, cache: Path, realisations: int, processes: int) -> list[Path]:
    """Make the pairs that are not in ``cache`` yet and return all their files, in order of name.

    Args:
        data: folder of training scans.
        cache: folder of the pairs, made if need be; a killed run is continued by the next.
        realisations: noise realisations of each training slice (one of each validation slice).
        processes: to share the work among.
    """
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    jobs, files = [], []
    for clean in ct_slices(data):
        for realisation in range(1 if clean.validation else realisations):
            file = cache / f"{clean.name}-{realisation}.npz"
            files.append(file)
            if not file.exists():
                jobs.append((clean, realisation, file))
    if jobs:
        logging.info("making %d of %d training pairs in %s", len(jobs), len(files), cache)
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for done, _ in enumerate(pool.imap_unordered(_make_pair, jobs), start=1):
                if done % 20 == 0:
                    logging.info("%d of %d pairs made", done, len(jobs))
    return sorted(files)

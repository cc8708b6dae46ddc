"""Packed trainings: all that a training needs in one small file, for a machine without scans and the prior's weights.

A pack is a NumPy .npz with the clean slices, each once, though it may be another's neighbour, and, for each pair, the
intensities and the prior.  The degraded slices are made again where the pack is opened: they follow from clean slice,
name and realisation.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..restoration.intensity import Intensity
from .clean_slices import CleanSlice
from .pair_cache import PAIR_VERSION, PairJob, pair_file_name
from .training_task import TrainingTask

LARGEST_PACK_MIB = 60
_CONTENTS = "contents"


def write_pack(path: Path, task: TrainingTask, jobs: list[PairJob]) -> float:
    """Pack pairs whose cached files exist.

    Args:
        path: of the .npz to write; a crash leaves no half-written one.
        task: what the pairs are for.
        jobs: the pairs, in order of name.

    Returns:
        Size in MiB.

    Raises:
        UserError: it would be larger than 60 MiB.
    """
    path = Path(path)
    slices: dict[str, dict] = {}
    arrays: dict[str, np.ndarray] = {}
    for job in jobs:
        name = job.clean.name
        if name not in slices:
            slices[name] = {
                "step": job.clean.step,
                "pixel_size_mm": list(job.clean.pixel_size_mm),
                "validation": job.clean.validation,
                "intensities": [],
            }
            planes = [job.clean.stored, *job.clean.neighbours]
            slices[name]["planes"] = [_add_plane(arrays, plane) for plane in planes]
        with np.load(job.file) as pair:
            slices[name]["intensities"].append(pair["intensity"].tolist())
            arrays[_prior_key(name, job.realisation)] = pair["prior"]
    contents = json.dumps({"version": PAIR_VERSION, "task": task.name, "slices": slices})
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, **{_CONTENTS: np.array(contents)}, **arrays)
    size_mib = partial.stat().st_size / 2**20
    if size_mib > LARGEST_PACK_MIB:
        partial.unlink()
        raise UserError(
            f"The pack would have {size_mib:.0f} MiB, more than {LARGEST_PACK_MIB}: pack fewer scans or realisations."
        )
    partial.replace(path)
    return size_mib


def pack_jobs(task: TrainingTask, path: Path, cache: Path, realisations: int) -> list[PairJob]:
    """The pairs of a packed training, as ``pair_cache.folder_jobs`` gives those of the folder it was packed from.

    Raises:
        UserError: not a pack, one of another task or version, or one with fewer realisations.
    """
    try:
        with np.load(path) as pack:
            contents = json.loads(str(pack[_CONTENTS]))
            if contents["version"] != PAIR_VERSION:
                raise UserError(f"{path} was packed by another version of LRformer: pack the scans again.")
            if contents["task"] != task.name:
                raise UserError(f"{path} was packed for {contents['task']}, not for {task.name}: pack the scans again.")
            return [
                job
                for name, entry in contents["slices"].items()
                for job in _slice_jobs(task, pack, name, entry, Path(cache), realisations)
            ]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a complete packed training: make it with 'lrformer pack'.") from error


def _slice_jobs(
    task: TrainingTask, pack: np.lib.npyio.NpzFile, name: str, entry: dict, cache: Path, realisations: int
) -> list[PairJob]:
    wanted = 1 if entry["validation"] else realisations
    if wanted > len(entry["intensities"]):
        held = len(entry["intensities"])
        raise UserError(f"The pack holds {held} realisations of each slice, not {wanted}: ask for {held}.")
    # Neighbours that the task does not take are left where they are, as those of a folder.
    wanted_planes = entry["planes"] if task.architecture.context else entry["planes"][:1]
    stored, *neighbours = (_sums(pack[key]) for key in wanted_planes)
    step, pixel_size_mm, validation = float(entry["step"]), tuple(entry["pixel_size_mm"]), bool(entry["validation"])
    clean = CleanSlice(name, stored, step, pixel_size_mm, validation, neighbours=neighbours)
    window, clips_below = task.stored.window, task.stored.clips_below
    return [
        PairJob(
            task,
            clean,
            realisation,
            cache / pair_file_name(name, realisation),
            Intensity(*entry["intensities"][realisation], window, clips_below),
            pack[_prior_key(name, realisation)],
        )
        for realisation in range(wanted)
    ]


def _add_plane(arrays: dict[str, np.ndarray], plane: np.ndarray) -> str:
    """Put a slice among the arrays, if it is not there yet, and return its key."""
    key = "plane/" + hashlib.sha256(str(plane.shape).encode() + plane.tobytes()).hexdigest()
    if key not in arrays:
        arrays[key] = _differences(plane)
    return key


def _prior_key(name: str, realisation: int) -> str:
    return f"prior/{name}-{realisation}"


def _differences(stored: np.ndarray) -> np.ndarray:
    """Differences along the rows of an int16 slice, low and high bytes apart, (2, rows, columns): they pack well."""
    differences = np.diff(stored.view(np.uint16), axis=1, prepend=np.uint16(0))
    return np.stack([differences & 0xFF, differences >> 8]).astype(np.uint8)


def _sums(planes: np.ndarray) -> np.ndarray:
    """The int16 slice again."""
    differences = planes[0].astype(np.uint16) | planes[1].astype(np.uint16) << 8
    return np.cumsum(differences, axis=1, dtype=np.uint16).view(np.int16)

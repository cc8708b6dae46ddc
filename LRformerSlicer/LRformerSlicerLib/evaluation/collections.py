"""Scores on the collections that papers report on, for whoever has them: AAPM, IXI and ADNI.

AAPM: real low-dose series beside full-dose ones, as the archive LDCT-and-Projection-data or the grand challenge of 2016
lays them out; nothing is simulated.  IXI and ADNI: scans that are degraded here, with fixed seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.engine import RestorationOptions, Restorer
from ..restoration.tasks import task_named
from ..restoration.volume_io import read_volume
from .ct_quality import restore_within
from .interpolators import interpolators
from .mr_quality import degrade_scan, load_scan, restore_scan
from .quality import OURS, Answer, JudgedSlice, answers_of, compare, middle_indices, timed_answer

# Names of series folders: "1.000000-Full Dose Images-12345" in the archive, "full_1mm" in the challenge.
FULL_DOSE = re.compile(r"full.?dose.?images|^full_\d+mm", re.IGNORECASE)
LOW_DOSE = re.compile(r"low.?dose.?images|^quarter_\d+mm", re.IGNORECASE)
MIDDLE_SHARE = 0.8  # of a series: slices are taken from there


@dataclass(frozen=True)
class Collection:
    """Where a collection's scans are.

    Attributes:
        task: what they are judged for where the user names no other.
        patterns: of files below the folder; empty for AAPM's pairs of folders.
    """

    task: str
    patterns: tuple[str, ...] = ()


COLLECTIONS = {
    "aapm": Collection("ct-denoise"),
    "ixi": Collection("mr-sr4", ("IXI*-PD.nii", "IXI*-PD.nii.gz")),
    "adni": Collection("mr-artifact", ("*.nii", "*.nii.gz")),
}


def evaluate_collection(
    name: str, folder: Path, options: RestorationOptions, slices_a_scan: int = 4, most_scans: int | None = None
) -> dict:
    """Scores of the degraded slices, of interpolators for super-resolution, and of the model.

    Args:
        name: key of ``COLLECTIONS``.
        folder: of the collection; scans are found at any depth.
        options: ``options.task`` decides; not "auto".
        slices_a_scan: evenly spaced over the middle of each scan.
        most_scans: the first in order of path; None for all.

    Returns:
        {"degradation", "window", "unit", "slices", "methods": see :func:`.quality.compare`}.

    Raises:
        UserError: no such scans are there, the two doses of a patient lie on different grids, or the task is not the
            collection's kind.
    """
    task, collection = task_named(options.task), COLLECTIONS[name]
    if task.modality != task_named(collection.task).modality:
        raise UserError(f"{task.name} is not for the scans of {name}: choose {collection.task}.")
    judge = _judge_doses if name == "aapm" else _judge_mr
    degradation, slices, answers = judge(name, Path(folder), options, slices_a_scan, most_scans)
    return {
        "degradation": degradation,
        "window": list(task.metrics_window),
        "unit": task.unit,
        "slices": [one.name for one in slices],
        "methods": compare(answers, slices, task.metrics_window),
    }


def dose_pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Folders of full and of low dose that are nearest to each other, one pair a full-dose folder.

    Raises:
        UserError: a full-dose series has no low-dose one beside it or in the folders above it.
    """
    for full in sorted(path for path in folder.rglob("*") if path.is_dir() and FULL_DOSE.search(path.name)):
        thickness = re.search(r"_(\d+mm)", full.name)
        above = full.parent
        while True:
            low = [
                path
                for path in sorted(above.rglob("*"))
                if path.is_dir()
                and LOW_DOSE.search(path.name)
                and (thickness is None or thickness.group(1) in path.name)
            ]
            if low or above == folder:
                break
            above = above.parent
        if len(low) != 1:
            raise UserError(
                f'"{full}" needs one low-dose series of the same patient, {len(low)} were found: '
                "keep each patient in a folder of its own."
            )
        yield full, low[0]


def _judge_doses(
    name: str, folder: Path, options: RestorationOptions, slices_a_scan: int, most_scans: int | None
) -> tuple[str, list[JudgedSlice], dict[str, Answer]]:
    pairs = list(dose_pairs(folder))[:most_scans]
    if not pairs:
        raise UserError(
            f'"{folder}" holds no folder of full-dose images: name the folder LDCT-and-Projection-data, or that of the '
            "challenge's full_1mm and quarter_1mm."
        )
    slices, places = [], []
    for full_folder, low_folder in pairs:
        full, low = read_volume(full_folder), read_volume(low_folder)
        if full.GetSize() != low.GetSize() or not np.allclose(full.GetOrigin(), low.GetOrigin(), atol=0.1):
            raise UserError(f'"{full_folder}" and "{low_folder}" lie on different grids: they cannot be compared.')
        for index in middle_indices(full.GetDepth(), slices_a_scan, MIDDLE_SHARE):
            reference, degraded = (
                sitk.GetArrayFromImage(volume[:, :, index]).astype(np.float32) for volume in (full, low)
            )
            label = f"{full_folder.relative_to(folder).parts[0]}-{index:03d}"
            slices.append(JudgedSlice(label, reference, degraded, body_mask(reference, "CT")))
            first = max(index - 1, 0)
            places.append((low[:, :, first : index + 2], index - first))
    restorer = Restorer()
    calls = [lambda v=volume, i=index: restore_within(restorer, v, i, options) for volume, index in places]
    answers = {"input": Answer("", [one.degraded for one in slices]), OURS: timed_answer(_setting(options), calls)}
    return "the collection's own low dose", slices, answers


def _judge_mr(
    name: str, folder: Path, options: RestorationOptions, slices_a_scan: int, most_scans: int | None
) -> tuple[str, list[JudgedSlice], dict[str, Answer]]:
    task, patterns = task_named(options.task), COLLECTIONS[name].patterns
    files = sorted({file for pattern in patterns for file in folder.rglob(pattern)})[:most_scans]
    if not files:
        raise UserError(f'"{folder}" holds no {" or ".join(patterns)}: name the folder of the scans.')
    restorer, slices, images = Restorer(), [], []
    for seed, file in enumerate(files):
        scan = load_scan(file, slices_a_scan, task.scale)
        for degraded in degrade_scan(scan, task, seed, mixtures=1):
            slices += degraded.judged()
            images += restore_scan(restorer, degraded, options, task.scale)
    if task.scale > 1:
        degradation = f"{task.scale} times fewer k-space samples along both axes"
        answers = answers_of(interpolators(task.scale), slices)
    else:
        degradation = "random mixtures of artifacts"
        answers = {"input": Answer("", [one.degraded for one in slices])}
    return degradation, slices, {**answers, OURS: Answer(_setting(options), images)}


def _setting(options: RestorationOptions) -> str:
    return f"prior {options.prior}, T = {options.samples}"

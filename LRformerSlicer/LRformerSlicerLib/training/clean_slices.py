"""Clean slices to train and validate on, from a folder of scans named as ../shared/data/train is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import UserError

# Thin neighbours averaged into one cleaner, still realistic slice; every how many slices one is taken.
# What is over-smooth or lossy at the source is taken sparsely: the network must not learn its texture.
AVERAGED_NEIGHBOURS = {"ct_chest_rider": 3, "ct_head_cptac": 3}
SLICE_STEP = {"ct_chest_rider": 3, "ct_head_cptac": 3, "ct_chest_acrin013": 3, "ct_body_weasis": 3}
# Whole patients kept for validation.
VALIDATION_PATIENTS = ("nysbu_A062055", "nysbu_A072894")


@dataclass(frozen=True)
class CleanSlice:
    """One slice and where it came from.

    Attributes:
        name: scan and index, unique in the folder.
        pixels: (rows, columns) float32, HU.
        pixel_size_mm: side of the pixel.
        validation: whether it is kept out of training.
    """

    name: str
    pixels: np.ndarray
    pixel_size_mm: float
    validation: bool


def ct_slices(folder: Path) -> Iterator[CleanSlice]:
    """Axial slices of every ``ct_*.nii.gz`` in ``folder``, in order of name.

    Raises:
        UserError: the folder holds no such scan.
    """
    files = sorted(Path(folder).glob("ct_*.nii.gz"))
    if not files:
        raise UserError(f"There are no ct_*.nii.gz scans in {folder}: give the folder of the training scans.")
    for file in files:
        scan = file.name.removesuffix(".nii.gz")
        image = sitk.ReadImage(str(file))
        volume = sitk.GetArrayFromImage(image).astype(np.float32)
        neighbours = AVERAGED_NEIGHBOURS.get(scan, 1)
        for index in range(0, len(volume) - neighbours + 1, SLICE_STEP.get(scan, 1)):
            yield CleanSlice(
                f"{scan}-{index:03d}",
                volume[index : index + neighbours].mean(axis=0),
                float(image.GetSpacing()[0]),
                any(patient in scan for patient in VALIDATION_PATIENTS),
            )

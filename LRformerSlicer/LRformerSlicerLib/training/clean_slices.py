"""Clean slices to train and validate on, from a folder of scans named as ../shared/data/train is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..degradation.mr.kspace import bright_tissue
from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.slicing import SlicePlane, acquisition_axis
from ..restoration.volume_io import read_volume
from .sampling import STACK

# Thin neighbours averaged into one cleaner, still realistic slice.
AVERAGED_SLICES = {
    "ct_chest_rider": 3,
    "ct_head_cptac": 3,
    "mr_t1_studyforrest": 3,  # 0.67 mm: 2 mm together, and 1.7 times less noise
    "mr_t1gd_cptac": 2,  # 0.9 mm, but 1.6 mm effective
    "mr_t1_fnndsc": 2,
    "mr_t1_seg3d": 2,
}

# Every how many CT slices one is taken: the next ones show much the same.  What is over-smooth or lossy at the source
# is taken sparsely and without neighbours: the network must not learn its texture.
CT_SLICE_STEP = {
    "ct_abdomen_acrin001": 4,
    "ct_body_weasis": 10,
    "ct_chest_acrin001": 4,
    "ct_chest_acrin013": 6,
    "ct_chest_rider": 6,
    "ct_head_cptac": 3,
}
# Of the last two every slice that is there lies far from the next.
CT_WITHOUT_NEIGHBOURS = ("ct_chest_acrin013", "ct_body_weasis", "ct_chest_lidc0001", "ct_chest_lungfcp01")

# How many MR slices are taken in the acquisition's plane and, where the third axis is as finely sampled, in each of
# the other two.  The thick multi-slice scans are small and, in part, interpolated by the scanner.
MR_SLICE_COUNTS = {
    "mr_t1_studyforrest": (48, 28),
    "mr_t1gd_cptac": (36, 0),
    "mr_t1_fnndsc": (32, 16),
    "mr_t1_seg3d": (10, 4),
    "mr_t2sag_lspine_vesal_stack20": (20, 0),
}
USUAL_MR_SLICE_COUNTS = (18, 0)
SMALLEST_BODY_SHARE = 0.12  # of an MR slice; less shows little but air
SMALLEST_BRIGHTNESS = 0.4  # of the scan's brightest slice; less is a slice beside the head, all noise
COMPANION_COUNT = 8

# Whole patients kept for validation.
VALIDATION_PATIENTS = (
    "nysbu_A062055",
    "nysbu_A072894",
    "siim_345234",
    "siim_505942",
    "siim_602715",
    "siim_602724",
    "mr_t1_seg3d",
    "brain_openms09",
    "brain_ulf3t_p3",
    "abdomen_chaos05",
    "abdomen_chaos21",
    "abdomen_chaos36",
    "lspine_vesal_stack20-i004",
    "lspine_vesal_stack20-i011",
    "lspine_vesal_stack20-i017",
    "prostate_msd_a",
)

MR_STORED_RANGE = 30000  # of the int16 numbers of an MR scan


@dataclass(frozen=True)
class CleanSlice:
    """One slice and where it came from.

    Attributes:
        name: scan and index, unique in the folder.
        stored: (rows, columns) int16; ``step`` of the scan's units each.
        step: HU or arbitrary MR units.
        pixel_size_mm: along rows' and columns' index.
        validation: whether it is kept out of training.
        companions: slices of the same scan and plane, spread evenly and stored likewise: what the intensities of the
            volume are taken from.  Empty for CT, whose units are absolute.
        neighbours: the slice before and the one behind, stored likewise; empty where one of them is missing.
    """

    name: str
    stored: np.ndarray
    step: float
    pixel_size_mm: tuple[float, float]
    validation: bool
    companions: list[np.ndarray] = field(default_factory=list, repr=False)
    neighbours: list[np.ndarray] = field(default_factory=list, repr=False)

    @property
    def pixels(self) -> np.ndarray:
        """(rows, columns) float32 in the scan's units."""
        return self._in_units(self.stored)

    @property
    def neighbour_pixels(self) -> list[np.ndarray]:
        """Of each neighbour (rows, columns) float32 in the scan's units."""
        return [self._in_units(one) for one in self.neighbours]

    def _in_units(self, stored: np.ndarray) -> np.ndarray:
        return stored.astype(np.float32) * np.float32(self.step)


def ct_slices(folder: Path, with_neighbours: bool = False) -> Iterator[CleanSlice]:
    """Axial slices of every ``ct_*.nii.gz`` in ``folder``, in order of name.

    Neighbours, where they are wanted, lie as far apart as slices do that share no slice of the scan.

    Raises:
        UserError: the folder holds no such scan.
    """
    for scan, image in _scans(folder, "ct"):
        volume = sitk.GetArrayFromImage(image).astype(np.float32)
        thickness = AVERAGED_SLICES.get(scan, 1)
        column_mm, row_mm, _ = image.GetSpacing()
        last = len(volume) - thickness
        may_have = with_neighbours and scan not in CT_WITHOUT_NEIGHBOURS
        for index in range(0, last + 1, CT_SLICE_STEP.get(scan, 1)):
            beside = (index - thickness, index + thickness)
            has_both = may_have and beside[0] >= 0 and beside[1] <= last
            yield CleanSlice(
                f"{scan}-{index:03d}",
                _averaged(volume, index, thickness),
                1.0,
                (row_mm, column_mm),
                _is_validation(scan),
                neighbours=[_averaged(volume, one, thickness) for one in beside] if has_both else [],
            )


def _averaged(volume: np.ndarray, first: int, thickness: int) -> np.ndarray:
    """So many slices of a volume from the first on as one thick slice, (rows, columns) int16."""
    return np.rint(volume[first : first + thickness].mean(axis=0)).astype(np.int16)


def mr_slices(folder: Path) -> Iterator[CleanSlice]:
    """Slices of every ``mr_*.nii.gz`` in ``folder``, in order of name; each shows enough of the body.

    They lie in the acquisition's plane and, in nearly isotropic scans, in the other two as well; their names say so by
    the image axis i, j or k across them.

    Raises:
        UserError: the folder holds no such scan.
    """
    for scan, image in _scans(folder, "mr"):
        within, across = MR_SLICE_COUNTS.get(scan, USUAL_MR_SLICE_COUNTS)
        acquisition = acquisition_axis(image)
        for axis in range(3):
            count = within if axis == acquisition else across
            if count:
                yield from _slices_along(scan, image, axis, count)


def _slices_along(scan: str, image: sitk.Image, axis: int, count: int) -> Iterator[CleanSlice]:
    """At most ``count`` slices of an MR scan, spread evenly along an image axis."""
    plane = _plane_across(image, axis)
    slices = plane.view(sitk.GetArrayViewFromImage(image))
    step = float(slices.max()) / MR_STORED_RANGE
    thickness = min(AVERAGED_SLICES.get(scan, 1), len(slices))
    spacing = image.GetSpacing()
    pixel_size_mm = tuple(spacing[in_plane] for in_plane in plane.in_plane_axes)
    candidates = {
        int(index): slices[index : index + thickness].mean(axis=0, dtype=np.float32)
        for index in np.unique(np.linspace(0, len(slices) - thickness, count).round().astype(int))
    }
    brightness = {index: bright_tissue(averaged) for index, averaged in candidates.items()}
    bright_enough = SMALLEST_BRIGHTNESS * max(brightness.values())
    found = [
        (index, np.rint(averaged / step).astype(np.int16))
        for index, averaged in candidates.items()
        if brightness[index] >= bright_enough and body_mask(averaged, "MR").mean() >= SMALLEST_BODY_SHARE
    ]
    spread = np.unique(np.linspace(0, len(found) - 1, COMPANION_COUNT).round().astype(int)) if found else []
    companions = [found[place][1] for place in spread]
    for index, stored in found:
        name = f"{scan}-{'ijk'[axis]}{index:03d}"
        own = [stored] if STACK.search(scan) else companions
        yield CleanSlice(name, stored, step, pixel_size_mm, _is_validation(name), own)


def _plane_across(image: sitk.Image, axis: int) -> SlicePlane:
    """The slice plane across any image axis, turned as the acquisition's own is: as if slices were thick that way."""
    image = sitk.Image(image)
    image.SetSpacing([9.0 if this == axis else 1.0 for this in range(3)])
    return SlicePlane.of(image)


def _scans(folder: Path, modality: str) -> Iterator[tuple[str, sitk.Image]]:
    files = sorted(Path(folder).glob(f"{modality}_*.nii.gz"))
    if not files:
        raise UserError(f"There are no {modality}_*.nii.gz scans in {folder}: give the folder of the training scans.")
    for file in files:
        yield file.name.removesuffix(".nii.gz"), read_volume(file)


def _is_validation(scan: str) -> bool:
    return any(patient in scan for patient in VALIDATION_PATIENTS)

"""Rigid motion between the lines of k-space.

A line measured while the patient lies in another pose belongs to the spectrum of the moved patient.  A shift by d
multiplies the spectrum by exp(-2 pi i k d / n) (the Fourier shift theorem); a rotation turns it.  The pose in which the
centre of k-space is measured is where the image shows the patient: all others are told relative to it, and an image
without artifacts shows that pose.
Source: Zaitsev, Maclaren and Herbst, Journal of Magnetic Resonance Imaging 42 (2015) 887.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .kspace import bright_tissue, frequencies, to_image, to_kspace
from .noise import rician_magnitude
from .resolution import NOISE_SHARE

LARGEST_ROTATION_DEGREES = 4.0
LARGEST_TRANSLATION_PIXELS = 4.0
POSE_COUNT_RANGE = (2, 5)
STILL_CENTRE_SHARE = 0.08  # of the phase-encoding lines, all measured in one pose


@dataclass(frozen=True)
class RigidPose:
    """Where the patient lies relative to the pose of the centre of k-space, and from which line on.

    Attributes:
        first_line: index of the first row of k-space that is measured in this pose.
        rotation_degrees: about the middle of the slice.
        shift_pixels: along rows' and columns' index.
    """

    first_line: int
    rotation_degrees: float
    shift_pixels: tuple[float, float]


def random_poses(rows: int, strength: float, random: np.random.Generator) -> list[RigidPose]:
    """A few poses from one random line to the next; ``strength`` scales the largest rotation and shift.

    All lines from the movement before the centre of k-space to the one after it are measured in one pose, the unmoved.
    """
    angle, distance = strength * LARGEST_ROTATION_DEGREES, strength * LARGEST_TRANSLATION_PIXELS
    changes = np.sort(random.choice(np.arange(1, rows), random.integers(*POSE_COUNT_RANGE), replace=False))
    poses = []
    for _ in changes:
        rotation, down, right = random.uniform(-1.0, 1.0, 3) * (angle, distance, distance)
        poses.append((float(rotation), (float(down), float(right))))
    poses.insert(int(np.searchsorted(changes, rows // 2, side="right")), (0.0, (0.0, 0.0)))
    return [RigidPose(int(line), *pose) for line, pose in zip((0, *changes), poses, strict=True)]


def moved_spectrum(image: np.ndarray, pose: RigidPose) -> np.ndarray:
    """Centred spectrum of a real or complex (rows, columns) image in another pose."""
    turned = image
    if pose.rotation_degrees:
        turn = {"angle": pose.rotation_degrees, "reshape": False, "order": 3}
        turned = ndimage.rotate(np.real(image), **turn) + 1j * ndimage.rotate(np.imag(image), **turn)
    rows, columns = (
        np.exp(-2j * np.pi * frequencies(size) * shift / size)
        for size, shift in zip(image.shape, pose.shift_pixels, strict=True)
    )
    return to_kspace(turned) * rows[:, None] * columns[None, :]


def spectrum_in_motion(image: np.ndarray, poses: list[RigidPose], sensitivity: np.ndarray | None = None) -> np.ndarray:
    """Centred spectrum of a (rows, columns) image whose lines were measured from top to bottom in these poses.

    Lines before the first pose, and the centre (8 % of the lines, for a movement within it would leave open which
    pose the image shows), are those of the unmoved image.  The coil's
    ``sensitivity`` (rows, columns) stays where it is while the patient moves; None is 1 everywhere.
    """
    rows = image.shape[0]
    spectrum = to_kspace(image if sensitivity is None else sensitivity * image)
    still = max(1, round(rows * STILL_CENTRE_SHARE / 2))
    ends = [*(pose.first_line for pose in poses), rows][1:]
    for pose, end in zip(poses, ends, strict=True):
        lines = np.arange(pose.first_line, end)
        lines = lines[np.abs(lines - rows // 2) > still]
        moved = moved_spectrum(image, pose)
        if sensitivity is not None:
            moved = to_kspace(sensitivity * to_image(moved))
        spectrum[lines] = moved[lines]
    return spectrum


def add_motion(slice_values: np.ndarray, seed: int, noise_share: float = NOISE_SHARE) -> np.ndarray:
    """The slice as acquired from a patient who moves a few times during phase encoding.

    Args:
        slice_values: (rows, columns) magnitude.
        seed: of poses and noise.
        noise_share: standard deviation of the complex noise per channel over the slice's bright tissue.

    Returns:
        (rows, columns) float32 magnitude in the slice's units.
    """
    poses = random_poses(slice_values.shape[0], 1.0, np.random.default_rng(seed))
    moved = to_image(spectrum_in_motion(slice_values.astype(np.float64), poses))
    return rician_magnitude(moved, noise_share * bright_tissue(slice_values), seed + 1)

"""Scores of a training's validation slices, patient by patient, so that none counts for more than another."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..restoration.metrics import MetricSum
from .sampling import subject_of


class PatientScores:
    """PSNR and SSIM of restored slices and the gain in PSNR over the same slices unrestored, mean over patients.

    Args:
        window: low and high of the values that are compared.
    """

    def __init__(self, window: tuple[float, float]) -> None:
        self._restored = defaultdict(lambda: MetricSum(window))
        self._unrestored = defaultdict(lambda: MetricSum(window))

    def add(
        self, name: str, restored: np.ndarray, unrestored: np.ndarray, reference: np.ndarray, mask: np.ndarray
    ) -> None:
        """Count the slice ``name``: three images (H, W) in the window's unit and the body (H, W) bool."""
        subject = subject_of(name)
        patient = (subject.part, subject.patient)
        self._restored[patient].add(restored, reference, mask)
        self._unrestored[patient].add(unrestored, reference, mask)

    def result(self) -> dict[str, float]:
        """psnr_db, ssim, gain_db and, where there are several parts of the body, gain_db_PART; {} without a slice."""
        scores = {
            patient: (sums.result(), self._unrestored[patient].result()) for patient, sums in self._restored.items()
        }
        # None where a patient's slices are empty or equal their reference.
        scores = {patient: pair for patient, pair in scores.items() if all(one["psnr_db"] is not None for one in pair)}
        if not scores:
            return {}
        gains, gains_of = [], defaultdict(list)
        for (part, _), (restored, unrestored) in scores.items():
            gains.append(restored["psnr_db"] - unrestored["psnr_db"])
            gains_of[part].append(gains[-1])
        similarities = [restored["ssim"] for restored, _ in scores.values() if restored["ssim"] is not None]
        means = {
            "psnr_db": round(float(np.mean([restored["psnr_db"] for restored, _ in scores.values()])), 3),
            "ssim": round(float(np.mean(similarities)), 4) if similarities else None,
            "gain_db": round(float(np.mean(gains)), 3),
        }
        if len(gains_of) > 1:
            means |= {
                f"gain_db_{part}": round(float(np.mean(of_part)), 3) for part, of_part in sorted(gains_of.items())
            }
        return means

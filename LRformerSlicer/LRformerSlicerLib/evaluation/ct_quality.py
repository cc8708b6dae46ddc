"""How well ct-denoise does on held-out slices, beside classical filters at their best setting on the train set."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..degradation.ct import simulate_low_dose
from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.engine import RestorationOptions, Restorer
from ..restoration.intensity import CT_SOFT_TISSUE_WINDOW_HU
from ..restoration.metrics import MetricSum
from .classical_denoisers import ClassicalDenoiser, required_candidates

SLICE_PATTERN = "ct_chest_nysbu_*.nii.gz"
BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class TestSlice:
    """A reference slice and its simulated low-dose version: (rows, columns) float32 HU, body mask, geometry."""

    name: str
    reference: np.ndarray
    degraded: np.ndarray
    body: np.ndarray
    image: sitk.Image


def load_test_slices(folder: Path, dose: float, kernel: str) -> list[TestSlice]:
    """Every NY-SBU slice in ``folder``, degraded with a seed of its own place in the list.

    Raises:
        UserError: the folder holds none.
    """
    files = sorted(Path(folder).glob(SLICE_PATTERN))
    if not files:
        raise UserError(f"There are no {SLICE_PATTERN} slices in {folder}: name the folder of train/ and test/.")
    slices = []
    for seed, file in enumerate(files):
        image = sitk.ReadImage(str(file))
        reference = sitk.GetArrayFromImage(image)[0].astype(np.float32)
        degraded = simulate_low_dose(reference, image.GetSpacing()[0], dose, seed, kernel)
        slices.append(
            TestSlice(file.name.removesuffix(".nii.gz"), reference, degraded, body_mask(reference, "CT"), image)
        )
    return slices


def score(restored: np.ndarray, one: TestSlice) -> dict[str, float]:
    """PSNR (dB), SSIM and RMSE (HU) inside the body, values clipped to [-160, 240] HU."""
    metrics = MetricSum(CT_SOFT_TISSUE_WINDOW_HU)
    metrics.add(restored, one.reference, one.body)
    return metrics.result()


def best_settings(train: list[TestSlice]) -> list[ClassicalDenoiser]:
    """Of each method the candidate with the highest mean PSNR on these slices."""
    best: dict[str, tuple[float, ClassicalDenoiser]] = {}
    for candidate in required_candidates():
        psnr = float(np.mean([score(candidate.apply(one.degraded), one)["psnr_db"] for one in train]))
        logging.info("%s, %s: %.2f dB on train", candidate.method, candidate.setting, psnr)
        if candidate.method not in best or psnr > best[candidate.method][0]:
            best[candidate.method] = (psnr, candidate)
    return [candidate for _, candidate in best.values()]


def restore_test_slice(restorer: Restorer, one: TestSlice, options: RestorationOptions) -> np.ndarray:
    """The slice restored by the whole engine, prior and all, as a user would get it: (rows, columns) HU."""
    image = sitk.GetImageFromArray(np.rint(one.degraded).astype(np.int16)[None])
    image.CopyInformation(one.image)
    restored = restorer.restore(image, options, modality="CT").restored
    return sitk.GetArrayFromImage(restored)[0].astype(np.float32)


def bootstrap_interval(values: list[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean over slices, by resampling the slices."""
    random = np.random.default_rng(seed)
    draws = random.choice(np.asarray(values), size=(BOOTSTRAP_DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def evaluate_ct(data: Path, options: RestorationOptions, dose: float, kernel: str) -> dict:
    """Scores of input, classical peers and the model on ``data/test``, peers tuned on ``data/train``.

    Returns:
        {"dose", "kernel", "slices", "methods": {method: {"setting", "psnr_db", "psnr_interval_db", "ssim", "rmse_hu",
        "per_slice_psnr_db"}}}; the model's entry is named "LRformer".
    """
    test = load_test_slices(Path(data) / "test", dose, kernel)
    peers = best_settings(load_test_slices(Path(data) / "train", dose, kernel))
    restorer = Restorer()
    answers = {"input": ("", [one.degraded for one in test])}
    for peer in peers:
        answers[peer.method] = (peer.setting, [peer.apply(one.degraded) for one in test])
    answers["LRformer"] = (
        f"prior {options.prior}, T = {options.samples}",
        [restore_test_slice(restorer, one, options) for one in test],
    )
    methods = {}
    for method, (setting, images) in answers.items():
        scores = [score(image, one) for image, one in zip(images, test, strict=True)]
        psnr = [one["psnr_db"] for one in scores]
        methods[method] = {
            "setting": setting,
            "psnr_db": round(float(np.mean(psnr)), 3),
            "psnr_interval_db": [round(bound, 3) for bound in bootstrap_interval(psnr)],
            "ssim": round(float(np.mean([one["ssim"] for one in scores])), 4),
            "rmse_hu": round(float(np.mean([one["rmse"] for one in scores])), 2),
            "per_slice_psnr_db": [round(value, 2) for value in psnr],
        }
    return {"dose": dose, "kernel": kernel, "slices": [one.name for one in test], "methods": methods}

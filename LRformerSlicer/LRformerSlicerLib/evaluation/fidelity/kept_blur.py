"""What it costs and brings that ct-denoise keeps the low frequencies of its input; the blur was chosen by this.

Measured on training slices, for something is chosen, and with the network alone: its prior changes next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...network.checkpoint import load_checkpoint
from ...restoration.intensity import ct_intensity
from ...restoration.models import choose_device, shipped_model
from ...restoration.slow_part import without_slow_part
from ...restoration.tasks import TASKS
from ...restoration.tiling import TiledNetwork
from ..quality import JudgedSlice, bootstrap_interval, score
from .lesion_study import CLEAN, judge
from .lesions import ct_studies

BLURS_MM = (None, 4.0, 3.0, 2.5, 2.0, 1.5)
DOSE, KERNEL, LAYOUTS, SLICE_STEP = 0.25, "standard", 3, 4
OBSERVER = "CHO"
SMALLEST_COUNTED_MM = 5.0


def evaluate_kept_blur(data: Path, device: str = "auto", blurs_mm: tuple[float | None, ...] = BLURS_MM) -> dict:
    """PSNR, SSIM and contrast recovery of inserted lesions on ``data/train`` for each blur; None keeps nothing.

    Returns:
        {"slices": names, "rows": by blur {"blur_mm", "psnr_db", "cost_db", "cost_interval_db", "ssim", "recovery": by
        diameter in mm [mean over contrasts, that of the worst contrast], "seen": share of lesions of 5 mm and more
        that the observer sees}}; the cost is against the first blur.
    """
    found = list(ct_studies(Path(data) / "train", DOSE, KERNEL, LAYOUTS, SLICE_STEP))
    loaded = load_checkpoint(shipped_model("ct-denoise"), "ct-denoise")
    network = TiledNetwork(loaded.network, choose_device(device), logging.warning)
    studies = [study for study, _, _ in found]
    answers = [[_restored(network, version) for version in versions] for _, versions, _ in found]
    images = {CLEAN: [[version.reference for version in versions] for _, versions, _ in found]}
    for blur in blurs_mm:
        images[str(blur)] = [
            [
                _with_kept(version, answer, blur, like.GetSpacing()[1::-1])
                for version, answer in zip(versions, own, strict=True)
            ]
            for (_, versions, like), own in zip(found, answers, strict=True)
        ]
    judged, window = judge(studies, images), TASKS["ct-denoise"].metrics_window
    rows, reference = [], None
    for blur in blurs_mm:
        scores = [
            score(own[0], versions[0], window) for own, (_, versions, _) in zip(images[str(blur)], found, strict=True)
        ]
        psnr = np.array([one["psnr_db"] for one in scores])
        reference = psnr if reference is None else reference
        rows.append(
            {
                "blur_mm": blur,
                "psnr_db": round(float(psnr.mean()), 3),
                "cost_db": round(float((reference - psnr).mean()), 3),
                "cost_interval_db": [round(bound, 3) for bound in bootstrap_interval(list(reference - psnr))],
                "ssim": round(float(np.mean([one["ssim"] for one in scores])), 4),
                **_lesions_kept(judged[str(blur)]["kinds"]),
            }
        )
    return {"slices": [study.name for study in studies], "rows": rows}


def _lesions_kept(kinds: list[dict]) -> dict:
    by_diameter: dict[float, list[float]] = {}
    for kind in kinds:
        by_diameter.setdefault(kind["diameter_mm"], []).append(kind["recovery"])
    wide = [kind for kind in kinds if kind["diameter_mm"] >= SMALLEST_COUNTED_MM]
    seen = sum(kind[OBSERVER]["detected"] * kind["lesions"] for kind in wide)
    return {
        "recovery": {
            f"{diameter:g}": [round(float(np.mean(recovered)), 3), round(min(recovered), 3)]
            for diameter, recovered in by_diameter.items()
        },
        "seen": round(seen / sum(kind["lesions"] for kind in wide), 3),
    }


def _restored(network: TiledNetwork, one: JudgedSlice) -> np.ndarray:
    """(H, W) HU."""
    intensity = ct_intensity()
    image = intensity.normalise(one.degraded)[None, None]
    return intensity.restore(network(image, np.zeros((1, 2, *one.degraded.shape)))[0])


def _with_kept(
    one: JudgedSlice, answer: np.ndarray, blur_mm: float | None, pixel_size_mm: tuple[float, float]
) -> np.ndarray:
    change = np.where(one.body, answer - one.degraded, 0.0)
    if blur_mm is not None:
        change = without_slow_part(change, one.body, blur_mm, pixel_size_mm)
    return (one.degraded + change).astype(np.float32)


def kept_blur_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of :func:`evaluate_kept_blur`."""
    kept = TASKS["ct-denoise"].kept_blur_mm
    yield (
        f"What a Gaussian blur of this SD shows of the input is kept in the restored slice. {len(result['slices'])} "
        f"training slices at {DOSE:g} of full dose, the shipped network without a prior. Contrast recovery: of discs "
        "put in, mean over 10 to 80 HU and, in brackets, of the worst contrast. Seen: share of the discs of 5 mm "
        "and more that the Hotelling observer sees. "
        f"ct-denoise keeps {kept:g} mm: the widest at which discs of 10 mm get back 95 % at every contrast."
    )
    yield ""
    diameters = list(result["rows"][0]["recovery"])
    yield (
        "| kept blur / mm | PSNR / dB | cost / dB | SSIM | "
        + " | ".join(f"{one} mm" for one in diameters)
        + " | seen |"
    )
    yield "|---" * (5 + len(diameters)) + "|"
    for row in result["rows"]:
        low, high = row["cost_interval_db"]
        name = "nothing kept" if row["blur_mm"] is None else f"{row['blur_mm']:g}"
        recovery = " | ".join("{:.2f} ({:.2f})".format(*row["recovery"][one]) for one in diameters)
        yield (
            f"| {name} | {row['psnr_db']:.2f} | {row['cost_db']:.2f} [{low:.2f}, {high:.2f}] | {row['ssim']:.4f} "
            f"| {recovery} | {row['seen']:.2f} |"
        )
    yield ""

"""What it costs and brings that ct-denoise leaves some of its input alone; how much was chosen by this.

Two things may stay: low frequencies, and what differs from the restored slice no more than a good scan's noise.

Measured on training slices, for something is chosen, and with the network alone: its prior changes next to nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...network.checkpoint import load_checkpoint
from ...restoration.allowed_change import allowed_change
from ...restoration.intensity import ct_intensity
from ...restoration.models import choose_device, shipped_model
from ...restoration.slicing import neighbour_stack
from ...restoration.slow_part import SlowPart
from ...restoration.tasks import TASKS
from ...restoration.tiling import TiledNetwork
from ..quality import JudgedSlice, bootstrap_interval, score
from .lesion_study import CLEAN, judge
from .lesions import ct_studies


@dataclass(frozen=True)
class LeftAlone:
    """``slow_part`` and ``weak_change`` as in :class:`~...restoration.tasks.Task`, in HU."""

    slow_part: SlowPart | None = None
    weak_change: float = 0.0


WAYS = (
    LeftAlone(),
    LeftAlone(SlowPart(2.5, 45.0)),
    LeftAlone(SlowPart(2.5, 80.0)),
    LeftAlone(SlowPart(2.0, 45.0)),
    LeftAlone(SlowPart(2.0, 80.0)),
    LeftAlone(SlowPart(2.0)),
    LeftAlone(SlowPart(1.5, 80.0)),
    LeftAlone(SlowPart(2.0, 80.0), 5.0),
    LeftAlone(SlowPart(2.0, 80.0), 8.0),
    LeftAlone(SlowPart(2.0, 80.0), 12.0),
)
DOSE, LOW_DOSE, KERNEL, LAYOUTS, SLICE_STEP = 0.25, 0.1, "standard", 3, 4
OBSERVER = "CHO"
SMALLEST_COUNTED_MM = 5.0

Found = list[tuple[object, list[JudgedSlice], object]]


def evaluate_left_alone(data: Path, device: str = "auto", ways: tuple[LeftAlone, ...] = WAYS) -> dict:
    """PSNR, SSIM and contrast recovery of inserted lesions on ``data/train`` by what is left alone.

    Returns:
        {"slices": names, "rows": by way {"blur_mm" (None for nothing kept), "noise_sd_hu" (None for infinite),
        "weak_change_hu", "psnr_db", "cost_db", "cost_interval_db", "ssim", "low_dose_cost_db",
        "low_dose_cost_interval_db", "recovery": by diameter in mm [mean over contrasts, that of the worst contrast],
        "seen": share of lesions of 5 mm and more that the observer sees, "full_dose_rmse_hu": of slices as they are}};
        costs are against the first way, lesions are judged at the higher dose.
    """
    loaded = load_checkpoint(shipped_model("ct-denoise"), "ct-denoise")
    network = TiledNetwork(loaded.network, choose_device(device), logging.warning)
    found = list(ct_studies(Path(data) / "train", DOSE, KERNEL, LAYOUTS, SLICE_STEP))
    images = _images(found, network, loaded.network.context, ways)
    clean = [[version.reference for version in versions] for _, versions, _ in found]
    judged = judge([study for study, _, _ in found], {CLEAN: clean, **images})
    scores = _scores(found, images)
    low_dose = [
        (study, versions[:1], like)
        for study, versions, like in ct_studies(Path(data) / "train", LOW_DOSE, KERNEL, 1, SLICE_STEP)
    ]
    low_dose_scores = _scores(low_dose, _images(low_dose, network, loaded.network.context, ways))
    full_dose = [
        (study, [replace(versions[0], degraded=versions[0].reference)], like) for study, versions, like in low_dose
    ]
    full_dose_scores = _scores(full_dose, _images(full_dose, network, loaded.network.context, ways))
    rows = []
    for place, way in enumerate(ways):
        name, part = str(place), way.slow_part
        rows.append(
            {
                "blur_mm": part.blur_mm if part else None,
                "noise_sd_hu": part.noise_sd if part and math.isfinite(part.noise_sd) else None,
                "weak_change_hu": way.weak_change,
                "psnr_db": round(float(np.mean(scores[name]["psnr_db"])), 3),
                **_cost(scores, name, ""),
                "ssim": round(float(np.mean(scores[name]["ssim"])), 4),
                **_cost(low_dose_scores, name, "low_dose_"),
                **_lesions_kept(judged[name]["kinds"]),
                "full_dose_rmse_hu": round(float(np.mean(full_dose_scores[name]["rmse"])), 2),
            }
        )
    return {"slices": [study.name for study, _, _ in found], "rows": rows}


def _images(found: Found, network: TiledNetwork, context: int, ways: tuple[LeftAlone, ...]) -> dict[str, list]:
    """By the way's place: of each study its versions restored, (H, W) HU."""
    answers = [[_restored(network, version, context) for version in versions] for _, versions, _ in found]
    return {
        str(place): [
            [
                _with_kept(version, answer, way, like.GetSpacing()[1::-1])
                for version, answer in zip(versions, own, strict=True)
            ]
            for (_, versions, like), own in zip(found, answers, strict=True)
        ]
        for place, way in enumerate(ways)
    }


def _scores(found: Found, images: dict[str, list]) -> dict[str, dict[str, np.ndarray]]:
    """PSNR in dB, SSIM and RMSE in HU of each study's first version, by the way's place."""
    window, scores = TASKS["ct-denoise"].metrics_window, {}
    for name, restored in images.items():
        rows = [score(own[0], versions[0], window) for own, (_, versions, _) in zip(restored, found, strict=True)]
        scores[name] = {key: np.array([row[key] for row in rows]) for key in ("psnr_db", "ssim", "rmse")}
    return scores


def _cost(scores: dict[str, dict[str, np.ndarray]], name: str, prefix: str) -> dict:
    cost = scores["0"]["psnr_db"] - scores[name]["psnr_db"]
    interval = [round(bound, 3) for bound in bootstrap_interval(list(cost))]
    return {f"{prefix}cost_db": round(float(cost.mean()), 3), f"{prefix}cost_interval_db": interval}


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


def _restored(network: TiledNetwork, one: JudgedSlice, context: int) -> np.ndarray:
    """(H, W) HU, of a slice alone."""
    intensity = ct_intensity()
    image = neighbour_stack(intensity.normalise(one.degraded)[None], 0, context)[None]
    return intensity.restore(network(image, np.zeros((1, 2, *one.degraded.shape)))[0])


def _with_kept(one: JudgedSlice, answer: np.ndarray, way: LeftAlone, pixel_size_mm: tuple[float, float]) -> np.ndarray:
    change = np.where(one.body, answer - one.degraded, 0.0)
    task = replace(TASKS["ct-denoise"], slow_part=way.slow_part, weak_change=way.weak_change)
    change = allowed_change(change, one.body, task, 1.0, pixel_size_mm)
    return (one.degraded + change).astype(np.float32)


def left_alone_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of :func:`evaluate_left_alone`."""
    task = TASKS["ct-denoise"]
    kept = task.slow_part
    yield (
        "What a Gaussian blur of this SD shows of the input is kept in the restored slice: half of it where the noise "
        "taken nearby has the noise SD, hardly any where that is twice as strong. Of a change whose local RMS is the "
        "weak one half is left out, more where it is weaker. "
        f"{len(result['slices'])} training slices at {DOSE:g} and, where the table says so, {LOW_DOSE:g} of full dose, "
        "the shipped network without a prior. Contrast recovery: of discs put in, mean over 10 to 80 HU and, in "
        "brackets, of the worst contrast. Seen: share of the discs of 5 mm and more that the Hotelling observer sees. "
        "Full dose: RMSE of the slices as they are against themselves. "
        f"ct-denoise keeps {kept.blur_mm:g} mm up to {kept.noise_sd:g} HU and makes weak changes"
        + (f" less than whole below {task.weak_change:g} HU." if task.weak_change else ", too.")
    )
    yield ""
    diameters = list(result["rows"][0]["recovery"])
    yield (
        f"| kept blur / mm | noise SD / HU | weak / HU | PSNR / dB | cost / dB | SSIM | cost at {LOW_DOSE:g} / dB | "
        + " | ".join(f"{one} mm" for one in diameters)
        + " | seen | full dose / HU |"
    )
    yield "|---" * (9 + len(diameters)) + "|"
    for row in result["rows"]:
        blur = "nothing kept" if row["blur_mm"] is None else f"{row['blur_mm']:g}"
        noise = "any" if row["noise_sd_hu"] is None else f"{row['noise_sd_hu']:g}"
        costs = [
            "{:.2f} [{:.2f}, {:.2f}]".format(row[f"{dose}cost_db"], *row[f"{dose}cost_interval_db"])
            for dose in ("", "low_dose_")
        ]
        recovery = " | ".join("{:.2f} ({:.2f})".format(*row["recovery"][one]) for one in diameters)
        yield (
            f"| {blur} | {'-' if row['blur_mm'] is None else noise} | {row['weak_change_hu']:g} "
            f"| {row['psnr_db']:.2f} | {costs[0]} "
            f"| {row['ssim']:.4f} | {costs[1]} | {recovery} | {row['seen']:.2f} "
            f"| {row['full_dose_rmse_hu']:.2f} |"
        )
    yield ""

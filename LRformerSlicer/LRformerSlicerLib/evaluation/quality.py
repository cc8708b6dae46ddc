"""Scores of restored slices with their uncertainty, CT or MR."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..restoration.metrics import MetricSum
from .classical_denoisers import ClassicalDenoiser
from .perceptual import haarpsi

BOOTSTRAP_DRAWS = 2000
IDENTICAL_DB = 100.0  # counts for a slice that equals its reference, whose PSNR has no end
OURS = "LRformer"


@dataclass(frozen=True)
class JudgedSlice:
    """A reference slice and its degraded version, in the unit of the window.

    Attributes:
        name: of scan and slice.
        reference: (H, W) float32.
        degraded: likewise, or on a coarser grid.
        body: (H, W) bool, of the reference.
    """

    name: str
    reference: np.ndarray
    degraded: np.ndarray
    body: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What one method makes of the slices: (H, W) each, the setting it used, and the seconds a slice took it."""

    setting: str
    images: list[np.ndarray]
    seconds: float | None = None


Look = Callable[[dict[str, Answer], list[JudgedSlice], tuple[float, float]], None]


def middle_indices(count: int, wanted: int, middle_share: float) -> list[int]:
    """``wanted`` indices, evenly over the middle share of ``count`` slices; fewer where there are fewer."""
    margin = (1.0 - middle_share) / 2.0
    places = np.linspace(margin, 1.0 - margin, wanted) if wanted > 1 else np.array([0.5])
    return np.unique((places * (count - 1)).round().astype(int)).tolist()


def ignore(answers: dict[str, Answer], slices: list[JudgedSlice], window: tuple[float, float]) -> None:
    """For who does not want to look at the images."""


def score(image: np.ndarray, one: JudgedSlice, window: tuple[float, float]) -> dict[str, float]:
    """PSNR (dB), SSIM and RMSE (the window's unit) inside the body, values clipped to the window."""
    metrics = MetricSum(window)
    metrics.add(image, one.reference, one.body)
    scores = metrics.result()
    return {**scores, "psnr_db": IDENTICAL_DB} if scores["rmse"] == 0 else scores


def all_scores(image: np.ndarray, one: JudgedSlice, window: tuple[float, float]) -> dict[str, float]:
    """Those of :func:`score`, and HaarPSI."""
    return {**score(image, one, window), "haarpsi": haarpsi(image, one.reference, one.body, window)}


def best_settings(
    candidates: Iterable[ClassicalDenoiser], train: list[JudgedSlice], window: tuple[float, float]
) -> list[ClassicalDenoiser]:
    """Of each method the candidate with the highest mean PSNR on these slices."""
    best: dict[str, tuple[float, ClassicalDenoiser]] = {}
    for candidate in candidates:
        psnr = float(
            np.mean([score(candidate.denoise(one.degraded, one.reference), one, window)["psnr_db"] for one in train])
        )
        logging.info("%s, %s: %.2f dB on train", candidate.method, candidate.setting, psnr)
        if candidate.method not in best or psnr > best[candidate.method][0]:
            best[candidate.method] = (psnr, candidate)
    return [candidate for _, candidate in best.values()]


def answers_of(peers: list[ClassicalDenoiser], slices: list[JudgedSlice]) -> dict[str, Answer]:
    """What each of these filters makes of the slices."""
    return {
        peer.method: timed_answer(
            peer.setting, [lambda p=peer, o=one: p.denoise(o.degraded, o.reference) for one in slices]
        )
        for peer in peers
    }


def timed_answer(setting: str, calls: list[Callable[[], np.ndarray]]) -> Answer:
    """The images that the calls give, and the median of their wall-clock seconds."""
    images, seconds = [], []
    for call in calls:
        started = time.perf_counter()
        images.append(call())
        seconds.append(time.perf_counter() - started)
    return Answer(setting, images, float(np.median(seconds)))


def bootstrap_interval(values: list[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean over slices, by resampling the slices."""
    random = np.random.default_rng(seed)
    draws = random.choice(np.asarray(values), size=(BOOTSTRAP_DRAWS, len(values))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def compare(answers: dict[str, Answer], slices: list[JudgedSlice], window: tuple[float, float]) -> dict[str, dict]:
    """Score every method on the same slices.

    Returns:
        By method: "setting", "psnr_db" and "psnr_interval_db" (mean over slices), "ssim", "rmse", "haarpsi",
        "per_slice_psnr_db", "seconds" a slice where it was timed, and "lrformer_gain_db" with
        "lrformer_gain_interval_db": how much LRformer is above it, slice by slice.
    """
    scores = {
        method: [all_scores(image, one, window) for image, one in zip(answer.images, slices, strict=True)]
        for method, answer in answers.items()
    }
    rows = {}
    for method, answer in answers.items():
        psnr = [one["psnr_db"] for one in scores[method]]
        rows[method] = {
            "setting": answer.setting,
            "psnr_db": round(float(np.mean(psnr)), 3),
            "psnr_interval_db": [round(bound, 3) for bound in bootstrap_interval(psnr)],
            "ssim": round(float(np.mean([one["ssim"] for one in scores[method]])), 4),
            "rmse": round(float(np.mean([one["rmse"] for one in scores[method]])), 4),
            "haarpsi": round(float(np.mean([one["haarpsi"] for one in scores[method]])), 4),
            "per_slice_psnr_db": [round(value, 2) for value in psnr],
        }
        if answer.seconds is not None:
            rows[method]["seconds"] = round(answer.seconds, 3)
        if OURS in scores and method != OURS:
            gain = [ours["psnr_db"] - theirs for ours, theirs in zip(scores[OURS], psnr, strict=True)]
            rows[method]["lrformer_gain_db"] = round(float(np.mean(gain)), 3)
            rows[method]["lrformer_gain_interval_db"] = [round(bound, 3) for bound in bootstrap_interval(gain)]
    return rows


def table_lines(result: dict) -> Iterator[str]:
    """The outcome of an evaluation as text: what was judged, then a line a method."""
    low, high = result["window"]
    yield f"{len(result['slices'])} slices, {result['degradation']},"
    yield f"inside the body, [{low:g}, {high:g}] {result['unit']}; means over slices with their 95 % intervals"
    for method, row in result["methods"].items():
        low, high = row["psnr_interval_db"]
        gain = f"LRformer {row['lrformer_gain_db']:+.2f} dB" if "lrformer_gain_db" in row else " " * 17
        yield (
            f"{method:30s} {row['psnr_db']:6.2f} dB [{low:.2f}, {high:.2f}]  SSIM {row['ssim']:.4f}  "
            f"RMSE {row['rmse']:.4g}  {gain}  {row['setting']}".rstrip()
        )

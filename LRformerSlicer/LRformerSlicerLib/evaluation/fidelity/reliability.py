"""Which cheap map knows where the restoration is wrong, and how well intervals made of it hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from ...restoration.engine import RestorationOptions
from ...restoration.expected_error import FLIP_FEATURE, NEAR_MM, ExpectedErrorModel
from ...restoration.tasks import task_named
from ..quality import bootstrap_interval
from .reliability_figures import reliability_maps, sparsification_figure
from .reliability_fit import best_figures, features_of, fit_expected_error
from .reliability_measures import ause, sparsification_curve, spearman
from .reliability_samples import Sample, samples
from .reliability_tables import reliability_lines

__all__ = ["evaluate_reliability", "judge_maps", "reliability_lines"]

NO_EXTRA_PASS = "expected error, no extra pass"
ONE_EXTRA_PASS = "expected error, one extra pass"
CEILING = "ceiling: the true local error"
PASSES = {
    "flip change (1 mirrored slice)": "1",
    "self-ensemble spread (3 mirrored slices)": "3",
    ONE_EXTRA_PASS: "1",
    "spread over single prior samples": "T",
    CEILING: "-",
}
"""Of the network beyond the restoration itself; the others need none."""
DISCREPANCY = "prior D (discrepancy)"


def evaluate_reliability(
    data: Path,
    pictures: Path,
    options: RestorationOptions,
    dose: float = 0.25,
    kernel: str = "standard",
    train_slices: int | None = None,
    test_slices: int | None = None,
    prior_samples_of: int = 2,
) -> dict:
    """Fit the expected error on ``data/train`` and judge it beside other maps on ``data/test``.

    Args:
        pictures: a folder for the PNG files.
        options: ``options.task`` decides; not "auto".
        dose, kernel: of CT test slices; train slices have doses from 0.1 to 0.5 and all kernels.
        train_slices, test_slices: slices of CT, scans of MR; None for all.
        prior_samples_of: how many test slices are restored under each single prior sample as well.

    Returns:
        {"task", "slices", "train_slices", "unit", "mean_error", "maps": see :func:`judge_maps`, "coverage": by model
        and stated coverage what was found on test, "expected_error": by model its ``as_dict`` for the model card,
        "pictures": names in ``pictures``}.

    Raises:
        UserError: the scans are missing, or no weights ship for the task.
    """
    task = task_named(options.task)
    train = list(samples(Path(data), "train", options, dose, kernel, train_slices, mirrors=1))
    names = best_figures(train)
    models = {NO_EXTRA_PASS: fit_expected_error(train, names)}
    models[ONE_EXTRA_PASS] = fit_expected_error(train, (*names, FLIP_FEATURE))
    test = list(samples(Path(data), "test", options, dose, kernel, test_slices, 3, prior_samples_of))
    maps = [maps_of(one, models) for one in test]
    judged = judge_maps(test, maps)
    names = [f"reliability-{task.name}.png", f"reliability-maps-{task.name}.png"]
    sparsification_figure(judged, task, pictures / names[0])
    best = ONE_EXTRA_PASS
    shown = {DISCREPANCY: maps[0][DISCREPANCY], NO_EXTRA_PASS: maps[0][NO_EXTRA_PASS], best: maps[0][best]}
    reliability_maps(test[0], shown, task, pictures / names[1])
    return {
        "task": task.name,
        "degradation": f"{dose:g} of full dose, {kernel} kernel"
        if task.modality == "CT"
        else "as in the quality table",
        "prior": f"{options.prior}, T = {options.samples}",
        "slices": [one.name for one in test],
        "train_slices": [one.name for one in train],
        "unit": task.unit,
        "mean_error": float(np.mean([one.error.mean() for one in test])),
        "maps": judged,
        "coverage": {name: coverage_of(test, [own[name] for own in maps], model) for name, model in models.items()},
        "expected_error": {name: model.as_dict() for name, model in models.items()},
        "pictures": names,
    }


def maps_of(one: Sample, models: dict[str, ExpectedErrorModel]) -> dict[str, np.ndarray]:
    """Every map to judge, (H, W), higher where less certain."""
    features, near = features_of(one), [NEAR_MM / step for step in one.pixel_size_mm]
    ensemble = np.stack([one.restored, *one.mirrored])
    maps = {
        "constant": np.zeros(one.body.shape),
        "prior U = (C + D) / 2": (one.consistency + one.discrepancy) / 2,
        "prior C (consistency)": one.consistency,
        DISCREPANCY: one.discrepancy,
        "change of the pixel itself": np.abs(one.restored - one.original),
        "local change": features["change"],
        "local gradient of the restored slice": features["gradient"],
    }
    if one.mirrored:
        maps["flip change (1 mirrored slice)"] = features[FLIP_FEATURE]
        maps["self-ensemble spread (3 mirrored slices)"] = ndimage.gaussian_filter(ensemble.var(axis=0), near)
    maps |= {name: model.expected(features) for name, model in models.items()}
    if one.by_prior_sample:
        spread = np.stack(one.by_prior_sample).var(axis=0)
        maps["spread over single prior samples"] = ndimage.gaussian_filter(spread, near)
    truth = np.zeros(one.body.shape)
    truth[one.body] = one.local_error
    return {**maps, CEILING: truth}


def judge_maps(test: list[Sample], maps: list[dict[str, np.ndarray]]) -> dict[str, dict]:
    """How well each map ranks errors within slices.

    Returns:
        By map {"passes", "slices", "pixel": figures against the single pixels' absolute error, "local": against the
        local RMS error}; figures are {"spearman", "spearman_interval", "ause", "ause_share" (of a constant map's),
        "ause_share_interval", "curve"}, means over the slices that have the map.
    """
    found: dict[str, dict] = {}
    for name in {name: None for own in maps for name in own}:
        pairs = [(one, own[name][one.body]) for one, own in zip(test, maps, strict=True) if name in own]
        found[name] = {
            "passes": PASSES.get(name, "0"),
            "slices": len(pairs),
            "pixel": _figures([(values, one.error) for one, values in pairs]),
            "local": _figures([(values, one.local_error) for one, values in pairs]),
        }
    return found


def _figures(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict:
    ranks = [spearman(values, error) for values, error in pairs]
    areas = [ause(values, error) for values, error in pairs]
    shares = [share for _, share in areas]
    curve = np.mean([sparsification_curve(values, error) for values, error in pairs], axis=0)
    return {
        "spearman": round(float(np.mean(ranks)), 3),
        "spearman_interval": [round(bound, 3) for bound in bootstrap_interval(ranks)],
        "ause": round(float(np.mean([area for area, _ in areas])), 4),
        "ause_share": round(float(np.mean(shares)), 3),
        "ause_share_interval": [round(bound, 3) for bound in bootstrap_interval(shares)],
        "curve": [round(float(value), 4) for value in curve],
    }


def coverage_of(test: list[Sample], expected: list[np.ndarray], model: ExpectedErrorModel) -> dict[str, dict]:
    """Share of the test pixels whose error lies within the stated interval.

    Returns:
        By stated coverage {"found", "lowest_slice", "highest_slice", "thirds": found in the thirds of the pixels with
        the smallest, middle and largest expected error}.
    """
    ratios = [one.error / values[one.body] for one, values in zip(test, expected, strict=True)]
    ratio = np.concatenate(ratios)
    level = np.concatenate([values[one.body] for one, values in zip(test, expected, strict=True)])
    third = np.searchsorted(np.quantile(level, [1 / 3, 2 / 3]), level)
    rows = {}
    for stated, factor in model.interval_factors.items():
        by_slice = [float(np.mean(own <= factor)) for own in ratios]
        rows[stated] = {
            "found": round(float(np.mean(ratio <= factor)), 3),
            "lowest_slice": round(min(by_slice), 3),
            "highest_slice": round(max(by_slice), 3),
            "thirds": [round(float(np.mean(ratio[third == part] <= factor)), 3) for part in range(3)],
        }
    return rows

"""Fitting the expected error to restored training slices, and choosing the figures that it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ...restoration.engine import RestorationOptions
from ...restoration.expected_error import FEATURES, ExpectedErrorModel, error_features
from .reliability_measures import interval_factor, power_law, spearman
from .reliability_samples import Sample, samples

COVERAGES = (0.5, 0.68, 0.9, 0.95)
FIT_PIXELS_A_SLICE = 4000
CANDIDATES = (
    FEATURES,
    ("wide_change", "gradient"),
    ("wide_change", "detail"),
    ("gradient",),
    ("detail",),
)
"""Figures to choose among.  What a restoration changed says much of noise, and little of what it could not mend."""


def fit_on_train(data: Path, options: RestorationOptions, most: int | None = None) -> ExpectedErrorModel:
    """The expected error that needs no extra pass, for ``options.task``, from ``data/train``.

    Args:
        data: folder of train/.
        options: ``options.task`` decides; not "auto".
        most: slices of CT, scans of MR; None for all.

    Raises:
        UserError: the scans are missing, or no weights ship for the task.
    """
    train = list(samples(Path(data), "train", options, 1.0, "standard", most, mirrors=0))
    return fit_expected_error(train, best_figures(train))


def best_figures(train: Sequence[Sample]) -> tuple[str, ...]:
    """The figures whose fit ranks local errors best in scans that it was not fitted on: each is left out in turn.

    With a single scan there is nothing to judge by: all figures.
    """
    scans = sorted({_scan_of(one) for one in train})
    if len(scans) < 2:
        return CANDIDATES[0]
    return max(CANDIDATES, key=lambda names: _rank_correlation_left_out(train, scans, names))


def _rank_correlation_left_out(train: Sequence[Sample], scans: list[str], names: tuple[str, ...]) -> float:
    """Mean over slices of the rank correlation with the local error, under the fit to all other scans."""
    found = []
    for scan in scans:
        model = fit_expected_error([one for one in train if _scan_of(one) != scan], names)
        for one in train:
            if _scan_of(one) == scan:
                features = {name: values[one.body] for name, values in features_of(one).items()}
                found.append(spearman(model.expected(features), one.local_error))
    return float(np.mean(found))


def _scan_of(one: Sample) -> str:
    """Slices are named after their scan and their place in it."""
    return one.name.rsplit("-", 1)[0]


def fit_expected_error(train: Iterable[Sample], names: tuple[str, ...]) -> ExpectedErrorModel:
    """Factor, exponents and interval factors from restored slices whose truth is known; slices count alike."""
    random = np.random.default_rng(0)
    figures, errors = [], []
    for one in train:
        features, error = features_of(one), one.error
        chosen = random.choice(len(error), FIT_PIXELS_A_SLICE)
        figures.append(np.column_stack([features[name][one.body][chosen] for name in names]).astype(np.float64))
        errors.append(error[chosen])
    features, error = np.concatenate(figures), np.concatenate(errors)
    factor, exponents = power_law(features, error)
    expected = factor * np.prod(features**exponents, axis=1)
    return ExpectedErrorModel(
        float(f"{factor:.4g}"),
        {name: round(float(exponent), 4) for name, exponent in zip(names, exponents, strict=True)},
        {f"{coverage:g}": round(interval_factor(expected, error, coverage), 3) for coverage in COVERAGES},
    )


def features_of(one: Sample) -> dict[str, np.ndarray]:
    """The figures of a slice's surroundings, (H, W) each; with the flip change where it was restored mirrored, too."""
    flipped = one.mirrored[0] if one.mirrored else None
    return error_features(one.original, one.restored, one.body, one.pixel_size_mm, flipped)

"""Sampling of training slices by part of the body and patient, so that scans of many slices do not outvote others."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

# Scans that show less than their pixels promise, by what stands in their names: over-smooth or lossy at the source,
# resampled there, or of 8 bit.
LOW_WEIGHTS = {"ct_chest_acrin013": 0.25, "ct_body_weasis": 0.25, "_msd_": 0.25, "_vesal_": 0.1}
STACK = re.compile(r"_stack\d+$")  # one slice each of as many patients
VISIT = re.compile(r"_t\d$")


@dataclass(frozen=True)
class Subject:
    """The patient whom a slice shows, and the part of the body.

    Attributes:
        part: such as "brain".
        patient: unique within modality and part.
        weight: 1 for a patient whose scans are as good as the others'.
    """

    part: str
    patient: str
    weight: float = 1.0


def subject_of(slice_name: str) -> Subject:
    """Who is seen in a slice of a folder of training scans, from its name or its pair's.

    Scans are called MODALITY_PART_COLLECTION[_PATIENT...] (CT), MODALITY_SEQUENCE_PART_COLLECTION[_PATIENT...] (MR)
    or, for brains, also MODALITY_SEQUENCE_COLLECTION (MR); "-" and the slice's index follow.
    """
    scan, _, index = slice_name.partition("-")
    modality, *words = VISIT.sub("", scan).split("_")
    if modality == "mr":
        words = words[1:] if len(words) > 2 else ["brain", *words[1:]]
    part, *words = words or ["unknown"]
    patient = "_".join([modality, *words[:2]])
    if STACK.search(scan):
        patient += "-" + index.split("-")[0]
    weight = next((weight for mark, weight in LOW_WEIGHTS.items() if mark in scan), 1.0)
    return Subject(part, patient, weight)


def sampling_shares(slice_names: Sequence[str]) -> np.ndarray:
    """Probability of each slice to be drawn, (N,) float64 of sum 1.

    A part of the body is drawn by the square root of its patients' weights together: more often the more patients show
    it, but a rare one more often than its patients alone would.  Within the part patients are drawn by their weights,
    and within a patient all slices alike.
    """
    subjects = [subject_of(name) for name in slice_names]
    keys = [(one.part, one.patient) for one in subjects]
    # A patient with several scans is as good as the best of them.
    weight_of, part_weights, counts = defaultdict(float), defaultdict(float), Counter(keys)
    for key, subject in zip(keys, subjects, strict=True):
        weight_of[key] = max(weight_of[key], subject.weight)
    for (part, _), weight in weight_of.items():
        part_weights[part] += weight
    total = sum(np.sqrt(weight) for weight in part_weights.values())
    return np.array([weight_of[key] / np.sqrt(part_weights[key[0]]) / total / counts[key] for key in keys])


def spread_over_patients(items: Sequence[Item], name_of: Callable[[Item], str], most: int | None) -> list[Item]:
    """At most ``most`` items of every patient, or all, spread evenly over the patient's, in their order."""
    if most is None:
        return list(items)
    places = defaultdict(list)
    for place, item in enumerate(items):
        subject = subject_of(name_of(item))
        places[subject.part, subject.patient].append(place)
    kept = set()
    for of_patient in places.values():
        spread = np.unique(np.linspace(0, len(of_patient) - 1, most).round().astype(int))
        kept.update(of_patient[place] for place in spread)
    return [items[place] for place in sorted(kept)]

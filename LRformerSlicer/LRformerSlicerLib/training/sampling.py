"""Sampling of training slices by part of the body and patient, so that scans of many slices do not outvote others."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

# Scans that show less than their pixels promise: resampled to 1 mm at the source, and of 8 bit.
LOW_WEIGHTS = {"_msd_": 0.25, "_vesal_": 0.1}
STACK = re.compile(r"_stack\d+$")  # one slice each of as many patients
VISIT = re.compile(r"_t\d$")
WHOLE_PATIENT_SLICES = 4  # a patient seen in fewer slices counts for so much less
COLLECTIONS_OF_SEVERAL = ("msd", "nysbu", "siim", "ulf3t", "uih")  # their patients have a name of their own


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

    Scans are called MODALITY_PART_PATIENT (CT), MODALITY_SEQUENCE_PART_PATIENT (MR) or, for brains, also
    MODALITY_SEQUENCE_PATIENT (MR); "-" and the slice's index follow.
    """
    scan, _, index = slice_name.partition("-")
    modality, *words = VISIT.sub("", scan).split("_")
    if modality == "mr":
        words = words[1:] if len(words) > 2 else ["brain", *words[1:]]
    part, collection, *own = words if len(words) > 1 else [words[0], words[0]]
    patient = f"{modality}_{collection}"
    if own and collection in COLLECTIONS_OF_SEVERAL:
        patient += f"_{own[0]}"
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
    slices_of = defaultdict(set)
    for key, name in zip(keys, slice_names, strict=True):
        slices_of[key].add("-".join(name.split("-")[:2]))  # without the realisation
    # A patient with several scans is as good as the best of them.
    weight_of, part_weights, counts = defaultdict(float), defaultdict(float), Counter(keys)
    for key, subject in zip(keys, subjects, strict=True):
        share = min(1.0, len(slices_of[key]) / WHOLE_PATIENT_SLICES)
        weight_of[key] = max(weight_of[key], subject.weight * share)
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

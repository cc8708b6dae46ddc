"""Slices with and without inserted lesions, and what becomes of the lesions under each method."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..quality import bootstrap_interval
from . import detection
from .lesion_insertion import Grid, Lesion, contrast_of, edge_width_mm, patches_at, with_lesions
from .places import Place, homogeneous_places

DIAMETERS_MM = (3.0, 5.0, 8.0, 10.0)
LESIONS_A_LAYOUT = 12
FREE_PLACES = 80
FREE_SEPARATION_MM = 5.0
EDGES_FROM_MM = 5.0
"""Smaller lesions have no plateau whose 10 and 90 % an edge could run between."""

CLEAN = "clean reference"


@dataclass(frozen=True)
class Study:
    """One clean slice, where its lesions lie in each layout, and where none ever lies.

    Attributes:
        name: of the slice.
        clean: (H, W) float32.
        grid: of the slice.
        layouts: the lesions of each version of the slice.
        free_places: homogeneous places to look for false alarms in the version without lesions.
    """

    name: str
    clean: np.ndarray
    grid: Grid
    layouts: list[list[Lesion]]
    free_places: list[Place]

    def versions(self) -> list[np.ndarray]:
        """The slice without lesions, then with each layout's."""
        return [with_lesions(self.clean, lesions, self.grid) for lesions in [[], *self.layouts]]


def plan_study(
    name: str,
    clean: np.ndarray,
    body: np.ndarray,
    grid: Grid,
    contrasts: tuple[float, ...],
    layouts: int,
    seed: int,
    value_limits: tuple[float, float],
) -> Study:
    """Choose the places of a slice, and for each layout which size and contrast goes where.

    The flattest places of the body get the lesions.  Every place sees other combinations in every layout, and over the
    slices of an evaluation (``seed``) each combination comes up as often.  Lesion-free places are as flat or flatter
    than the least flat of these, and lie closer together.

    Args:
        contrasts: in the slice's unit.
        value_limits: of the tissue to choose places in, in the slice's unit.
    """
    radius = grid.patch_radius_pixels(max(DIAMETERS_MM))
    places = homogeneous_places(clean, body, radius, 2.0 * radius + 1, LESIONS_A_LAYOUT, value_limits)
    flat_enough = max((place.value_range for place in places), default=0.0)
    free = homogeneous_places(
        clean, body, radius, FREE_SEPARATION_MM / grid.pixel_mm, FREE_PLACES, value_limits, flat_enough
    )
    kinds = list(product(DIAMETERS_MM, contrasts))
    random = np.random.default_rng(seed)
    places = [places[index] for index in random.permutation(len(places))]
    order = random.permutation(len(kinds))
    drawn, planned = seed * layouts * len(places), []
    for _ in range(layouts):
        chosen = [kinds[order[(drawn + index) % len(kinds)]] for index in range(len(places))]
        planned.append([Lesion(place, *kind) for place, kind in zip(places, chosen, strict=True)])
        drawn += len(places)
    return Study(name, clean, grid, planned, free)


@dataclass(frozen=True)
class Seen:
    """One lesion under one method: what it adds to the slice, how it stands out, and whether observers see it."""

    recovery: float
    contrast_to_noise: float
    detected: dict[str, bool]


def judge(studies: list[Study], images: dict[str, list[list[np.ndarray]]]) -> dict[str, dict]:
    """What becomes of the lesions under each method.

    Args:
        studies: the slices.
        images: by method, for each study its versions in order (see :meth:`Study.versions`) as the method shows them;
            CLEAN must be among them.

    Returns:
        By method {"kinds": a row for each size and contrast, "sizes": a row for each size}; see the row makers below.
    """
    diameters = sorted({lesion.diameter_mm for study in studies for layout in study.layouts for lesion in layout})
    seen: dict[str, dict[tuple, list[Seen]]] = {method: {} for method in images}
    sizes: dict[str, list[dict]] = {method: [] for method in images}
    for diameter in diameters:
        filters = {method: _filters(studies, versions, diameter) for method, versions in images.items()}
        for method, versions in images.items():
            sizes[method].append(_size_row(studies, images, filters, method, diameter))
            for place, lesion, study, shown, without in _lesions(studies, versions, diameter):
                seen[method].setdefault((diameter, lesion.contrast), []).append(
                    _look(lesion, study, shown, without, filters[method], place)
                )
    return {
        method: {
            "kinds": [
                _kind_row(*kind, looks, {other: seen[other][kind] for other in images if other != method})
                for kind, looks in sorted(seen[method].items())
            ],
            "sizes": sizes[method],
        }
        for method in images
    }


def _lesions(studies: list[Study], versions: list[list[np.ndarray]], diameter: float):
    """Each lesion of a size: place in its study, lesion, study, the image that shows it, the image without lesions."""
    for number, (study, shown) in enumerate(zip(studies, versions, strict=True)):
        for layout, image in zip(study.layouts, shown[1:], strict=True):
            for lesion in layout:
                if lesion.diameter_mm == diameter:
                    yield number, lesion, study, image, shown[0]


Filter = tuple[np.ndarray, float]
"""Weights of an observer and its threshold."""


def _filters(studies: list[Study], versions: list[list[np.ndarray]], diameter: float) -> list[dict[str, Filter]]:
    """For each study the observers' weights, and the thresholds that all lesion-free places set together."""
    free = [_free_patches(study, shown[0], diameter) for study, shown in zip(studies, versions, strict=True)]
    distances = [study.grid.distances_mm(diameter) for study in studies]
    profiles = [study.grid.profile(diameter) for study in studies]
    read = np.concatenate(
        [detection.channel_answers(patches, own, diameter) for patches, own in zip(free, distances, strict=True)]
    )
    weights = [
        {
            "NPW": detection.matched_filter(profile, own),
            "CHO": detection.hotelling_filter(profile, own, diameter, read),
        }
        for profile, own in zip(profiles, distances, strict=True)
    ]
    found: list[dict[str, Filter]] = [{} for _ in studies]
    for observer in detection.OBSERVERS:
        answers = [detection.answers_of(own[observer], patches) for own, patches in zip(weights, free, strict=True)]
        threshold = detection.threshold_at(np.concatenate(answers))
        for own, filters in zip(weights, found, strict=True):
            filters[observer] = (own[observer], threshold)
    return found


def _free_patches(study: Study, image: np.ndarray, diameter: float) -> np.ndarray:
    return patches_at(image, study.free_places, study.grid.patch_radius_pixels(diameter))


def _look(
    lesion: Lesion,
    study: Study,
    shown: np.ndarray,
    without: np.ndarray,
    filters: list[dict[str, Filter]],
    number: int,
) -> Seen:
    radius = study.grid.patch_radius_pixels(lesion.diameter_mm)
    core, ring = study.grid.core_and_ring(lesion.diameter_mm)
    true = lesion.contrast * contrast_of(study.grid.profile(lesion.diameter_mm), core, ring)
    patch, before = (patches_at(image, [lesion.place], radius) for image in (shown, without))
    detected = {
        observer: bool(detection.answers_of(weights, patch)[0] > threshold)
        for observer, (weights, threshold) in filters[number].items()
    }
    noise = max(float(patch[0][ring].std()), 1e-9)
    return Seen(
        contrast_of(patch[0] - before[0], core, ring) / true, contrast_of(patch[0], core, ring) / noise, detected
    )


def _kind_row(diameter: float, contrast: float, looks: list[Seen], others: dict[str, list[Seen]]) -> dict:
    """Means over the lesions of a kind with 95 % intervals, and how many other methods show that are lost here."""
    recovery = [look.recovery for look in looks]
    row = {
        "diameter_mm": diameter,
        "contrast": contrast,
        "lesions": len(looks),
        "recovery": round(float(np.mean(recovery)), 3),
        "recovery_interval": [round(bound, 3) for bound in bootstrap_interval(recovery)],
        "cnr": round(float(np.mean([look.contrast_to_noise for look in looks])), 2),
    }
    for observer in detection.OBSERVERS:
        found = [look.detected[observer] for look in looks]
        row[observer] = {
            "detected": round(float(np.mean(found)), 3),
            "detected_interval": [round(bound, 3) for bound in bootstrap_interval([float(one) for one in found])],
            "lost_against": {name: _lost(observer, looks, other, others) for name, other in others.items()},
        }
    return row


def _lost(observer: str, here: list[Seen], there: list[Seen], others: dict[str, list[Seen]]) -> dict[str, int]:
    """Lesions seen there and not here: in all, and those that the clean slice shows, so that chance is no loss."""
    lost = [other.detected[observer] and not one.detected[observer] for one, other in zip(here, there, strict=True)]
    clean = [one.detected[observer] for one in others.get(CLEAN, here)]
    return {"all": sum(lost), "seen_clean": sum(one and shown for one, shown in zip(lost, clean, strict=True))}


def _size_row(
    studies: list[Study],
    images: dict[str, list[list[np.ndarray]]],
    filters: dict[str, list[dict[str, Filter]]],
    method: str,
    diameter: float,
) -> dict:
    """Of a size: edge width, thresholds in units of contrast, and false alarms that the clean slice does not raise."""
    changes: dict[Grid, list[np.ndarray]] = {}
    for _, lesion, study, shown, without in _lesions(studies, images[method], diameter):
        radius = study.grid.patch_radius_pixels(diameter)
        change = patches_at(shown, [lesion.place], radius)[0] - patches_at(without, [lesion.place], radius)[0]
        changes.setdefault(study.grid, []).append(change)
    # Summed before it is fitted: of a faint lesion alone, little but noise would be left.
    widths = [edge_width_mm(np.sum(ones, axis=0), grid, diameter) for grid, ones in changes.items()]
    widths = [width for width in widths if width is not None]
    row = {
        "diameter_mm": diameter,
        "edge_width_mm": round(float(np.median(widths)), 2) if widths and diameter >= EDGES_FROM_MM else None,
        "free_places": sum(len(study.free_places) for study in studies),
    }
    for observer in detection.OBSERVERS:
        false = 0
        for number, study in enumerate(studies):
            weights, threshold = filters[method][number][observer]
            shown, clean = (
                detection.answers_of(weights, _free_patches(study, images[name][number][0], diameter))
                for name in (method, CLEAN)
            )
            false += int(np.sum((shown > threshold) & (clean <= threshold)))
        row[observer] = {"threshold": round(filters[method][0][observer][1], 4), "false": false}
    return row

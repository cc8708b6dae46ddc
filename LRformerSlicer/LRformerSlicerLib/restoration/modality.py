"""CT or MR: as the user says or the source states, else by the voxel values, with a doubt where they allow both.

One rule for the command line, the worker and the panel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import UserError

MODALITIES = ("CT", "MR")
NAMES = {
    "PT": "PET",
    "NM": "nuclear medicine",
    "US": "ultrasound",
    "XA": "X-ray angiography",
    "RF": "fluoroscopy",
    "CR": "radiograph",
    "DX": "radiograph",
    "MG": "mammogram",
    "OT": "other",
    "SC": "secondary capture",
    "SEG": "segmentation",
    "RTDOSE": "radiotherapy dose",
    "RTSTRUCT": "radiotherapy structure set",
    "OPT": "optical coherence tomography",
    "SM": "microscopy",
}
"""What the DICOM modalities that are met as volumes stand for."""

AIR_AND_LUNG_HU = (-1100.0, -600.0)
"""Air around and in a body, and lung."""
BETWEEN_HU = (-600.0, -250.0)
"""Little but partial volume lies between lung and fat."""
AIR_HU = -200.0
"""Nothing but air, lung and bowel gas lies below this in CT."""
SOFT_HU = (AIR_HU, 300.0)
LEAST_AIR, MOST_BETWEEN, MOST_BELOW_AIR, LEAST_SOFT, LEAST_NEGATIVE = 0.0005, 0.5, 0.005, 0.3, 0.003
"""Shares; of all 76 CT scans at hand the one in most doubt has 0.30, 0.17 (of its air), 0, 0.74 and 0.012."""
LONE_SHARE, LONE_GAP, MOST_LONE_SHARE = 0.002, 0.05, 0.1
CUT_SHARE = 0.05
CT_MEDIAN_HU, CT_CROP_HU, CT_CROP_SHARE = (10.0, 150.0), (-300.0, 1500.0), 0.9
PLAUSIBLE_MEDIAN_HU = (-150.0, 300.0)
UNRESCALED, UNRESCALED_SHARE = (900.0, 1200.0), 0.6
"""Where soft tissue lies in CT that was stored with 1024 added; of MR at hand at most 0.47 of the bright voxels do."""
DARK_AIR, LEAST_DARK_AIR, MOST_BRIGHT = 0.1, 0.05, 0.2
"""MR has air near zero and tissue far above; CT that begins at zero has no air, and little above soft tissue."""


class Modality(NamedTuple):
    """CT or MR, the reason in words, and what speaks against it as a sentence, or "".

    `is_certain` is False where the values allow the other one, too, so that a task may decide it.
    """

    name: str
    reason: str
    doubt: str = ""
    is_certain: bool = True


def check_stated(stated: str) -> None:
    """UserError, by name, where a source states a modality that cannot be restored."""
    if stated not in MODALITIES:
        meaning = f" ({NAMES[stated]})" if stated in NAMES else ""
        raise UserError(f"This is a volume of modality {stated}{meaning}, but only CT and MR can be restored.")


def detect_modality(values: np.ndarray, stated: str | None = None, wanted: str = "auto") -> Modality:
    """The modality of a volume from a sample of its finite voxel values.

    Args:
        values: taken evenly over the volume.
        stated: what DICOM or Slicer say of it, if anything.
        wanted: CT or MR where the user says so, which decides; else auto.

    Raises:
        UserError: the stated modality is neither CT nor MR, or the wanted one is unknown.
    """
    stated = (stated or "").strip().upper()
    if stated:
        check_stated(stated)
    if wanted != "auto":
        if wanted not in MODALITIES:
            raise UserError(f'There is no modality "{wanted}" to restore: choose CT, MR or auto.')
        doubt = f"It is restored as {wanted}, as asked, but its source states {stated}." if stated else ""
        doubt = "" if stated == wanted else doubt or doubt_about(values, wanted)
        return Modality(wanted, f"the modality was given as {wanted}", doubt)
    if stated:
        return Modality(stated, f"the modality is stated as {stated}", doubt_about(values, stated))
    return _by_values(values)


def doubt_about(values: np.ndarray, modality: str) -> str:
    """What the values say against a modality that was stated or asked for; "" where nothing does."""
    found = _by_values(values)
    if modality == "MR":
        return (
            f"It is restored as MR, but looks like CT: {found.reason}."
            if found.is_certain and found.name == "CT"
            else ""
        )
    lowest, highest = _ends(values)
    if lowest >= 0 or (found.name == "MR" and not _could_be_crop(_without_lone_values(values), PLAUSIBLE_MEDIAN_HU)):
        return (
            f"It is restored as CT, but the values from {lowest:g} to {highest:g} do not look like Hounsfield units "
            "(air -1000, water 0): check its rescale slope and intercept."
        )
    return ""


def _by_values(values: np.ndarray) -> Modality:
    rest = _without_lone_values(values)
    lowest, highest = _ends(rest)
    air = _share(values, *AIR_AND_LUNG_HU)
    soft = rest[rest >= SOFT_HU[0]]
    could_be_hu = (
        air > LEAST_AIR
        and _share(values, *BETWEEN_HU) <= MOST_BETWEEN * air
        and _share(rest, -np.inf, AIR_AND_LUNG_HU[0]) <= MOST_BELOW_AIR
        and _share(soft, *SOFT_HU) >= LEAST_SOFT
    )
    is_air_exact = bool(np.any(values == -1000.0))
    if could_be_hu and (is_air_exact or _share(rest, -900.0, -1.0) >= LEAST_NEGATIVE):
        return Modality("CT", f"{100 * air:.1f} % of the voxels lie between -1100 and -600, as air and lung do in CT")
    if lowest >= 0:
        reason = f"the values run from {lowest:g} to {highest:g} without the air of a CT at -1000 HU"
        doubt = ""
        bright = rest[rest > 300]
        if bright.size > 0.05 * rest.size and _share(bright, *UNRESCALED) >= UNRESCALED_SHARE:
            doubt = (
                "It is taken for MR, but the values could be CT with 1024 added: subtract 1024 and restore it again "
                "if it is CT, or say --modality MR if it is MR."
            )
        top = float(np.percentile(rest, 99))
        has_dark_air = _share(rest, 0.0, DARK_AIR * top) >= LEAST_DARK_AIR
        is_too_bright = _share(rest, SOFT_HU[1], np.inf) >= MOST_BRIGHT
        return Modality("MR", reason, doubt, is_certain=has_dark_air and is_too_bright and not doubt)
    median = _typical(rest)
    name, other = ("CT", "MR") if _could_be_crop(rest, CT_MEDIAN_HU) else ("MR", "CT")
    reason = f"the values run from {lowest:g} to {highest:g}, about {median:.0f} in the middle"
    doubt = (
        f"It is taken for {name} because {reason}, but {other} has such values, too: say which it is "
        "(--modality CT or --modality MR), or choose the task."
    )
    return Modality(name, reason, doubt, is_certain=False)


def _share(values: np.ndarray, low: float, high: float) -> float:
    return float(np.mean((values >= low) & (values <= high))) if values.size else 0.0


def _ends(values: np.ndarray) -> tuple[float, float]:
    rest = _without_lone_values(values)
    return float(rest.min()), float(rest.max())


def _could_be_crop(values: np.ndarray, median_hu: tuple[float, float]) -> bool:
    """Whether these may be Hounsfield units of a part of a body that shows no air."""
    return median_hu[0] <= _typical(values) <= median_hu[1] and _share(values, *CT_CROP_HU) >= CT_CROP_SHARE


def _typical(values: np.ndarray) -> float:
    """The median without a number that so many voxels have as only background or cut-off values are had."""
    numbers, counts = np.unique(values, return_counts=True)
    inner = values[~np.isin(values, numbers[counts >= CUT_SHARE * values.size])] if numbers.size > 20 else values
    return float(np.median(inner if inner.size >= 0.2 * values.size else values))


def _without_lone_values(values: np.ndarray) -> np.ndarray:
    """The values without a number at either end that many voxels share and from which all others are far: padding."""
    rest = values
    for end in (np.min, np.max):
        for _ in range(2):
            extreme = end(rest)
            others = rest[rest != extreme]
            if others.size < MOST_LONE_SHARE * values.size or others.size == rest.size:
                break
            low, high = np.percentile(others, (0.5, 99.5))
            gap = abs(float(end(others)) - float(extreme))
            if 1 - others.size / rest.size < LONE_SHARE or gap <= LONE_GAP * max(float(high) - float(low), 1e-30):
                break
            rest = others
    return rest

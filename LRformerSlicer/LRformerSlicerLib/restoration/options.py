"""What a restoration is asked for and how it tells its progress; free of torch, for every process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from ..errors import UserError

PRIORS = ("lite-medsam", "medsam", "none")


MOST_SAMPLES = 1000
LARGEST_SEED = 2**63 - 1
LARGEST_PLACE_MM = 1e6
_LONGEST_TEXT = 4096

_TEXT, _FILE = ((str,), "a text"), ((Path, type(None)), "a path")
_NUMBER, _CHOICE = ((int,), "a whole number"), ((bool,), "true or false")
_KINDS = {
    **{"task": _TEXT, "modality": _TEXT, "device": _TEXT, "prior": _TEXT, "model": _FILE, "medsam_checkpoint": _FILE},
    **{"samples": _NUMBER, "seed": _NUMBER, "strength": ((int, float), "a number from 0 to 1")},
    **{"roi_lps_mm": ((tuple, type(None)), "six numbers in LPS mm")},
    **dict.fromkeys(("only_roi", "self_ensemble", "expected_error", "expected_error_needed"), _CHOICE),
}


@dataclass(frozen=True)
class RestorationOptions:
    """The choices of one restoration, prior or preview job."""

    task: str = "auto"
    """ct-denoise, mr-sr2, mr-sr4, mr-artifact, or auto: by the model's task, the modality and the value range."""
    modality: str = "auto"
    """CT or MR, whatever the source states or the values look like; auto: by the source, else by the values."""
    model: Path | None = None
    """A .safetensors checkpoint; None takes the one shipped for the task."""
    device: str = "auto"
    """auto, cuda, mps or cpu."""
    prior: str = "lite-medsam"
    """lite-medsam, medsam (needs `medsam_checkpoint`) or none."""
    medsam_checkpoint: Path | None = None
    """The user's medsam_vit_b.pth."""
    samples: int = 4
    """Stochastic passes of the prior producer (T in the paper)."""
    seed: int = 0
    roi_lps_mm: tuple[float, ...] | None = None
    """A box x0, x1, y0, y1, z0, z1 in LPS mm: the box prompt, and with `only_roi` the only region changed."""
    only_roi: bool = False
    strength: float = 1.0
    """0 leaves the input as it is, 1 gives the network's answer; a linear blend between."""
    self_ensemble: bool = False
    """Restore every slice four times, mirrored along no, one, the other and both axes, and take the mean."""
    expected_error: bool = False
    """Make the map of the expected error, too, where the model's card tells how."""
    expected_error_needed: bool = False
    """With `expected_error`: refuse a model whose card does not tell how, before any slice is restored."""


@dataclass(frozen=True)
class Progress:
    """One step of a job: `done` of `total` slices in `stage`; a non-empty `message` is a warning for the user."""

    stage: str
    done: int
    total: int
    seconds_left: float | None
    message: str = ""


ProgressCallback = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """The progress callback of a caller who does not watch."""


def options_from(values: Mapping[str, object]) -> RestorationOptions:
    """The options in a message or a record: paths may be texts and the region a list. Raises UserError for others."""
    names = {one.name for one in fields(RestorationOptions)}
    if unknown := sorted(set(values) - names):
        raise UserError(f'There is no option "{unknown[0]}": leave it out.')
    values = dict(values)
    for name in ("model", "medsam_checkpoint"):
        if isinstance(values.get(name), str):
            values[name] = Path(values[name])
    if isinstance(values.get("roi_lps_mm"), list):
        values["roi_lps_mm"] = tuple(values["roi_lps_mm"])
    options = RestorationOptions(**values)
    check_options(options)
    return options


def check_options(options: RestorationOptions) -> None:
    """Raises UserError for an option that no job can be done with."""
    for name, (kinds, kind) in _KINDS.items():
        value = getattr(options, name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise UserError(f"The option {name} is {str(value)[:40]}, but it has to be {kind}.")
        if isinstance(value, (str, Path)) and (len(str(value)) > _LONGEST_TEXT or "\0" in str(value)):
            raise UserError(f"The option {name} is no name or path: give another one.")
    if not 0.0 <= options.strength <= 1.0:
        raise UserError(f"The strength {options.strength:g} is out of range: choose a number from 0 to 1.")
    if options.samples < 1:
        raise UserError(f"{options.samples} samples make no prior: choose 1 or more.")
    if options.samples > MOST_SAMPLES:
        raise UserError(f"{options.samples} samples would take for ever: choose at most {MOST_SAMPLES}.")
    if options.seed < 0:
        raise UserError(f"The seed {options.seed} is negative: choose 0 or more.")
    if options.seed > LARGEST_SEED:
        raise UserError(f"The seed {options.seed} is too large: choose at most {LARGEST_SEED}.")
    if options.prior not in PRIORS:
        raise UserError(f'There is no prior "{options.prior}": choose {", ".join(PRIORS[:-1])} or {PRIORS[-1]}.')
    roi = options.roi_lps_mm
    if roi is not None and not (len(roi) == 6 and all(_is_finite(side) for side in roi)):
        raise UserError("The ROI needs six numbers in LPS mm: x0,x1,y0,y1,z0,z1.")


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_PLACE_MM

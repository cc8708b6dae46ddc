"""What a restoration is asked for and how it tells its progress; free of torch, for every process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

PRIORS = ("lite-medsam", "medsam", "none")


@dataclass(frozen=True)
class RestorationOptions:
    """The choices of one restoration, prior or preview job."""

    task: str = "auto"
    """ct-denoise, mr-sr2, mr-sr4, mr-artifact, or auto: by the model's task, the modality and the value range."""
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


def check_options(options: RestorationOptions) -> None:
    """Raises UserError for an option that no job can be done with."""
    if not 0.0 <= options.strength <= 1.0:
        raise UserError(f"The strength {options.strength:g} is out of range: choose a number from 0 to 1.")
    if options.samples < 1:
        raise UserError(f"{options.samples} samples make no prior: choose 1 or more.")
    if options.seed < 0:
        raise UserError(f"The seed {options.seed} is negative: choose 0 or more.")
    if options.prior not in PRIORS:
        raise UserError(f'There is no prior "{options.prior}": choose {", ".join(PRIORS[:-1])} or {PRIORS[-1]}.')

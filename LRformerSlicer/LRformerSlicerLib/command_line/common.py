"""Arguments and messages that several subcommands share (standard library only)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import UserError
from ..restoration.options import Progress
from ..standard_streams import tell

BAR_CELLS = 24


def add_volume_arguments(parser: argparse.ArgumentParser) -> None:
    """IN and OUT."""
    parser.add_argument("input", metavar="IN", type=Path, help="a volume file, or a folder with a DICOM series")
    parser.add_argument("output", metavar="OUT", type=Path, help="the file to write, such as out.nii.gz")


def add_series_argument(parser: argparse.ArgumentParser) -> None:
    """Which DICOM series of several."""
    parser.add_argument(
        "--series", metavar="NAME", help="which DICOM series: a name that lrformer check prints, a number or a UID"
    )


def add_prior_arguments(parser: argparse.ArgumentParser) -> None:
    """What makes the prior, and where it is made."""
    add_modality_argument(parser)
    parser.add_argument("--device", default="auto", metavar="auto|cuda|mps|cpu", help="where to compute (auto)")
    parser.add_argument(
        "--prior", default="lite-medsam", metavar="lite-medsam|medsam|none", help="what segments (lite-medsam)"
    )
    parser.add_argument("--medsam-checkpoint", type=Path, metavar="FILE", help="medsam_vit_b.pth, for --prior medsam")
    parser.add_argument("--samples", type=int, default=4, metavar="T", help="stochastic passes of the prior (4)")
    parser.add_argument("--seed", type=int, default=0, help="of the stochastic passes (0)")
    parser.add_argument(
        "--roi", type=parse_roi, metavar="X0,X1,Y0,Y1,Z0,Z1", help="a box in LPS mm: the prompt in place of the body's"
    )
    parser.add_argument("--uncertainty-out", type=Path, metavar="FILE", help="write where the passes disagree")
    parser.add_argument("--consistency-out", type=Path, metavar="FILE", help="write where the passes agree")
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="write an account of the job")


def add_modality_argument(parser: argparse.ArgumentParser) -> None:
    """CT or MR, where the volume does not say or says it wrong."""
    parser.add_argument(
        "--modality",
        default="auto",
        type=lambda text: text if text == "auto" else text.upper(),
        metavar="CT|MR|auto",
        help="what it is, whatever it looks like (auto: as DICOM states, else by the values)",
    )


def add_progress_argument(parser: argparse.ArgumentParser) -> None:
    """How progress is shown."""
    parser.add_argument(
        "--progress", default="auto", metavar="auto|json|none", help="auto: a bar on a terminal; json: a line per step"
    )


def prior_options(arguments: argparse.Namespace) -> dict[str, object]:
    """The options of :func:`add_prior_arguments`, by their names in RestorationOptions."""
    return {
        "modality": arguments.modality,
        "device": arguments.device,
        "prior": arguments.prior,
        "medsam_checkpoint": arguments.medsam_checkpoint,
        "samples": arguments.samples,
        "seed": arguments.seed,
        "roi_lps_mm": arguments.roi,
    }


def write_result(result: object, volumes: dict[str, Path], report: Path | None) -> None:
    """Write the volumes of a result, by its attributes' names, and its report: all or, after an error, none."""
    from ..restoration.volume_io import OutputFiles

    with OutputFiles() as outputs:
        for name, path in volumes.items():
            outputs.add_image(getattr(result, name), path)
        if report:
            outputs.add_text(json.dumps(result.report, indent=2) + "\n", report)
        outputs.commit()


def check_weights_name(out: Path) -> None:
    """UserError unless a file of weights to write is named as such."""
    if out.suffix != ".safetensors":
        raise UserError(f"The weights are written as .safetensors: end OUT in .safetensors, not {out.name}.")


def parse_roi(text: str) -> tuple[float, ...]:
    """Six numbers from "x0,x1,y0,y1,z0,z1"; UserError otherwise."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 6:
        raise UserError(f'The ROI "{text}" is not six numbers in LPS mm: give x0,x1,y0,y1,z0,z1.')
    return numbers


class Reporter:
    """Shows a job: a bar with the time left on a terminal, JSON lines for programs, else only the outcome."""

    def __init__(self, mode: str) -> None:
        if mode not in ("auto", "json", "none"):
            raise UserError(f'There is no progress display "{mode}": choose auto, json or none.')
        self._json = mode == "json"
        self._bar = mode == "auto" and sys.stderr.isatty()
        self._bar_shown = False

    def __call__(self, progress: Progress) -> None:
        """The progress callback of the engine."""
        if progress.message:
            self.warn(progress.message)
        elif self._json:
            self.event(
                "progress",
                stage=progress.stage,
                done=progress.done,
                total=progress.total,
                seconds_left=progress.seconds_left,
            )
        elif self._bar and progress.total:
            full = BAR_CELLS * progress.done // progress.total
            left = f"{_clock(progress.seconds_left)} left" if progress.seconds_left is not None else ""
            bar = "#" * full + "-" * (BAR_CELLS - full)
            tell(f"\r{progress.stage} [{bar}] {progress.done}/{progress.total} {left}\x1b[K", "stderr", end="")
            self._bar_shown = True

    def warn(self, sentence: str) -> None:
        """Tell a warning at once."""
        if self._json:
            self.event("warning", message=sentence)
        else:
            self.end_bar()
            tell(f"Warning: {sentence}", "stderr")

    def say(self, sentence: str) -> None:
        """A line for a person; programs get the report instead."""
        if not self._json:
            self.end_bar()
            tell(sentence)

    def done(self, report: dict) -> None:
        """The end of a job that went well."""
        if self._json:
            self.event("done", report=report)

    def event(self, kind: str, **content: object) -> None:
        """One JSON line on stdout."""
        tell(json.dumps({"event": kind, **content}))

    def end_bar(self) -> None:
        """Leave the bar's line."""
        if self._bar_shown:
            tell("", "stderr")
            self._bar_shown = False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

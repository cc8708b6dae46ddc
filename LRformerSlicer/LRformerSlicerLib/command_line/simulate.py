"""lrformer simulate: degraded data with known truth."""

from __future__ import annotations

import argparse

from ..errors import UserError
from .common import Reporter, add_modality_argument, add_progress_argument, add_series_argument, add_volume_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """IN, OUT and the degradation."""
    add_volume_arguments(parser)
    add_series_argument(parser)
    parser.add_argument("--dose", type=float, metavar="0..1", help="CT: the share of the dose, such as 0.25")
    parser.add_argument("--factor", type=int, metavar="2|4", help="MR: times fewer samples in plane")
    parser.add_argument("--thickness", type=int, metavar="N", help="MR: times thicker slices")
    parser.add_argument("--motion", action="store_true", help="MR: artifacts of motion during the acquisition")
    parser.add_argument("--seed", type=int, default=0, help="of the noise and the motion (0)")
    add_modality_argument(parser)
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Degrade and write."""
    reporter = Reporter(arguments.progress)
    of_mr = arguments.factor is not None or arguments.motion or arguments.thickness is not None
    if (arguments.dose is not None) == of_mr:
        raise UserError("One degradation is needed: give --dose for CT, or --factor, --thickness or --motion for MR.")
    if arguments.seed < 0:
        raise UserError(f"The seed {arguments.seed} is negative: choose 0 or more.")
    if arguments.factor is not None and arguments.factor not in (2, 4):
        raise UserError(f"The factor {arguments.factor} is not possible: choose 2 or 4.")

    from ..restoration.scan import read_scan
    from ..restoration.simulation import degrade_mr, lower_dose
    from ..restoration.volume_io import check_outputs, small_like, write_volume

    volume, _ = read_scan(arguments.input, reporter.warn, arguments.series)
    check_outputs([arguments.input], [(arguments.output, small_like(volume.image))], texts=[])
    if arguments.dose is not None:
        degraded = lower_dose(volume, arguments.dose, arguments.seed, reporter, arguments.modality)
    else:
        thickness = 1 if arguments.thickness is None else arguments.thickness
        degraded = degrade_mr(
            volume, arguments.factor or 1, arguments.motion, arguments.seed, reporter, thickness, arguments.modality
        )
    write_volume(degraded, arguments.output)
    reporter.say(f"Written: {arguments.output}")
    reporter.done({"output": str(arguments.output)})
    return 0

"""lrformer demo: two real scans degraded, restored, measured and shown."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UserError
from .common import Reporter, add_progress_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder and the device."""
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="the folder to write to (demo-output)")
    parser.add_argument("--device", default="auto", metavar="auto|cuda|mps|cpu", help="where to compute (auto)")
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Restore the two scans and write what came of it."""
    reporter = Reporter(arguments.progress)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'The folder "{arguments.out}" cannot be made ({error.strerror}): choose another.') from error

    from ..evaluation.demo import run_demo

    reports = run_demo(arguments.out, reporter.say, arguments.device, reporter)
    reporter.done({"demonstrations": reports})
    return 0

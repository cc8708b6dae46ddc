"""lrformer average: the mean of two models' weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from .common import check_weights_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FIRST, SECOND, OUT and the option of ``lrformer average``."""
    parser.add_argument("first", metavar="FIRST", type=Path, help="a model (.safetensors) with its card beside it")
    parser.add_argument("second", metavar="SECOND", type=Path, help="another, which the first was trained on from")
    parser.add_argument("out", metavar="OUT", type=Path, help="the .safetensors file to write, its card beside it")
    parser.add_argument("--share", type=float, default=0.5, help="of FIRST in the mean, above 0 and below 1 (0.5)")


def run(arguments: argparse.Namespace) -> int:
    """Write the mean; 0."""
    from ..training.averaging import average_models

    out = arguments.out
    check_weights_name(out)
    average_models(arguments.first, arguments.second, arguments.share, out)
    print(f"Written: {out}")
    return 0

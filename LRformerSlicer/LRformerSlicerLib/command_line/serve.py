"""``lrformer serve``: the worker process that the Slicer module starts; not meant to be typed."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none: everything comes with the requests (see worker.messages)."""


def run(arguments: argparse.Namespace) -> int:
    """Serve standard input until it closes."""
    from ..worker.server import main

    return main()

"""lrformer serve: the worker that the Slicer module talks to."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None: requests come over standard input."""


def run(arguments: argparse.Namespace) -> int:
    """Serve until standard input closes."""
    from ..worker.server import main

    return main()

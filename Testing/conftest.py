"""Fixtures that tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import range_server

REPOSITORY = Path(__file__).resolve().parent.parent

# Before anything imports Qt or matplotlib: no screen is needed, and one that is there is left alone.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the scans that are not part of the repository: LRFORMER_DATA, else ../shared/data.

    It holds train/ and test/. Tests that ask for it skip where it is absent.
    """
    named = os.environ.get("LRFORMER_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (folder / "test").is_dir():
        pytest.skip(f"the scans are not at {folder}: name their folder in LRFORMER_DATA")
    return folder


@pytest.fixture
def server():
    """A real HTTP server that has range_server.CONTENT."""
    with range_server.serving(range_server.CONTENT) as instance:
        yield instance

"""Keeping the C libraries behind ITK from printing their own accounts of a failure."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silent_native_libraries() -> Iterator[None]:
    """Nothing that is written to file descriptor 2 meanwhile is seen."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # None where there is no standard error
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # closed: nothing is seen anyway
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)

"""Standard input, output and error as a program needs them, whoever started it and whatever became of the reader."""

from __future__ import annotations

import contextlib
import os
import sys


def open_standard_streams() -> None:
    """Make descriptors 0 to 2 and Python's streams usable where they were closed, and any file name printable.

    A closed descriptor would be given to the next file that is opened, and what libraries print would go into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, for those below are open by now.
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        # Names of files need not be UTF-8, and the terminal need not be.
        with contextlib.suppress(AttributeError, ValueError):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def let_go_of_lost_readers() -> None:
    """Flush both streams; where nobody reads any more (a closed pipe, a full disk), end them quietly.

    Python would otherwise complain at its exit, with an exit code of its own.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            stream.flush()
        except (OSError, ValueError):
            mute(name)


def mute(name: str) -> None:
    """Send what is still printed to sys.`name` nowhere."""
    stream = getattr(sys, name)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, stream.fileno())
        os.close(sink)


def tell(text: str, name: str = "stdout", end: str = "\n") -> None:
    """Print to sys.`name`; what nobody can read any more does not end the work."""
    try:
        print(text, end=end, file=getattr(sys, name), flush=True)
    except (OSError, ValueError):
        mute(name)

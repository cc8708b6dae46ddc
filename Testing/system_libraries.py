"""Shared libraries that VTK and Qt load and that no Python package brings (Linux).

They are needed by the tests, which render the real Slicer libraries and show the panel in a real Qt, even without a
screen.  Inside Slicer, and for the command line, none of this matters.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

PACKAGE_OF_LIBRARY = {
    "libEGL.so.1": "libegl1",
    "libEGL_mesa.so.0": "libegl-mesa0",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
"""Library to the Debian and Ubuntu package that holds it."""

# In a process of its own: a graphics driver that is loaded stays, and a broken one may crash.
PROBE = """
import ctypes, sys
for name in sys.argv[1:]:
    try:
        ctypes.CDLL(name)
    except OSError:
        print(name)
"""


class MissingLibraries(Exception):
    """The message names the libraries and the command that installs them."""


def missing_libraries(names: Iterable[str] = tuple(PACKAGE_OF_LIBRARY)) -> list[str]:
    """Those of the named shared libraries that cannot be loaded."""
    if not sys.platform.startswith("linux"):
        return []
    found = subprocess.run([sys.executable, "-c", PROBE, *names], stdout=subprocess.PIPE, check=False)
    return found.stdout.decode().split()


def missing_packages() -> list[str]:
    """The Debian packages that would bring what is missing."""
    return sorted({PACKAGE_OF_LIBRARY[name] for name in missing_libraries()})


def check() -> None:
    """Raises MissingLibraries, one sentence that says what to install."""
    missing = missing_libraries()
    if missing:
        packages = " ".join(sorted({PACKAGE_OF_LIBRARY[name] for name in missing}))
        raise MissingLibraries(
            f"The tests need the system libraries {', '.join(missing)}: install them (on Debian and Ubuntu: apt-get "
            f"install {packages}), then run the same command again."
        )

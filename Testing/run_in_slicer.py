"""The scene tests and the self test, inside a released 3D Slicer (5.10 or newer):

    Slicer --python-script Testing/run_in_slicer.py [arguments of pytest]

Without arguments all of Testing/scene runs. Slicer takes a first argument that ends in .py for a script of its own:
begin with an option of pytest, such as -q Testing/scene/test_compare.py. Slicer ends with pytest's exit code: 0 where
all tests passed. The packages that the tests need and this Slicer lacks are installed into its Python first, and that
is said. The scene that is open is closed; the extension's settings are put back afterwards.
"""

import importlib.util
import os
import sys
import traceback
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NEEDED = ("pytest", "psutil")
OLDEST_SLICER = (5, 10)
SETTINGS_GROUP = "LRformerSlicer"


def main(arguments):
    """Run pytest with `arguments`; returns its exit code."""
    import slicer

    if (slicer.app.majorVersion, slicer.app.minorVersion) < OLDEST_SLICER:
        print(f"The tests need Slicer 5.10 or newer, and this is {slicer.app.applicationVersion}.", flush=True)
        return 2
    if slicer.util.mainWindow() is None:
        print("The tests need a main window: start Slicer without --no-main-window.", flush=True)
        return 2
    install_missing()
    import pytest

    os.environ["LRFORMER_TESTS_IN_SLICER"] = "1"
    os.chdir(REPOSITORY)
    paths = [] if any((REPOSITORY / one.split("::")[0]).exists() for one in arguments) else ["Testing/scene"]
    settings = read_settings()
    try:
        # Slicer's own output streams know nothing of file descriptors.
        return int(
            pytest.main(["--rootdir", str(REPOSITORY), "--capture=no", "-p", "no:cacheprovider", *paths, *arguments])
        )
    finally:
        write_settings(settings)
        slicer.mrmlScene.Clear()


def install_missing():
    """Install what the tests need into Slicer's Python, and say so."""
    import slicer

    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"Installing {', '.join(missing)} into this Slicer's Python for the tests.", flush=True)
        slicer.util.pip_install(" ".join(missing))


def read_settings():
    """The extension's settings, by key."""
    import qt

    settings = qt.QSettings()
    return {key: settings.value(key) for key in settings.allKeys() if key.startswith(f"{SETTINGS_GROUP}/")}


def write_settings(values):
    """Put the extension's settings back to what read_settings gave."""
    import qt

    settings = qt.QSettings()
    for key in read_settings():
        settings.remove(key)
    for key, value in values.items():
        settings.setValue(key, value)


if __name__ == "__main__":
    import slicer

    try:
        status = main(sys.argv[1:])
    except BaseException:  # Slicer would stay open with it
        traceback.print_exc()
        status = 3
    slicer.util.exit(status)

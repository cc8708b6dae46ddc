"""The project's commands, for a machine that has Python and nothing else.

    python3 Testing/run.py demo     restores a real CT slice (and an MR template) and shows what came of it
    python3 Testing/run.py test     runs every test; further arguments go to pytest
    python3 Testing/run.py screenshots   makes the pictures of the panel in Resources/Screenshots anew

All first make ``.venv`` in the repository and install pinned packages into it, once.
``python3 Testing/run.py setup`` does only that; ``python3 Testing/run.py system-packages`` prints the Debian
packages that the tests still need.
"""

# The standard library only; and in this file no syntax newer than Python 3.6, so that an old Python gets a sentence
# and not a SyntaxError.

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 10)


def main(arguments):
    if sys.version_info < OLDEST_PYTHON:
        return refuse(
            "LRformerSlicer needs Python 3.10 or newer, and this is Python {}.{}: start the command with a newer one, "
            "such as python3.12 Testing/run.py.".format(*sys.version_info[:2])
        )
    import environment
    import system_libraries

    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    if command not in ("demo", "test", "screenshots", "setup", "system-packages"):
        return refuse(f'There is no command "{command}": use demo, test or screenshots.')
    if command == "system-packages":
        print(" ".join(system_libraries.missing_packages()))
        return 0
    try:
        if command in ("test", "screenshots"):
            system_libraries.check()
        python = environment.set_up(REPOSITORY)
    except (environment.SetUpError, system_libraries.MissingLibraries) as error:
        return refuse(str(error))
    if command == "demo":
        return run_demo(python, arguments[1:])
    if command == "test":
        return run_tests(python, arguments[1:])
    if command == "screenshots":
        return run_screenshots(python)
    return 0


def refuse(sentence):
    print(sentence, file=sys.stderr)
    return 2


def run_demo(python, arguments):
    if "--out" not in arguments:
        arguments = ["--out", "demo-output"] + arguments
    return subprocess.call([str(python), "-m", "LRformerSlicerLib", "demo"] + arguments)


def run_tests(python, arguments):
    # Neither a screen nor a graphics card is needed, and a screen that is there shall not flicker.
    settings = dict(os.environ, QT_QPA_PLATFORM="offscreen", MPLBACKEND="Agg")
    return subprocess.call([str(python), "-m", "pytest"] + arguments, cwd=str(REPOSITORY), env=settings)


def run_screenshots(python):
    settings = dict(os.environ, QT_QPA_PLATFORM="offscreen")
    return subprocess.call([str(python), str(REPOSITORY / "Testing" / "screenshots.py")], env=settings)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

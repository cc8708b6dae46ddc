"""The virtual environment in .venv: made once, repaired when damaged, made anew when its pins change.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_GLIBC = (2, 34)
STAMP = "lrformer-stamp.json"
PINS = ("Testing/requirements-torch.txt", "Testing/requirements.txt")

# Prints what is installed, and the first package that lost files.  Runs in the environment's own Python.
INVENTORY = """
import importlib.metadata, json, os, sys
versions, damaged = {}, None
for package in importlib.metadata.distributions():
    versions[package.name] = package.version
    # An installation that was cut short has its METADATA but no RECORD yet, and then files is None.
    files = package.files if package.files is not None else ["the record of files is missing"]
    if not all(os.path.exists(package.locate_file(file)) for file in files if not str(file).endswith(".pyc")):
        damaged = package.name
print(json.dumps({"python": sys.version_info[:2], "versions": versions, "damaged": damaged}))
"""


class SetUpError(Exception):
    """The message is one sentence for the user that says what to do."""


def set_up(repository: Path) -> Path:
    """Make or repair ``repository/.venv``; returns the path of its Python.

    Installs nothing where the stamp says that all is there and it is.  Raises SetUpError.
    """
    folder = repository / ".venv"
    key = stamp_key(repository)
    python = python_of(folder)
    stamp = read_stamp(folder)
    found = inventory(python)
    if stamp is not None and is_whole(found) and stamp["key"] == key:
        if set(stamp["versions"].items()) <= set(found["versions"].items()):
            return python
    check_machine()
    if folder.exists():
        moved = stamp is not None and stamp["place"] != str(repository.resolve())
        if is_whole(found) and not moved and found["python"] == list(sys.version_info[:2]):
            print(f"Bringing the environment {folder} up to date", flush=True)
        else:
            print(f"The environment {folder} is damaged or of another Python: making it anew", flush=True)
            discard(folder)
    return install(repository, folder, key)


def install(repository: Path, folder: Path, key: str) -> Path:
    """The work of `set_up`, where there is something to do."""
    started = time.monotonic()
    python = python_of(folder)
    if not python.exists():
        print(f"1/4 Making the environment {folder}", flush=True)
        call([sys.executable, "-m", "venv", str(folder)], "The environment could not be made (the reason is above)")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install"]
    if not sys.stdout.isatty():
        pip += ["--quiet", "--quiet", "--progress-bar", "off"]  # errors only
    # --no-deps: the pins are the whole list, so nothing that is not written down comes in.
    pins = [str(repository / name) for name in PINS]
    print("2/4 Installing PyTorch (up to 3 GB, once)", flush=True)
    download([*pip, "-r", pins[0]])
    print("3/4 Installing the other packages (about 1 GB, once)", flush=True)
    download([*pip, "--no-deps", "--only-binary", ":all:", "-r", pins[1]])
    print("4/4 Installing the lrformer command", flush=True)
    download([*pip, "--no-deps", "--no-build-isolation", "--editable", str(repository)])
    found = inventory(python)
    if not is_whole(found):
        raise SetUpError(f"The environment {folder} is incomplete after installing: delete it and run this again.")
    write_stamp(folder, {"key": key, "place": str(repository.resolve()), "versions": found["versions"]})
    print(f"Set-up took {time.monotonic() - started:.0f} s", flush=True)
    return python


def check_machine() -> None:
    """What the machine must have before anything is installed.  Raises SetUpError."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetUpError(
            "This Python cannot make virtual environments: install its venv module (on Debian and Ubuntu: "
            "apt-get install python3-venv), then run the same command again."
        )
    library, version = platform.libc_ver()
    if library == "glibc" and tuple(int(part) for part in version.split(".")[:2]) < OLDEST_GLIBC:
        raise SetUpError(
            f"The packages need glibc 2.34 or newer, and this system has {version}: use Debian 12, Ubuntu 22.04 or "
            "newer."
        )


def stamp_key(repository: Path) -> str:
    """Changes with whatever the environment depends on: the pins, the project's own metadata, the Python, the place."""
    digest = hashlib.sha256()
    for name in (*PINS, "pyproject.toml"):
        digest.update((repository / name).read_bytes())
    digest.update(repr((sys.version_info[:2], platform.machine(), str(repository.resolve()))).encode())
    return digest.hexdigest()


def read_stamp(folder: Path) -> dict | None:
    """The stamp, or None where there is none or it is not a whole one."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return stamp if {"key", "place", "versions"} <= set(stamp) else None
    except (OSError, ValueError, TypeError):
        return None


def write_stamp(folder: Path, stamp: dict) -> None:
    """Whole or not at all, so that an interrupted set-up is never taken for a finished one."""
    beside = folder / (STAMP + ".new")
    beside.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    beside.replace(folder / STAMP)


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def inventory(python: Path) -> dict | None:
    """The installed versions and the first damaged package, or None where the environment's Python or pip fails."""
    if not python.exists():
        return None
    answer = subprocess.run([str(python), "-c", INVENTORY], capture_output=True, check=False)
    try:
        found = json.loads(answer.stdout.decode())
    except ValueError:
        return None
    return found if answer.returncode == 0 and "pip" in found["versions"] else None


def is_whole(found: dict | None) -> bool:
    """Whether an `inventory` tells of a working environment without damaged packages."""
    return found is not None and found["damaged"] is None


def discard(folder: Path) -> None:
    """Remove an environment; it holds nothing but what set-up put there."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        sentence = f"{folder} cannot be removed ({error.strerror}): delete it by hand, then run this again."
        raise SetUpError(sentence) from error


def call(command: list[str], failure: str) -> None:
    if subprocess.call(command) != 0:
        raise SetUpError(failure + ": mend that, then run the same command again.")


def download(command: list[str]) -> None:
    call(command, "A package could not be installed (pip's own words are above; often the network or a proxy)")

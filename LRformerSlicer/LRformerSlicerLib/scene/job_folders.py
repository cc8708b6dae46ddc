"""The folders in Slicer's temporary folder that hold the volumes of a job, and those that a crash has left there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

PREFIX = "LRformerSlicer-"
OLDEST_WITHOUT_PROCESS_S = 24 * 3600
"""A folder whose process nobody can ask for (no psutil yet, a name of an earlier version) is left alone for so long."""

_NAME = re.compile(rf"{PREFIX}(?:(\d+)-)?[a-z0-9_]{{8}}")


def makeJobFolder(temporaryFolder: str) -> Path:
    """A new folder for one job, named after this process. Raises OSError."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=temporaryFolder))


def removeLeftJobFolders(temporaryFolder: str) -> list[str]:
    """Remove the job folders whose process has ended: their volumes are of patients. Returns their names.

    Folders of other names, of other users, of processes that run, and links are left alone.
    """
    removed = []
    try:
        entries = list(os.scandir(temporaryFolder))
    except OSError:
        return removed
    for entry in entries:
        found = _NAME.fullmatch(entry.name)
        if found is None or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        isMine = not hasattr(os, "getuid") or state.st_uid == os.getuid()
        if isMine and _hasEnded(found[1], state.st_mtime):
            shutil.rmtree(entry.path, ignore_errors=True)
            removed.append(entry.name)
    return removed


def _hasEnded(process: str | None, madeAt: float) -> bool:
    """Whether the process that made a folder at that time has ended; another one may have its number by now."""
    try:
        import psutil
    except ModuleNotFoundError:
        psutil = None
    if psutil is None or process is None:
        return time.time() - madeAt > OLDEST_WITHOUT_PROCESS_S
    try:
        return psutil.Process(int(process)).create_time() > madeAt + 1
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OverflowError):
        return False

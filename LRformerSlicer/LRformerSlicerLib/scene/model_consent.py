"""Model files that a scene names: asked for before the worker opens one that may come from somebody else."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.model_folder import modelFolder
from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER

MODEL_OPTIONS = ("model", "medsam_checkpoint")
ALLOWED_SETTING = "LRformerSlicer/AllowedModelFiles"
"""In Slicer's own settings: what was allowed once is not asked for again. A line a path."""

_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "afpfs", "webdav", "davfs", "sshfs", "fuse.sshfs", "9p", "ncpfs")


def requireConsent(options: Mapping[str, Any]) -> None:
    """Ask for each model file that lies on a network share or elsewhere than in the user's own model folder.

    The path may have come with a scene from somebody else. On a network share, opening it alone already tells that
    machine the user's name and on Windows a hash of the password, so that its name decides before it is touched.
    Raises UserError where it is not allowed, and in Slicer's --testing mode, where nobody can be asked.
    """
    for name in MODEL_OPTIONS:
        path = str(options.get(name) or "")
        if not path or path in _allowed() or _isOwn(path):
            continue
        refusal = _("The model file {path} was not allowed: choose another one in Advanced.").format(path=path)
        if slicer.app.testingEnabled():
            raise UserError(refusal)
        question = _(
            "The model file {path} lies outside of your model folder{where}. It may have come with a scene from "
            "somebody else. Use it?"
        )
        where = _(", on a network share") if isOnNetwork(path) else ""
        if not slicer.util.confirmYesNoDisplay(question.format(path=path, where=where)):
            raise UserError(refusal)
        allow(path)


def allow(path: str) -> None:
    """Ask no more for the file at `path`: the user has chosen it."""
    qt.QSettings().setValue(ALLOWED_SETTING, "\n".join([*sorted(_allowed() - {path}), path]))


def isOnNetwork(path: str) -> bool:
    """Whether a path leads to another machine, by its name and, for one of this machine, by its file system."""
    if path.startswith(("\\\\", "//")) or "://" in path:
        return True
    if sys.platform == "win32":
        import ctypes

        drive = PureWindowsPath(path).drive
        return bool(drive) and ctypes.windll.kernel32.GetDriveTypeW(drive + "\\") == 4  # DRIVE_REMOTE
    return _fileSystemOf(path).startswith(_NETWORK_FILE_SYSTEMS)


def _fileSystemOf(path: str) -> str:
    """The kind of file system that holds an absolute path, "" where nobody tells; the path itself is not touched."""
    try:
        import psutil
    except ModuleNotFoundError:
        return ""
    wanted = os.path.normpath(path)
    mounts = [
        (len(one.mountpoint), one.fstype.lower())
        for one in psutil.disk_partitions(all=True)
        if wanted == one.mountpoint or wanted.startswith(one.mountpoint.rstrip("/") + "/")
    ]
    return max(mounts, default=(0, ""))[1]


def _isOwn(path: str) -> bool:
    """Whether a file of this machine lies in the model folder or came with the extension."""
    if isOnNetwork(path):
        return False
    real = Path(path).resolve()
    # A link in the model folder may lead to a share.
    if isOnNetwork(str(real)):
        return False
    return any(real.is_relative_to(Path(folder).resolve()) for folder in (modelFolder(), EXTENSION_FOLDER))


def _allowed() -> set[str]:
    return set(str(slicer.util.settingsValue(ALLOWED_SETTING, "")).split("\n")) - {""}

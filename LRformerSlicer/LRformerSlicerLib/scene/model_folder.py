"""The folder for files that do not come with the extension: weights, and wheels for machines without internet."""

from __future__ import annotations

from pathlib import Path

import slicer

from LRformerSlicerLib.weights.folder import default_folder

FOLDER_SETTING = "LRformerSlicer/ModelFolder"
"""In Slicer's own settings, not in the scene: the folder belongs to the machine."""


def modelFolder() -> Path:
    """The folder of downloaded weights, as the user has chosen it."""
    return Path(slicer.util.settingsValue(FOLDER_SETTING, "") or default_folder())


def wheelFolder() -> Path:
    """Where Python packages (.whl) lie that somebody brought here by hand."""
    return modelFolder() / "wheels"

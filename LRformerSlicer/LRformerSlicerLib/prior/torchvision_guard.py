"""Importing torchvision beside a torch it was not built for.

segment-anything and timm import torchvision, of which the prior uses nothing that is compiled.  A torchvision built
for CUDA beside a CPU-only torch (what PyPI and a hospital's mirror readily combine) fails at its own import with
"operator torchvision::nms does not exist", because it describes operators that its missing binary never registered.
Declaring those operators, without an implementation, lets the import through; calling one still fails loudly.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

_declared = None  # torch.library.Library withdraws its operators when it is collected


def ensure_torchvision_imports() -> None:
    """Import torchvision, declaring its operators first if its own binary cannot.

    Raises:
        ImportError: torchvision is not installed, or fails for another reason.
    """
    global _declared
    if "torchvision" in sys.modules:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _declared = _declare_operators()
        import torchvision  # noqa: F401


def _declare_operators() -> object:
    import torch

    folder = Path(next(iter(importlib.util.find_spec("torchvision").submodule_search_locations)))
    source = (folder / "_meta_registrations.py").read_text(encoding="utf-8")
    names = set(re.findall(r"torchvision::(\w+)", source)) | set(re.findall(r"register_meta\(\"(\w+)\"\)", source))
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(names):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor unused) -> Tensor")
    return library

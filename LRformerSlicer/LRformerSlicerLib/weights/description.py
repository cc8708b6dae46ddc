"""What is known of a file of weights before it is there; kept as JSON, so that a site can name a mirror of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

MEDSAM_DESCRIPTION = Path(__file__).resolve().parents[2] / "Resources" / "Weights" / "medsam_vit_b.json"


@dataclass(frozen=True)
class WeightFile:
    """One file: its name, where it can be had, and what it must be.

    sha256 is lower-case hex.
    """

    name: str
    title: str
    url: str
    size_bytes: int
    sha256: str


def read_description(path: Path = MEDSAM_DESCRIPTION) -> WeightFile:
    """The description in the JSON file at `path`. Raises UserError when that is none."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        weights = WeightFile(**{name: content[name] for name in WeightFile.__dataclass_fields__})
        sound = Path(weights.name).name == weights.name and len(bytes.fromhex(weights.sha256)) == 32
        if not sound or weights.size_bytes <= 0 or not weights.url.startswith(("https://", "http://")):
            raise ValueError("a value is out of range")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not describe a file of weights ({error}): reinstall LRformerSlicer.") from error
    return weights

"""SHA256 of files, the identity of every weight this project loads."""

from __future__ import annotations

import hashlib
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA256 of a file, as lower-case hex; read in pieces, so that a checkpoint of any size fits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()

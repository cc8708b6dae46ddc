"""Downloads a file of weights: goes on where an earlier try ended, and gives the file its name only when it is right.

Standard library only (urllib); runs in a process of its own, so that cancelling is ending that process.  What has come
so far lies beside the target under ``NAME.part``.
"""

from __future__ import annotations

import errno
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ..errors import UserError
from ..hashing import file_sha256
from .description import WeightFile
from .folder import PART_SUFFIX

PIECE_BYTES = 1 << 18
TIMEOUT_S = 30.0
"""Without a byte for so long a connection counts as broken."""

SPARE_BYTES = 50_000_000
"""What must stay free on the disk."""

Report = Callable[[int, int, "float | None"], None]
"""Called with the bytes that are there, the bytes in all and the seconds left (None while unknown)."""


def download(weights: WeightFile, target: Path, report: Report = lambda done, total, seconds_left: None) -> Path:
    """Bring `weights` to `target`; returns it. A right file that is there already is kept.

    Raises UserError: server not reached, connection broken (a second call goes on), disk full, wrong size or SHA256
    (nothing is kept).  In every case `target` is either complete and right or as it was before.
    """
    target = Path(target)
    if _is_right(target, weights):
        return target
    part = target.with_name(target.name + PART_SUFFIX)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if _size(part) > weights.size_bytes:
            part.unlink()
        _check_space(target.parent, weights.size_bytes - _size(part))
        if _size(part) < weights.size_bytes:
            _receive(weights, part, report)
        _check_complete(part, weights)
        os.replace(part, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sentence = f"The disk with {target.parent} is full: free some space, then click Download again to go on."
        else:
            sentence = f"{target.parent} cannot be written to ({error.strerror}): choose another folder for the models."
        raise UserError(sentence) from error
    return target


def _receive(weights: WeightFile, part: Path, report: Report) -> None:
    """Append to `part` what the server sends until it ends, by itself or by accident."""
    response = _open(weights, part)
    with response, part.open("ab" if response.status == http.client.PARTIAL_CONTENT else "wb") as file:
        started_s, first = time.monotonic(), file.tell()
        done = first
        while done <= weights.size_bytes:
            try:
                piece = response.read(PIECE_BYTES)
            except (OSError, http.client.HTTPException):  # reset, timed out: as if it had ended here
                break
            if not piece:
                break
            file.write(piece)
            done += len(piece)
            rate = (done - first) / max(time.monotonic() - started_s, 1e-3)
            left = max(weights.size_bytes - done, 0)
            report(min(done, weights.size_bytes), weights.size_bytes, left / rate if rate > 0 else None)
        file.flush()
        os.fsync(file.fileno())


def _open(weights: WeightFile, part: Path):
    """The server's answer, for the rest of the file where a part of it is there. Raises UserError."""
    headers = {"User-Agent": "LRformerSlicer", "Accept-Encoding": "identity"}
    first = _size(part)
    if first:
        headers["Range"] = f"bytes={first}-"
    advice = f"check the connection and the proxy, or get {weights.name} elsewhere and choose it by hand"
    try:
        response = urllib.request.urlopen(urllib.request.Request(weights.url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and first:
            part.unlink()
            return _open(weights, part)
        raise UserError(f"The server answered {error.code} ({error.reason}) for {weights.url}: {advice}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"{weights.url} could not be reached ({reason}): {advice}.") from error
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    if response.status == http.client.PARTIAL_CONTENT and start != str(first):
        response.close()
        part.unlink()
        return _open(weights, part)
    return response


def _check_complete(part: Path, weights: WeightFile) -> None:
    size = _size(part)
    if size < weights.size_bytes:
        raise UserError(
            f"The connection broke after {size / 1e6:.1f} of {weights.size_bytes / 1e6:.1f} MB: "
            "click Download again, it goes on from there."
        )
    if not _is_right(part, weights):
        part.unlink()
        raise UserError(
            f"What the server sent is not {weights.title} (its SHA256 is another one) and was deleted: try again "
            f"later, or get {weights.name} elsewhere and choose it by hand."
        )


def _check_space(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise UserError(
            f"{needed_bytes / 1e6:.0f} MB are to come and {folder} has {free_bytes / 1e6:.0f} MB left: free some "
            "space, or choose another folder for the models."
        )


def _is_right(path: Path, weights: WeightFile) -> bool:
    return _size(path) == weights.size_bytes and file_sha256(path) == weights.sha256


def _size(path: Path) -> int:
    """Bytes of the file, 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0

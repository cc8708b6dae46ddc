"""What has been restored into a folder so far: a plain JSON file beside the results."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import UserError
from .volume_io import TEMPORARY_PREFIX, write_all

RECORD_NAME = "lrformer-folder.json"
LOCK_NAME = ".lrformer-folder.lock"
_LAYOUT = 1


class FolderRecord:
    """The record of an output folder; every change is written at once, whole or not at all.

    A volume counts as finished only where its entry says so, its input files and the options are those of the entry,
    and every file that was written is there with its size.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / RECORD_NAME
        self.was_damaged = False
        self.entries: dict[str, dict] = self._read()

    def is_finished(self, name: str, source: dict, options: dict) -> bool:
        """Whether `name` need not be restored again; source as `source_state` gives it."""
        entry = self.entries.get(name)
        if not entry or entry.get("outcome") != "restored":
            return False
        if entry.get("source") != source or entry.get("options") != options:
            return False
        files = entry.get("files") or {}
        return bool(files) and all(_size(self._folder / file) == size for file, size in files.items())

    def note(self, name: str, entry: dict) -> None:
        """Put an entry into the record and write it."""
        self.entries[name] = entry
        content = {"layout": _LAYOUT, "volumes": dict(sorted(self.entries.items()))}
        write_all({}, {self.path: json.dumps(content, indent=1, ensure_ascii=False) + "\n"})

    def _read(self) -> dict[str, dict]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            entries = content["volumes"]
            if content["layout"] != _LAYOUT or not all(isinstance(entry, dict) for entry in entries.values()):
                raise ValueError
            return dict(entries)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f'"{self.path}" cannot be read: check its permissions.') from error
        except (ValueError, KeyError, TypeError, AttributeError):
            self.was_damaged = True
            return {}


def source_state(files: tuple[Path, ...]) -> dict:
    """What tells whether input files are still the same: number, bytes, and a hash of names, sizes and times."""
    digest, size = hashlib.sha256(), 0
    for file in files:
        try:
            state = file.stat()
        except OSError as error:
            raise UserError(f'"{file}" cannot be read: check its permissions.') from error
        size += state.st_size
        digest.update(f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return {"files": len(files), "bytes": size, "listing_sha256": digest.hexdigest()}


@contextlib.contextmanager
def folder_to_oneself(folder: Path) -> Iterator[None]:
    """Nobody else restores into `folder` meanwhile; what a killed run left half-written there is removed.

    Raises UserError where another run is at it. The system lets go of the lock however a process ends.
    """
    try:
        lock = (folder / LOCK_NAME).open("a+b")
    except OSError as error:
        sentence = f'The folder "{folder}" cannot be written to: choose another or change its permissions.'
        raise UserError(sentence) from error
    with lock:
        if not _try_lock(lock.fileno()) or not _is_at(lock.name, lock.fileno()):
            raise UserError(f'Another lrformer restores into "{folder}": wait until it is done, or stop it first.')
        try:
            _remove_remains(folder)
            yield
        finally:
            # Windows removes no open file; the empty one that stays there does no harm.
            with contextlib.suppress(OSError):
                os.unlink(lock.name)


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks: two runs at once are then for the user to avoid.
        return os.name != "nt"
    return True


def _is_at(path: str, descriptor: int) -> bool:
    """Whether the open file is still the one with that name: the run before removes it when it ends."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def _remove_remains(folder: Path) -> None:
    for root, folders, _ in os.walk(folder):
        for name in [name for name in folders if name.startswith(TEMPORARY_PREFIX)]:
            folders.remove(name)
            shutil.rmtree(Path(root) / name, ignore_errors=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None

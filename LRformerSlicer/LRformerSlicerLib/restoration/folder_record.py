"""What has been restored into a folder so far: a plain JSON file beside the results."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ..errors import UserError
from .output_files import remove_temporary_folders, write_all
from .volume_files.check import files_of
from .volume_files.voxel_data import FileProblem, regular_file_bytes

RECORD_NAME = "lrformer-folder.json"
LOCK_NAME = ".lrformer-folder.lock"
LARGEST_RECORD_BYTES = 1 << 28
_LAYOUT = 1
_ENTRY_TYPES = {
    **dict.fromkeys(("task", "task_reason", "model", "model_sha256", "model_file", "prior", "device"), str),
    **{"files": dict, "warnings": list, "sentence": str, "detail": str, "seconds": (int, float)},
    **{"source": dict, "options": dict},
}


class FolderRecord:
    """The record of an output folder; every change is written at once, whole or not at all.

    A volume counts as finished only where its entry says so, its input files and the options are those of the entry,
    and every file that was written is there with its size. `written` are the files that lrformer has written into the
    folder, by their paths below it; nothing else there is ever replaced or removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / RECORD_NAME
        self.was_damaged = False
        self.entries: dict[str, dict] = {}
        self.written: set[str] = set()
        self._read()

    def is_finished(self, name: str, source: dict, options: dict) -> bool:
        """Whether `name` need not be restored again; source as `source_state` gives it."""
        entry = self.entries.get(name)
        if not entry or entry.get("outcome") != "restored":
            return False
        if entry.get("source") != source or entry.get("options") != options:
            return False
        files = entry.get("files") or {}
        return bool(files) and all(_size(self._folder / file) == size for file, size in files.items())

    def earlier_files(self, name: str) -> list[Path]:
        """The files that an earlier run has written for `name`."""
        return [self._folder.resolve() / file for file in self.entries.get(name, {}).get("files", {})]

    def is_ours(self, path: Path) -> bool:
        """Whether lrformer has written the file at `path`, below the folder, or nothing is there."""
        return not os.path.lexists(path) or path.relative_to(self._folder).as_posix() in self.written

    def begin(self, files: Iterable[Path]) -> None:
        """Note files that are going to be written, so that they count as ours although the run may be killed."""
        self.written |= {file.relative_to(self._folder).as_posix() for file in files}
        self._write()

    def note(self, name: str, entry: dict) -> None:
        """Put an entry into the record and write it."""
        self.entries[name] = entry
        self.written |= set(entry.get("files", ()))
        self._write()

    def end(self) -> None:
        """Let go of what was going to be written and was not: somebody else may put a file there."""
        self._forget_missing()
        self._write()

    def _write(self) -> None:
        content = {
            "layout": _LAYOUT,
            "volumes": dict(sorted(self.entries.items())),
            "written": sorted(self.written),
        }
        write_all({}, {self.path: json.dumps(content, indent=1, ensure_ascii=False) + "\n"})

    def _read(self) -> None:
        if not os.path.lexists(self.path):
            return
        try:
            if regular_file_bytes(self.path) > LARGEST_RECORD_BYTES:
                raise ValueError
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["layout"] != _LAYOUT:
                raise ValueError
            entries, written = content["volumes"], content.get("written", [])
            if not isinstance(entries, dict) or not isinstance(written, list):
                raise ValueError
        except OSError as error:
            raise UserError(f'"{self.path}" cannot be read: check its permissions.') from error
        except FileProblem as error:
            raise UserError(f'"{self.path}" is not a file: remove it, or choose another output folder.') from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.was_damaged = True
            return
        self.entries = {name: entry for name, entry in entries.items() if _is_entry(entry)}
        # Of a record before there was a list, the entries say it.
        self.written = {file for file in written if _is_inside(file)}
        self.written |= {file for entry in self.entries.values() for file in entry.get("files", ())}
        self.was_damaged = len(self.entries) < len(entries)
        self._forget_missing()

    def _forget_missing(self) -> None:
        self.written = {file for file in self.written if os.path.lexists(self._folder / file)}


def _is_entry(entry: object) -> bool:
    """Whether what the record says of a volume has the types that it was written with."""
    if not isinstance(entry, dict) or entry.get("outcome") not in ("restored", "left out", "failed"):
        return False
    for key, kinds in _ENTRY_TYPES.items():
        if key in entry and (not isinstance(entry[key], kinds) or isinstance(entry[key], bool)):
            return False
    files, warnings = entry.get("files", {}), entry.get("warnings", [])
    return (
        all(_is_inside(file) and type(size) is int for file, size in files.items())
        and all(isinstance(warning, str) for warning in warnings)
        and math.isfinite(entry.get("seconds", 0))
    )


def _is_inside(file: object) -> bool:
    """Whether a path in the record leads to a place below the folder."""
    if not isinstance(file, str) or not file or "\0" in file or "\\" in file:
        return False
    return not PurePosixPath(file).is_absolute() and ".." not in PurePosixPath(file).parts and ":" not in file[:2]


def source_state(files: tuple[Path, ...]) -> dict:
    """What tells whether input files are still the same: number, bytes, and a hash of names, sizes and times.

    The voxels of a header (.mhd, .nhdr, .hdr) lie in a file of their own, which counts, too.
    """
    digest, size = hashlib.sha256(), 0
    files = tuple(part for file in files for part in files_of(file))
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
            remove_temporary_folders(folder)
            yield
        finally:
            # Windows removes no open file; the empty one that stays there does no harm.
            with contextlib.suppress(OSError):
                if os.path.getsize(lock.name) == 0:  # what holds something is somebody else's
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


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None

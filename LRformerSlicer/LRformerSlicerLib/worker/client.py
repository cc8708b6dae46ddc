"""The parent's end of the worker: starts it, sends jobs, is polled for events, ends its whole process tree.

For use inside Slicer: standard library and psutil only, no torch, no Qt, and no threads (Slicer's event loop holds
Python's lock, so that a reading thread would starve).  A QTimer calls :meth:`WorkerClient.poll`.

>>> client = WorkerClient()
>>> request_id = client.submit("restore", "ct.nrrd", {"restored": "out.nrrd"}, {"task": "ct-denoise"})
>>> while client.busy:                # in Slicer: a QTimer
...     for event in client.poll():
...         print(event)
>>> client.close()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.worker.messages import (
    DoneEvent,
    ErrorEvent,
    Event,
    MessageError,
    Request,
    decode_event,
    encode,
)

CANCEL_LIMIT_S = 2.0
"""A cancelled worker and all its children are gone within this time."""

DETAIL_LINES = 40
"""How much of the worker's standard error goes into an error's detail."""


_LIBRARY_PARENT = str(Path(__file__).resolve().parents[2])
"""The folder with LRformerSlicerLib; also the worker's working folder, for ``python -m`` looks for modules there first
and a stray torch.py elsewhere must not win."""


def worker_command() -> list[str]:
    """The command that starts the worker in the Python that has torch.

    Inside Slicer ``sys.executable`` may be the application; ``PythonSlicer`` beside it is its Python with all its
    packages.  Elsewhere it is the Python that runs this.  PATH is not searched: on Windows that begins with the working
    folder, where anybody may have put a program of that name.
    """
    return [str(python_slicer(Path(sys.executable)) or sys.executable), "-m", "LRformerSlicerLib", "serve"]


def python_slicer(executable: Path) -> Path | None:
    """PythonSlicer in the folder of Slicer's executable or in the folder bin beside it, if it is there."""
    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    here = executable.resolve().parent
    places = (here, here / "bin", here.parent / "bin")
    return next((folder / name for folder in places if (folder / name).is_file()), None)


def worker_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for the worker: `base` (this process's own by default) with LRformerSlicerLib on PYTHONPATH.

    The variables that would make Python prompt, print or write elsewhere are taken out.
    """
    environment = dict(os.environ if base is None else base)
    for name in ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONVERBOSE", "PYTHONDEBUG", "PYTHONWARNINGS"):
        environment.pop(name, None)
    others = [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p and p != _LIBRARY_PARENT]
    environment["PYTHONPATH"] = os.pathsep.join([_LIBRARY_PARENT, *others])
    environment["PYTHONUTF8"] = "1"  # file names with umlauts also where the locale is C
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


class WorkerClient:
    """One worker process, started when first needed, and again by the next job when it has ended."""

    def __init__(self, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._command = list(command) if command else worker_command()
        self._environment = dict(environment) if environment is not None else worker_environment()
        self._process: subprocess.Popen[bytes] | None = None
        self._standard_error: Any = None
        self._unfinished_line = b""
        self._open_requests: list[str] = []
        self._last_id = 0

    @property
    def busy(self) -> bool:
        """Whether a job is waiting for its DoneEvent or ErrorEvent."""
        return bool(self._open_requests)

    @property
    def pid(self) -> int | None:
        """Process id of the running worker (of the launcher where there is one), None when there is none."""
        return self._process.pid if self._is_alive() else None

    def start(self) -> None:
        """Start the process unless it runs. Raises UserError when the Python cannot be started."""
        if self._is_alive():
            return
        self._release()
        # A file and not a pipe: nobody has to empty it, and it survives the process for the error's detail.
        self._standard_error = tempfile.TemporaryFile(prefix="lrformer-worker-")
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._standard_error,
                env=self._environment,
                bufsize=0,
                cwd=_LIBRARY_PARENT,
                **_own_process_group(),
            )
        except OSError as error:
            self._release()
            raise UserError(
                f"The restoration process could not be started ({self._command[0]}: {error.strerror}): "
                "reinstall LRformerSlicer or Slicer."
            ) from error
        # For pipes on Windows this is new in Python 3.12, which every supported Slicer has.
        os.set_blocking(self._process.stdout.fileno(), False)

    def submit(
        self,
        kind: str,
        input: str | Path = "",
        outputs: Mapping[str, str | Path] | None = None,
        options: Mapping[str, Any] | None = None,
        slice: int | None = None,
        modality: str | None = None,
        reference: str | Path = "",
    ) -> str:
        """Send a request (see messages.Request), starting the worker if need be; returns the request's id.

        Raises UserError when the worker cannot be started or ends at once.
        """
        self.start()
        self._last_id += 1
        request = Request(
            id=str(self._last_id),
            kind=kind,
            slice=slice,
            modality=modality,
            options=dict(options or {}),
            input=os.path.abspath(input) if input else "",  # its working folder is not ours
            reference=os.path.abspath(reference) if reference else "",
            outputs={name: os.path.abspath(path) for name, path in (outputs or {}).items()},
        )
        try:
            self._process.stdin.write(encode(request))
        except OSError as error:
            detail = self._error_tail()
            self._end_tree()
            self._release()
            raise UserError(
                "The restoration process ended as soon as it was started: see the Python console for its "
                f"last words.\n{detail}".rstrip()
            ) from error
        self._open_requests.append(request.id)
        return request.id

    def poll(self) -> list[Event]:
        """The events that have come since the last call; returns at once.

        When the process has ended with jobs open, each of them gets one ErrorEvent of kind "worker".
        """
        if self._process is None:
            return []
        # Asked before reading: what the process wrote before it ended is then certain to be in the pipe.
        ended = not self._is_alive()
        events = [event for line in self._read_lines() if (event := self._decode(line)) is not None]
        for event in events:
            if isinstance(event, (DoneEvent, ErrorEvent)) and event.id in self._open_requests:
                self._open_requests.remove(event.id)
        if ended:
            events += self._bury()
        return events

    def cancel(self) -> float:
        """End the worker and every process under it, forget its jobs; returns the seconds it took.

        The next job starts a new worker.
        """
        started = time.perf_counter()
        self._end_tree()
        self._release()
        return time.perf_counter() - started

    def close(self) -> None:
        """End the worker for good, as at the end of Slicer: no process is left behind."""
        self.cancel()

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _read_lines(self) -> list[bytes]:
        received = [self._unfinished_line]
        with contextlib.suppress(BlockingIOError, OSError):
            while chunk := os.read(self._process.stdout.fileno(), 65536):
                received.append(chunk)
        *lines, self._unfinished_line = b"".join(received).split(b"\n")
        return [line for line in lines if line.strip()]

    def _decode(self, line: bytes) -> Event | None:
        try:
            event = decode_event(line)
        except MessageError as error:
            request_id = self._open_requests[0] if self._open_requests else ""
            return ErrorEvent(
                request_id,
                "internal",
                "The restoration process answered with something that is no message: restart Slicer, then try again.",
                str(error),
            )
        # Late words about a job that was cancelled are nobody's business any more.
        return event if event.id in self._open_requests or event.id == "" else None

    def _bury(self) -> list[Event]:
        """The process has ended by itself: one error for each open job, and nothing left of it."""
        cause = _cause_of_death(self._process.returncode)
        detail = self._error_tail()
        dead = [
            ErrorEvent(
                request_id,
                "worker",
                f"The restoration process ended unexpectedly ({cause}): click Restore to start it again.",
                detail,
            )
            for request_id in self._open_requests
        ]
        self._end_tree()  # a launcher may have died before its child
        self._release()
        return dead

    def _error_tail(self) -> str:
        if self._standard_error is None:
            return ""
        self._standard_error.seek(0)
        lines = self._standard_error.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-DETAIL_LINES:])

    def _end_tree(self) -> None:
        """Kill the process and its descendants, and wait until they are gone. Politeness has nothing to save here."""
        if self._process is None:
            return
        try:
            import psutil
        except ModuleNotFoundError:  # before the packages are installed; downloads do without them
            self._end_group()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=CANCEL_LIMIT_S)
            return

        deadline = time.monotonic() + CANCEL_LIMIT_S
        tree: set[psutil.Process] = set()
        while True:
            tree |= _descendants(self._process.pid)
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._end_group()
            _, alive = psutil.wait_procs(tree, timeout=0.2)
            if not alive or time.monotonic() > deadline:
                break
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)

    def _end_group(self) -> None:
        """Kill those whose parent went first, too: they are no descendants any more, but still of the group."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        elif self._process.poll() is None:
            self._process.kill()

    def _release(self) -> None:
        for stream in (self._process.stdin, self._process.stdout) if self._process else ():
            with contextlib.suppress(OSError):
                stream.close()
        if self._standard_error is not None:
            self._standard_error.close()
        self._process = None
        self._standard_error = None
        self._unfinished_line = b""
        self._open_requests = []


def _descendants(pid: int) -> set:
    """The process `pid` and all under it that still exist (psutil.Process)."""
    import psutil

    try:
        process = psutil.Process(pid)
        return {process, *process.children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()


def _own_process_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _cause_of_death(return_code: int) -> str:
    if return_code >= 0:
        return f"exit status {return_code}"
    try:
        name = signal.Signals(-return_code).name
    except ValueError:
        name = f"signal {-return_code}"
    return f"{name}, perhaps out of memory" if name == "SIGKILL" else f"{name}, a crash and no lack of memory"

"""The processes that restore the volumes of a folder on this machine: pipes, no port, and limits for each volume."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

import psutil

from ..restoration.folder_task import PROGRESS_INTERVAL_S, restore_one
from ..restoration.options import Progress, ProgressCallback, ignore

POLL_S = 0.25
LONGEST_START_S = 600.0
END_TIMEOUT_S = 5.0
DETAIL_LINES = 40

Answer = tuple[str, dict]


@dataclass(frozen=True)
class Limits:
    """Time and memory limits of one volume; None is derived generously from its size."""

    seconds: float | None = None
    memory_bytes: int | None = None

    def of(self, files: list[str], voxels: int | None, options: Mapping) -> tuple[float, float]:
        """Seconds and bytes for a volume of these files, whose voxels are counted once it has been read.

        On two slow cores a slice of 512 x 512 pixels takes 2 s, with ViT-B as the prior 20 s; 60 s and 8 times that are
        allowed. Memory is 11 bytes a voxel of the finest grid (docs/RESTORATION.md); 64 are.
        """
        on_disk = sum(os.path.getsize(file) for file in files if os.path.exists(file))
        if voxels is None:
            seconds, memory = 600 + on_disk / 1e6, 8 * 2**30 + 40 * on_disk
        else:
            passes = (4 if options["self_ensemble"] else 1) * max(1.0, options["samples"] / 4)
            slow = 8 if options["prior"] == "medsam" else 1
            finer = {"mr-sr2": 4, "mr-sr4": 16}.get(options["task"], 16 if options["model"] else 1)
            seconds = 600 + on_disk / 1e6 + 60 * voxels / 2**18 * passes * slow
            memory = 8 * 2**30 + 64 * voxels * finer
        return self.seconds or seconds, self.memory_bytes or memory


def restored_locally(
    tasks: list[dict],
    options: Mapping,
    jobs: int,
    limits: Limits,
    progress: ProgressCallback = ignore,
) -> Iterator[Answer]:
    """The answer to each task (its name, and what restore_one gives) as it comes, `jobs` at a time.

    All processes are gone when the iterator is closed. A volume that takes more than its limits, or whose process dies,
    is answered with a sentence, and the others go on in a new process. Meanwhile `progress` hears once a second how far
    the volume is that was heard of last.
    """
    waiting = deque(tasks)
    threads = threads_for(jobs)
    workers = [_Worker(options, threads, limits) for _ in range(jobs)]
    told_s = 0.0
    try:
        while True:
            for worker in workers:
                if worker.task is None and waiting:
                    worker.give(waiting.popleft())
            busy = [worker for worker in workers if worker.task is not None]
            if not busy:
                return
            connection.wait([worker.connection for worker in busy], timeout=POLL_S)
            for worker in busy:
                name = worker.task["name"]
                if (answer := worker.poll()) is not None:
                    yield name, answer
                elif worker.progress is not None and time.monotonic() - told_s >= PROGRESS_INTERVAL_S:
                    told_s = time.monotonic()
                    told, worker.progress = worker.progress, None
                    progress(Progress(f"{name}: {told.stage}", told.done, told.total, told.seconds_left))
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process, the task it has, and when that is over."""

    def __init__(self, options: Mapping, threads: int, limits: Limits) -> None:
        self._options, self._threads, self._limits = options, threads, limits
        self._process = None
        self._words: Path | None = None
        self.connection = None
        self.task: dict | None = None
        self.progress: Progress | None = None

    def give(self, task: dict) -> None:
        """Begin with a task, in a new process where there is none."""
        self.task, self.progress, self._voxels = task, None, None
        self._started = time.monotonic()
        if self._process is None or not self._process.is_alive():
            self.end()
            self._start()
        with contextlib.suppress(OSError):  # it has just died: `poll` says so
            self.connection.send((task, dict(self._options), self._threads))

    def poll(self) -> dict | None:
        """The answer to the task, if there is one by now; the worker is then free."""
        answer = self._received() or self._over_limit()
        if answer is None and not self._process.is_alive():
            answer = self._received() or self._died()
        if answer is not None:
            self.task = None
        return answer

    def end(self) -> None:
        """Kill the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join(END_TIMEOUT_S)
            self.connection.close()
        if self._words is not None:
            with contextlib.suppress(OSError):
                self._words.unlink()
        self._process = self._words = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        descriptor, name = tempfile.mkstemp(prefix="lrformer-process-", suffix=".log")
        os.close(descriptor)
        self._words = Path(name)
        self._is_ready = False
        with _interrupts_ignored():
            self._process = context.Process(target=_serve, args=(theirs, name), daemon=True)
            self._process.start()
        theirs.close()
        self._watched = psutil.Process(self._process.pid)

    def _received(self) -> dict | None:
        try:
            while self.connection.poll():
                kind, content = self.connection.recv()
                if kind == "answer":
                    return content
                if kind == "ready":  # what it takes to load the libraries is not the volume's
                    self._is_ready, self._started = True, time.monotonic()
                elif kind == "voxels":
                    self._voxels = content
                else:
                    self.progress = content
        except (EOFError, OSError):
            pass
        return None

    def _over_limit(self) -> dict | None:
        seconds, memory = self._limits.of(self.task["files"], self._voxels, self._options)
        seconds = seconds if self._is_ready else max(seconds, LONGEST_START_S)
        sentence = ""
        if time.monotonic() - self._started > seconds:
            sentence = f"It took longer than {seconds / 60:.3g} minutes and was stopped: give a larger --time-limit."
        with contextlib.suppress(psutil.Error):
            if self._watched.memory_info().rss > memory:
                sentence = (
                    f"It needed more than {memory / 2**30:.3g} GiB of memory and was stopped: crop it, or give a "
                    "larger --memory-limit."
                )
        if not sentence:
            return None
        self.end()
        return self._failed(sentence)

    def _died(self) -> dict:
        self._process.join(END_TIMEOUT_S)
        sentence = f"Its process ended by itself ({cause_of_death(self._process.exitcode)}."
        detail = ""
        with contextlib.suppress(OSError):
            detail = "\n".join(self._words.read_text("utf-8", "replace").splitlines()[-DETAIL_LINES:])
        self.end()
        return {**self._failed(sentence), **({"detail": detail} if detail else {})}

    def _failed(self, sentence: str) -> dict:
        seconds = round(time.monotonic() - self._started, 2)
        return {"outcome": "failed", "sentence": sentence, "seconds": seconds}


def cause_of_death(code: int | None) -> str:
    """Explain an exit code and say what to do: killed for lack of memory is not the same as crashed."""
    try:
        name = signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return f"{name}), as where memory runs out: give fewer --jobs, then run this again"
    if name.startswith("exit status"):
        return f"{name}): look at the details in the record"
    return f"{name}), which is a crash and no lack of memory: the volume may be damaged; please report it"


def threads_for(jobs: int) -> int:
    """Return the number of threads for each of `jobs` processes on this machine's cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // jobs)


def _serve(pipe: connection.Connection, words: str) -> None:
    """Restore the volumes that come through the pipe, until it closes."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    # Standard output is the command's; what libraries say is of use where the process dies.
    descriptor = os.open(words, os.O_WRONLY | os.O_APPEND)
    sys.stdout.flush()
    for number in (1, 2):
        os.dup2(descriptor, number)

    def tell(progress: Progress) -> None:
        pipe.send(("progress", progress))

    with contextlib.suppress(ImportError):  # the first volume says what is missing
        importlib.import_module("LRformerSlicerLib.restoration.engine")
    with contextlib.suppress(EOFError, OSError):
        pipe.send(("ready", None))
        while True:
            task, options, threads = pipe.recv()
            answer = restore_one(task, options, threads, tell, lambda voxels: pipe.send(("voxels", voxels)))
            pipe.send(("answer", answer))


def _end_with_parent() -> None:
    """End this process at once when the one that started it has gone, even by a kill."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started meanwhile ignore Ctrl+C, which a terminal sends to all: the one that started them decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

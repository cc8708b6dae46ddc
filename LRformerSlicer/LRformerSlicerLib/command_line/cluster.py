"""The processes that restore the volumes of a folder: Dask's, on this machine or on a cluster elsewhere."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pkgutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import psutil

from .. import __version__
from ..errors import UserError
from ..restoration.folder_task import PROGRESS_INTERVAL_S, PROGRESS_TOPIC, restore_one
from ..restoration.options import Progress, ProgressCallback, ignore

if TYPE_CHECKING:
    from distributed import Client

CONNECT_TIMEOUT_S = 10
END_TIMEOUT_S = 3

Answer = tuple[str, dict]


@contextlib.contextmanager
def local_processes(jobs: int) -> Iterator[Client]:
    """`jobs` processes on this machine, all gone when the block ends, however it ends. Raises UserError."""
    _check_dask()
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        # A process that dies, of too little memory for instance, would die of the same volume again.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-ttl": None,
        "distributed.worker.daemon": True,
    }
    cluster = None
    before = set(psutil.Process().children(recursive=True))
    with tempfile.TemporaryDirectory(prefix="lrformer-") as folder, dask.config.set(settings):
        try:
            with _interrupts_ignored():
                cluster = LocalCluster(
                    n_workers=jobs,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,
                    # No page about the work; a fixed port would clash with that of a second run.
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    local_directory=folder,
                    silence_logs=logging.CRITICAL,
                )
            with Client(cluster) as client, cluster:
                yield client
                return
        except BaseException:
            _end_processes(cluster, before)
            raise


@contextlib.contextmanager
def cluster_at(address: str) -> Iterator[Client]:
    """The workers of the scheduler at `address`. Raises UserError where there are none that can do the work."""
    _check_dask()
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        sentence = f'No Dask scheduler answers at "{address}": check the address, such as tcp://host:8786.'
        raise UserError(sentence) from error
    with client:
        _check_workers(client, address)
        yield client


def restored(
    client: Client,
    tasks: list[dict],
    options: Mapping,
    threads: int | None,
    at_once: int,
    progress: ProgressCallback = ignore,
) -> Iterator[Answer]:
    """The answer to each task (its name, and what restore_one gives) as it comes, `at_once` at a time.

    Meanwhile `progress` hears once a second how far the volume is that was heard of last.
    """
    from distributed import TimeoutError as WaitedEnough
    from distributed import wait

    heard: list[dict] = []
    client.subscribe_topic(PROGRESS_TOPIC, lambda event: heard.append(event[1]))
    names: dict[object, str] = {}
    waiting = iter(tasks)
    while True:
        for task in itertools.islice(waiting, at_once - len(names)):
            future = client.submit(restore_one, task, dict(options), threads, pure=False, retries=0)
            names[future] = task["name"]
        if not names:
            return
        try:
            done, _ = wait(list(names), timeout=PROGRESS_INTERVAL_S, return_when="FIRST_COMPLETED")
        except WaitedEnough:
            done = ()
        for future in done:
            yield names.pop(future), _answer(future)
        if heard and heard[-1]["name"] in names.values():
            latest = heard[-1]
            stage = f"{latest['name']}: {latest['stage']}"
            progress(Progress(stage, latest["done"], latest["total"], latest["seconds_left"]))
        heard.clear()


def _answer(future) -> dict:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        sentence = "Its process ended by itself, as for want of memory: give fewer --jobs, then run this again."
    else:
        sentence = f"Its process could not restore it ({type(error).__name__}: {error})."
    return {"outcome": "failed", "sentence": " ".join(sentence.split()), "seconds": 0.0}


def threads_for(jobs: int) -> int:
    """How many threads each of `jobs` processes should take of this machine's cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // jobs)


def _check_dask() -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            'Restoring a folder needs the Python package distributed (Dask): install it (pip install "distributed"), '
            "or restore the volumes one by one."
        ) from error


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
    except Exception as error:  # Dask's versions raise different kinds of time-out
        raise UserError(f'The Dask scheduler at "{address}" has no workers: start some first.') from error
    try:
        versions = client.run(pkgutil.resolve_name, "LRformerSlicerLib:__version__")
    except Exception as error:
        raise UserError(
            f'The workers of "{address}" do not find LRformerSlicerLib {__version__}: install it there first.'
        ) from error
    other = sorted(set(versions.values()) - {__version__})
    if other:
        raise UserError(
            f'The workers of "{address}" have LRformerSlicer {other[0]} and this is {__version__}: install the same '
            "version there."
        )


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


def _end_processes(cluster, before: set[psutil.Process]) -> None:
    """End at once what the cluster started: Dask itself would wait for the volume that is being restored."""
    for nanny in cluster.workers.values() if cluster is not None else ():
        nanny.auto_restart = False
    mine = [process for process in psutil.Process().children(recursive=True) if process not in before]
    for process in mine:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(mine, timeout=END_TIMEOUT_S)

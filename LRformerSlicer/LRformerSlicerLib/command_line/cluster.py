"""The volumes of a folder restored by a Dask cluster elsewhere; on this machine, local_processes.py does it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import UserError
from ..restoration.folder_task import PROGRESS_INTERVAL_S, restore_one
from ..restoration.options import Progress, ProgressCallback, ignore

if TYPE_CHECKING:
    from distributed import Client

CONNECT_TIMEOUT_S = 10
PROGRESS_TOPIC = "lrformer-progress"

Answer = tuple[str, dict]


@dataclass(frozen=True)
class TLSFiles:
    """The files (PEM) with which a cluster is reached over TLS; all of them or none."""

    ca_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def security(self):
        """Dask's Security, or None without files. Raises UserError where some are missing or cannot be used."""
        given = {"--tls-ca-file": self.ca_file, "--tls-cert": self.cert, "--tls-key": self.key}
        if all(file is None for file in given.values()):
            return None
        for option, file in given.items():
            if file is None:
                raise UserError(f"TLS needs {', '.join(given)}: give {option}, too.")
            if not file.is_file():
                raise UserError(f'There is no file "{file}": check {option}.')
        from distributed.security import Security

        security = Security(
            tls_ca_file=str(self.ca_file),
            tls_client_cert=str(self.cert),
            tls_client_key=str(self.key),
            require_encryption=True,
        )
        try:
            security.get_connection_args("client")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UserError(f"The TLS files do not fit together or are damaged ({error}): check all three.") from error
        return security


@contextlib.contextmanager
def cluster_at(address: str, tls: TLSFiles = TLSFiles()) -> Iterator[Client]:
    """The workers of the scheduler at `address`. Raises UserError where there are none that can do the work."""
    _check_dask()
    security = tls.security()
    if security is not None and not address.startswith("tls://"):
        raise UserError(f'TLS needs an address such as tls://host:8786, not "{address}".')
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S, security=security)
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
            future = client.submit(restore_and_tell, task, dict(options), pure=False, retries=0)
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
        sentence = "Its worker ended by itself, as where memory runs out: look at what the worker said there."
    else:
        sentence = f"Its process could not restore it ({type(error).__name__}: {error})."
    return {"outcome": "failed", "sentence": " ".join(sentence.split()), "seconds": 0.0}


def restore_and_tell(task: dict, options: dict) -> dict:
    """`restore_one` on a worker of the cluster, with as many threads as torch takes; its progress is an event."""
    from distributed import get_worker

    worker = get_worker()

    def tell(progress: Progress) -> None:
        steps = {"done": progress.done, "total": progress.total, "seconds_left": progress.seconds_left}
        worker.log_event(PROGRESS_TOPIC, {"name": task["name"], "stage": progress.stage, **steps})

    return restore_one(task, options, None, tell)


def _check_dask() -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            'A cluster needs the Python package distributed (Dask): install it (pip install "distributed"), '
            "or leave --scheduler out."
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

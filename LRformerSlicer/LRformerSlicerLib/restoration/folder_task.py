"""Restoring one volume of a folder, in whichever process it falls to.

What goes to that process and what comes back are plain dictionaries, so that they can travel.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from ..errors import UserError
from .options import Progress, RestorationOptions

PROGRESS_TOPIC = "lrformer-progress"
PROGRESS_INTERVAL_S = 1.0

_one_at_a_time = threading.Lock()
_restorer = None


def make_task(name: str, files: tuple[Path, ...], output: Path, is_dicom: bool, as_dicom: bool) -> dict:
    """What a process must know to restore one volume: where it comes from and where it goes to."""
    return {
        "name": name,
        "files": [str(file) for file in files],
        "output": str(output),
        "is_dicom": is_dicom,
        "as_dicom": as_dicom,
    }


def restore_one(task: dict, options: dict, threads: int | None) -> dict:
    """Restore a volume and write it, whole or not at all; never raises.

    options: fields of RestorationOptions; threads: for torch, None leaves its choice. Gives "outcome" ("restored" or
    "failed") and "seconds"; a failure has its "sentence" (and for a bug its "detail"), a success its "report" and the
    "files" written, path to bytes. Volumes of one process wait for each other: the network is not made for two threads.
    """
    with _one_at_a_time:
        started = time.perf_counter()
        try:
            answer = {"outcome": "restored", **_restore(task, RestorationOptions(**options), threads)}
        except UserError as error:
            answer = {"outcome": "failed", "sentence": error.message}
        except MemoryError:
            sentence = "There is not enough memory for this volume: close other programs, or give fewer --jobs."
            answer = {"outcome": "failed", "sentence": sentence}
        except ModuleNotFoundError as error:
            sentence = f"The Python package {error.name} is missing: install the requirements."
            answer = {"outcome": "failed", "sentence": sentence}
        except Exception as error:  # a bug with one volume must not end the others
            sentence = f"The restoration failed unexpectedly ({type(error).__name__}: {error})."
            answer = {"outcome": "failed", "sentence": " ".join(sentence.split()), "detail": traceback.format_exc()}
        return {**answer, "seconds": round(time.perf_counter() - started, 2)}


def _restore(task: dict, options: RestorationOptions, threads: int | None) -> dict:
    import torch

    from .dicom_input import read_series
    from .dicom_output import check_source
    from .engine import Restorer
    from .volume_io import check_outputs, read_volume, small_like

    global _restorer
    if threads:
        torch.set_num_threads(threads)
    if _restorer is None:
        _restorer = Restorer()
    files, output = tuple(Path(file) for file in task["files"]), Path(task["output"])
    image = read_series(files) if task["is_dicom"] else read_volume(files[0])
    output.parent.mkdir(parents=True, exist_ok=True)
    if task["as_dicom"]:
        check_source(files)
    elif not task["is_dicom"]:
        check_outputs([*files], [(output, small_like(image))], [], image.GetNumberOfPixels())
    result = _restorer.restore(image, options, _teller(task["name"]))
    written = _write(result, files, output, task["as_dicom"])
    return {"report": result.report, "files": {str(path): os.stat(path).st_size for path in written}}


def _teller(name: str) -> Callable[[Progress], None]:
    """A progress callback that lets whoever waits for this process hear of it, at most once in PROGRESS_INTERVAL_S."""
    from distributed import get_worker

    worker = get_worker()
    last_s = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if progress.total and now_s - last_s >= PROGRESS_INTERVAL_S:
            last_s = now_s
            steps = {"done": progress.done, "total": progress.total, "seconds_left": progress.seconds_left}
            worker.log_event(PROGRESS_TOPIC, {"name": name, "stage": progress.stage, **steps})

    return tell


def _write(result, files: tuple[Path, ...], output: Path, as_dicom: bool) -> list[Path]:
    from .dicom_output import FILE_PATTERN, write_derived_series
    from .volume_io import OutputFiles

    with OutputFiles() as outputs:
        if as_dicom:
            image, report = result.restored, result.report
            outputs.add_folder(output, lambda folder: write_derived_series(folder, image, files, report))
        else:
            outputs.add_image(result.restored, output)
        written = outputs.commit()
    if as_dicom:  # an earlier run may have had more slices
        for stale in set(output.glob(FILE_PATTERN)) - set(written):
            stale.unlink()
    return written

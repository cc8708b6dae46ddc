"""The worker process: reads requests from standard input, serves them one after the other, writes events.

``python -m LRformerSlicerLib serve``.  Models and backbones stay loaded between jobs.  The process ends when asked to
(``shutdown``), and at once when its standard input closes: its parent has then gone, and nobody waits for the result.

Standard output belongs to the messages.  Before anything else is imported, file descriptor 1 is moved aside and
pointed at standard error, so that a library which prints, in Python or in C, cannot break a line.
"""

from __future__ import annotations

import importlib.util
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from LRformerSlicerLib.errors import UserError, known_failure, unforeseen
from LRformerSlicerLib.restoration.options import Progress, RestorationOptions, options_from
from LRformerSlicerLib.worker.messages import (
    DOWNLOAD_OUTPUT,
    LONGEST_LINE_BYTES,
    DoneEvent,
    ErrorEvent,
    Event,
    MessageError,
    ProgressEvent,
    Request,
    WarningEvent,
    decode_request,
    encode,
)

PROGRESS_INTERVAL_S = 0.1
"""Progress within one stage is reported at most this often; a panel cannot show more and the pipe stays empty."""

NO_SCIKIT_IMAGE = (
    "PSNR and SSIM need the Python package scikit-image: enter slicer.util.pip_install('scikit-image') in Slicer's "
    "Python console, then restore again."
)

Send = Callable[[Event], None]


def main() -> int:
    """Serve standard input until it closes or asks for shutdown; returns the exit status."""
    channel = _claim_standard_output()
    write_lock = threading.Lock()

    def send(event: Event) -> None:
        with write_lock:
            try:
                channel.write(encode(event))
                channel.flush()
            except (BrokenPipeError, ValueError):  # the reader has gone, so has the reason to go on
                os._exit(0)

    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(0, requests), name="requests", daemon=True).start()
    jobs = Jobs(send)
    while True:
        line = requests.get()
        try:
            request = decode_request(line)
        except MessageError as error:
            send(
                ErrorEvent(
                    id="",
                    kind="internal",
                    message="The worker was sent a request it does not understand.",
                    detail=str(error),
                )
            )
            continue
        if request.kind == "shutdown":
            send(DoneEvent(request.id))
            return 0
        jobs.serve(request)


class Jobs:
    """Serves requests; holds the one Restorer, which keeps networks and backbones loaded."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._restorer = None

    def serve(self, request: Request) -> None:
        """Do what `request` asks and send its events, the last of them a DoneEvent or an ErrorEvent."""
        try:
            event: Event = DoneEvent(request.id, self._answer(request))
        except Exception as error:  # a bug in one job must not end the worker
            known = known_failure(error)
            sentence, detail = (known, _traceback_of(error)) if known else unforeseen(error)
            event = ErrorEvent(request.id, "user" if known else "internal", sentence, detail)
        self._send(event)

    def _answer(self, request: Request) -> dict:
        if request.kind == "ping":
            return {"pid": os.getpid()}
        return self._download(request) if request.kind == "download" else self._run(request)

    def _download(self, request: Request) -> dict:
        """One file of weights; progress counts bytes."""
        from LRformerSlicerLib.weights.description import read_description
        from LRformerSlicerLib.weights.download import download

        progress = ProgressSender(request.id, self._send)
        progress.stage("download")
        weights = read_description(Path(request.input))
        path = download(
            weights,
            Path(request.outputs[DOWNLOAD_OUTPUT]),
            lambda done, total, seconds_left: progress(Progress("download", done, total, seconds_left)),
        )
        return {"path": str(path), "sha256": weights.sha256}

    def _run(self, request: Request) -> dict:
        """One job from its input file to its output files; returns the report."""
        started = time.perf_counter()
        progress = ProgressSender(request.id, self._send)
        progress.stage("load")
        # Only now: a worker that was merely pinged stays small, and the parent hears of a slow import as a stage.
        from LRformerSlicerLib.restoration.engine import Restorer
        from LRformerSlicerLib.restoration.models import choose_device
        from LRformerSlicerLib.restoration.volume_io import OutputFiles, read_volume
        from LRformerSlicerLib.worker.change_measures import measure_change

        if self._restorer is None:
            self._restorer = Restorer()
        options = options_from({**request.options, "expected_error": "expected_error" in request.outputs})
        progress.device = choose_device(options.device).type
        image = read_volume(Path(request.input))
        _check_files(request, options, image)
        unmeasured = []
        if request.kind == "restore":
            reference = self._reference(request)
            if request.reference and reference is None:
                unmeasured.append(NO_SCIKIT_IMAGE)
            result = self._restorer.restore(image, options, progress, request.modality, reference)
        elif request.kind == "preview":
            result = self._restorer.restore_slice(image, options, request.slice, progress, request.modality)
        else:
            result = self._restorer.produce_prior(image, options, progress, request.modality)
        report = dict(result.report)
        box = options.roi_lps_mm if options.only_roi else None
        axis = "ijk".index(report["slice_axis"])
        with OutputFiles() as files:  # all of them or none
            for number, (name, path) in enumerate(request.outputs.items(), 1):
                progress(Progress("write", number, len(request.outputs), None))
                if not hasattr(type(result), name):  # an instance would make the image to answer
                    raise UserError(f"A {request.kind} job makes no {name} image: do not ask for it.")
                if name == "expected_error" and result.error_model is None:
                    continue
                image = getattr(result, name)
                files.add_image(image, Path(path))
                if name == "difference" and request.kind == "restore":  # while it is there: each access makes it anew
                    report["change"] = measure_change(result.restored, image, report["modality"], box, axis)
            files.commit()
        if request.kind == "restore" and "change" not in report:
            report["change"] = measure_change(result.restored, result.difference, report["modality"], box, axis)
        report["warnings"] = [*report["warnings"], *unmeasured]
        return {**report, "worker_seconds": time.perf_counter() - started}

    def _reference(self, request: Request):
        """The volume to measure against, or None; without the package that measures, a warning and no figures."""
        if not request.reference:
            return None
        from LRformerSlicerLib.restoration.volume_io import read_volume

        if importlib.util.find_spec("skimage") is None:
            self._send(WarningEvent(request.id, NO_SCIKIT_IMAGE))
            return None
        return read_volume(Path(request.reference))


def _traceback_of(error: Exception) -> str:
    """For a failure that is no bug but whose place may help; none for what the user was told in full."""
    return "" if isinstance(error, UserError) else "".join(traceback.format_exception(error))


class ProgressSender:
    """The engine's progress callback: passes each step on as an event, thinned to what a person can see, and each
    warning at once."""

    def __init__(self, request_id: str, send: Send) -> None:
        self._id = request_id
        self._send = send
        self._stage = ""
        self.device = ""
        self._last_sent_s = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.message:
            self._send(WarningEvent(self._id, progress.message))
            return
        now_s = time.monotonic()
        unremarkable = progress.stage == self._stage and progress.done < progress.total
        if unremarkable and now_s - self._last_sent_s < PROGRESS_INTERVAL_S:
            return
        self._stage, self._last_sent_s = progress.stage, now_s
        done, total = progress.done, progress.total
        self._send(ProgressEvent(self._id, progress.stage, done, total, progress.seconds_left, self.device))

    def stage(self, stage: str) -> None:
        """Report that `stage` begins, of a length that nobody knows."""
        self._stage = stage
        self._send(ProgressEvent(self._id, stage, 0, 0, None, self.device))


def _check_files(request: Request, options: RestorationOptions, image) -> None:
    """UserError where an output is an input, another output, no file, or in a folder that cannot be written to."""
    import SimpleITK as sitk

    from LRformerSlicerLib.restoration.output_plan import check_outputs, small_like

    read = [Path(name) for name in (request.input, request.reference) if name]
    images = [
        (Path(path), small_like(image, None if name == "restored" else sitk.sitkFloat32))
        for name, path in request.outputs.items()
    ]
    size = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    check_outputs([*read, options.model, options.medsam_checkpoint], images, [], size)


def _claim_standard_output() -> BinaryIO:
    """Keep descriptor 1 for the messages and give everybody else standard error; returns the message channel."""
    sys.stdout.flush()
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return channel


def _read_lines(descriptor: int, requests: queue.SimpleQueue[bytes]) -> None:
    """Pass the lines read from `descriptor` on; end the process when it closes, whatever is being computed."""
    # os.read and not sys.stdin: at exit Python would wait for the lock that a reader blocked in sys.stdin holds.
    unfinished = b""
    while chunk := os.read(descriptor, 65536):
        *lines, unfinished = (unfinished + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                requests.put(line)
        if (
            len(unfinished) > LONGEST_LINE_BYTES
        ):  # no message: told so, and what follows up to the line's end is another
            requests.put(unfinished)
            unfinished = b""
    # Not sys.exit: that would wait for the job in the main thread. Output files are written beside and renamed, so
    # nothing half-written is left under an output's name.
    os._exit(0)

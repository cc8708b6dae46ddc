"""lrformer restore with a folder as output: every volume of a folder, in several processes, resumable."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
from pathlib import Path

from .. import __version__
from ..errors import UserError
from ..restoration.options import Progress, RestorationOptions, check_options
from ..standard_streams import tell
from .common import Reporter

_TOLD_OF_FINISHED = {"task", "seconds", "warnings", "model_file", "model_sha256"}

FAILED, INTERRUPTED = 1, 130
_TLS_FILES = ("tls_ca_file", "tls_cert", "tls_key")
_OF_ONE_VOLUME = (
    "prior_out",
    "consistency_out",
    "uncertainty_out",
    "difference_out",
    "expected_error_out",
    "report",
    "reference",
)


def is_wanted(arguments: argparse.Namespace) -> bool:
    """Whether OUT is a folder: one that exists or has no suffix, for a folder IN; or any, with an option for folders.

    Raises UserError where such an option is given and OUT is a file.
    """
    output = arguments.output
    for name in ("format", "jobs", "scheduler", "time_limit", "memory_limit", *_TLS_FILES):
        option = f"--{name.replace('_', '-')}"
        if getattr(arguments, name) is not None:
            from ..restoration.folder import suffix_of

            if output.is_file() or (suffix_of(output.name) and not output.is_dir()):
                raise UserError(f"{option} is for folders: let OUT be a folder, or leave {option} out.")
            return True
    return arguments.input.is_dir() and (output.is_dir() or not output.suffix)


def run(arguments: argparse.Namespace, options: RestorationOptions, reporter: Reporter) -> int:
    """Restore what is not finished yet; 0, or 1 where a volume failed, or 130 after Ctrl+C."""
    import time

    form = _checked_format(arguments, options)
    from ..restoration.folder import called, check_outputs_differ, find_volumes, volumes_in_file
    from ..restoration.folder_record import FolderRecord, folder_to_oneself

    started = time.perf_counter()
    source, out = arguments.input, arguments.output
    if source.is_file():
        volumes, left_out = volumes_in_file(source)
    else:
        volumes, left_out = find_volumes(source, without=out)
    if arguments.series is not None:
        volumes = called(volumes, arguments.series)
    for line in left_out:
        reporter.say(f"Left out: {line}.")
    if not volumes:
        raise UserError(
            f'The folder "{source}" holds no volume: choose one with NIfTI, NRRD, MetaImage or DICOM files.'
        )
    planned = check_outputs_differ(volumes, out, form)
    _make_folder(out)
    with folder_to_oneself(out):
        record = FolderRecord(out)
        if record.was_damaged:
            reporter.warn(
                f'The record "{record.path}" is damaged: what it does not tell is restored again, and what was there '
                "stays beside it."
            )
        work = _Work(arguments, options, form, record, reporter)
        try:
            outcomes = work.do(volumes, planned)
        except KeyboardInterrupt:
            reporter.end_bar()
            tell("Stopped; what is finished stays: run the same command again to go on.", "stderr")
            return INTERRUPTED
    _tell_summary(reporter, outcomes, time.perf_counter() - started)
    reporter.done({"volumes": outcomes, "left_out": left_out})
    return FAILED if any(outcome["outcome"] == "failed" for outcome in outcomes.values()) else 0


class _Work:
    """Going through the volumes: skips what is finished, hands out the rest, keeps the record."""

    def __init__(self, arguments, options: RestorationOptions, form: str, record, reporter: Reporter) -> None:
        self._arguments, self._form = arguments, form
        self._record, self._reporter = record, reporter
        # Absolute, because processes elsewhere have other working folders.
        files = {name: getattr(options, name) for name in ("model", "medsam_checkpoint")}
        self._options = {
            **dataclasses.asdict(options),
            **{name: path.resolve() if path is not None else None for name, path in files.items()},
        }
        self._asked = {
            **{name: str(value) if isinstance(value, Path) else value for name, value in self._options.items()},
            "roi_lps_mm": list(options.roi_lps_mm) if options.roi_lps_mm else None,
            "medsam_sha256": _sha256(options.medsam_checkpoint) if options.medsam_checkpoint else None,
            "format": form,
            "version": __version__,
        }
        self._out = arguments.output

    def do(self, volumes: list, planned: dict[str, tuple[Path, ...]]) -> dict[str, dict]:
        """The outcome of each volume by its name; `planned` are the files of each result."""
        from ..restoration.folder_record import source_state
        from ..restoration.folder_task import make_task

        outcomes: dict[str, dict] = {}
        tasks, self._sources = [], {}
        for volume in volumes:
            self._sources[volume.name] = source_state(volume.files)
            if self._is_finished(volume.name):
                outcomes[volume.name] = {**self._record.entries[volume.name], "outcome": "finished before"}
                continue
            outcomes[volume.name] = {"outcome": "not begun"}
            # Not resolved: a link's name has a suffix where the name of what it points to may have none.
            files = tuple(file.absolute() for file in volume.files)
            as_dicom = self._form == "dicom" or self._form == "same" and volume.is_dicom
            output = volume.output(self._out.resolve(), self._form)
            frames = volume.series.frames if volume.series else None
            earlier = self._record.earlier_files(volume.name)
            tasks.append(
                make_task(volume.name, files, output, volume.is_dicom, as_dicom, self._out.resolve(), earlier, frames)
            )
        begun = [file for task in tasks for file in planned[task["name"]]]
        self._keep_others(begun)
        self._record.begin(begun)
        before = len(volumes) - len(tasks)
        if before:
            self._reporter.say(f"{before} of {len(volumes)} volumes were finished before.")
        self._reporter(Progress("volumes", before, len(volumes), None))
        with contextlib.closing(self._answers(tasks)) as answers:
            for name, answer in answers:
                outcomes[name] = self._keep(name, answer)
                done = sum(outcome["outcome"] != "not begun" for outcome in outcomes.values())
                self._tell(name, outcomes[name], done, len(volumes))
        self._record.end()
        return outcomes

    def _keep_others(self, files: list[Path]) -> None:
        """Refuse to replace what lrformer has not written; where the record is damaged, nobody knows: keep it aside."""
        from ..restoration.output_files import set_aside

        for file in files:
            if self._record.is_ours(file):
                continue
            if not self._record.was_damaged:
                raise UserError(
                    f'"{file}" is there already and was not written by lrformer: move it away, or choose another '
                    "output folder."
                )
            set_aside(file)

    def _is_finished(self, name: str) -> bool:
        """The record says so, and the model file is still the one that made it."""
        if not _TOLD_OF_FINISHED <= self._record.entries.get(name, {}).keys():
            return False
        if not self._record.is_finished(name, self._sources[name], self._asked):
            return False
        entry = self._record.entries[name]
        return _sha256(Path(entry["model_file"])) == entry["model_sha256"]

    def _answers(self, tasks: list[dict]):
        if not tasks:
            return
        arguments = self._arguments
        if arguments.scheduler:
            from .cluster import TLSFiles, cluster_at, restored

            tls = TLSFiles(arguments.tls_ca_file, arguments.tls_cert, arguments.tls_key)
            with cluster_at(arguments.scheduler, tls) as client:
                at_once = arguments.jobs or len(client.scheduler_info(n_workers=-1)["workers"])
                yield from restored(client, tasks, self._options, at_once, self._reporter)
        else:
            from ..restoration.output_files import remove_temporary_folders
            from .local_processes import Limits, restored_locally

            minutes, gib = arguments.time_limit, arguments.memory_limit
            limits = Limits(60 * minutes if minutes else None, round(gib * 2**30) if gib else None)
            jobs = min(arguments.jobs or 1, len(tasks))
            try:
                yield from restored_locally(tasks, self._options, jobs, limits, self._reporter)
            finally:
                # All processes are gone by now; one that was killed could not remove what it had half written.
                remove_temporary_folders(self._out)

    def _keep(self, name: str, answer: dict) -> dict:
        entry = {"outcome": answer["outcome"], "seconds": answer["seconds"]}
        files = answer.get("files", {})
        if missing := [path for path in files if not Path(path).exists()]:
            sentence = f'"{missing[0]}" was written but is not seen here: let the workers share this folder.'
            entry, files = {"outcome": "failed", "seconds": answer["seconds"], "sentence": sentence}, {}
        elif answer["outcome"] == "restored":
            report, out = answer["report"], self._out.resolve()
            entry |= {
                "task": report["task"],
                "task_reason": report["task_reason"],
                "model": report["model"]["name"],
                "model_sha256": report["model"]["sha256"],
                "model_file": report["model"]["file"],
                "prior": report["prior"]["backbone"],
                "device": report["device_at_end"],
                "noise_sd": report["noise_sd"],
                "warnings": report["warnings"],
                "files": {Path(path).relative_to(out).as_posix(): size for path, size in files.items()},
            }
        else:
            entry |= {key: answer[key] for key in ("sentence", "detail") if key in answer}
        entry |= {"source": self._sources[name], "options": self._asked}
        self._record.note(name, entry)
        return entry

    def _tell(self, name: str, outcome: dict, done: int, total: int) -> None:
        if "sentence" in outcome:
            self._reporter.say(f"{done}/{total} {name}: {outcome['outcome']}: {outcome['sentence']}")
        else:
            self._reporter.say(f"{done}/{total} {name}: {outcome['task']}, {outcome['seconds']:.1f} s")
            for warning in outcome["warnings"]:
                self._reporter.warn(f"{name}: {warning}")
        if self._arguments.progress == "json":
            told = {key: outcome[key] for key in ("outcome", "task", "seconds", "sentence") if key in outcome}
            self._reporter.event("volume", name=name, **told)
        self._reporter(Progress("volumes", done, total, None))


def _checked_format(arguments: argparse.Namespace, options: RestorationOptions) -> str:
    """The format of the results; UserError for choices that do not go with a folder."""
    from ..restoration.folder import FORMATS

    form = arguments.format or "same"
    if form not in FORMATS:
        raise UserError(f'There is no format "{form}": choose {", ".join(FORMATS[:-1])} or {FORMATS[-1]}.')
    for name in _OF_ONE_VOLUME:
        if getattr(arguments, name) is not None:
            raise UserError(f"--{name.replace('_', '-')} is for one volume: leave it out, or let OUT be a file.")
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f"{arguments.jobs} jobs restore nothing: choose 1 or more.")
    _check_limits(arguments)
    check_options(options)
    return form


def _check_limits(arguments: argparse.Namespace) -> None:
    for name in ("time_limit", "memory_limit"):
        value, option = getattr(arguments, name), f"--{name.replace('_', '-')}"
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{option} {value:g} allows nothing: choose a number above 0.")
        if value is not None and arguments.scheduler:
            raise UserError(f"{option} is for processes on this machine: leave it out, or leave --scheduler out.")
    tls = [f"--{name.replace('_', '-')}" for name in _TLS_FILES if getattr(arguments, name) is not None]
    if tls and not arguments.scheduler:
        raise UserError(f"{tls[0]} is for a cluster: give --scheduler, too.")


def _make_folder(folder: Path) -> None:
    from ..restoration.volume_io import check_folder

    if folder.exists() and not folder.is_dir():
        raise UserError(f'The output "{folder}" is a file: give the name of a folder.')
    check_folder(folder.absolute())
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f'The folder "{folder}" cannot be made ({error.strerror}): choose another.') from error


def _sha256(path: Path) -> str | None:
    from ..hashing import file_sha256

    try:
        return file_sha256(path) if path.is_file() else None  # a pipe would never end
    except OSError:
        return None


def _tell_summary(reporter: Reporter, outcomes: dict[str, dict], seconds: float) -> None:
    width = max(len("file"), *map(len, outcomes))
    reporter.say(f"\n{'file':{width}s}  {'task':11s}  {'seconds':>7s}  outcome")
    for name, outcome in outcomes.items():
        task = outcome.get("task", "-")
        said = f"{outcome['outcome']}: {outcome['sentence']}" if "sentence" in outcome else outcome["outcome"]
        reporter.say(f"{name:{width}s}  {task:11s}  {outcome['seconds']:7.1f}  {said}")
    kinds = [outcome["outcome"] for outcome in outcomes.values()]
    order = ("restored", "finished before", "left out", "failed")
    counts = [f"{kinds.count(kind)} {kind}" for kind in order if kind in kinds]
    reporter.say(f"{', '.join(counts)}; {seconds:.1f} s in all.")

"""Restoring one volume of a folder, in whichever process it falls to.

What goes to that process and what comes back are plain dictionaries, so that they can travel.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import UserError, sentence_of
from .label_map import LabelMapError
from .options import Progress, ProgressCallback, RestorationOptions, ignore, options_from

PROGRESS_INTERVAL_S = 1.0

_one_at_a_time = threading.Lock()
_restorer = None


def make_task(
    name: str,
    files: tuple[Path, ...],
    output: Path,
    is_dicom: bool,
    as_dicom: bool,
    out_folder: Path,
    earlier: Iterable[Path] = (),
    frames: tuple[tuple[int, ...], ...] | None = None,
) -> dict:
    """What a process must know to restore one volume: where it comes from and where it goes to.

    `out_folder` is the folder of all results; `earlier` are the files that an earlier run wrote for this volume;
    `frames` are those of each DICOM file that belong to the volume, as `DicomSeries.frames` gives them.
    """
    return {
        "name": name,
        "files": [str(file) for file in files],
        "output": str(output),
        "is_dicom": is_dicom,
        "as_dicom": as_dicom,
        "out_folder": str(out_folder),
        "earlier": [str(file) for file in earlier],
        "frames": frames,
    }


def restore_one(
    task: dict,
    options: dict,
    threads: int | None,
    tell: ProgressCallback = ignore,
    count_voxels: Callable[[int], None] = lambda voxels: None,
) -> dict:
    """Restore a volume and write it, whole or not at all; never raises.

    options: fields of RestorationOptions; threads: for torch, None leaves its choice; `tell` hears of the progress, and
    `count_voxels` once of the size. Gives "outcome" ("restored", "left out", "failed") and "seconds"; the last two have
    their "sentence" (a bug its "detail", too), a success its "report" and the "files" written, path to bytes. Volumes
    of one process wait for each other: the network is not made for two threads.
    """
    with _one_at_a_time:
        started = time.perf_counter()
        try:
            answer = {"outcome": "restored", **_restore(task, options_from(options), threads, tell, count_voxels)}
        except LabelMapError as error:
            answer = {"outcome": "left out", "sentence": error.message}
        except Exception as error:  # a bug with one volume must not end the others
            sentence, detail = sentence_of(error)
            answer = {"outcome": "failed", "sentence": sentence, **({"detail": detail} if detail else {})}
        return {**answer, "seconds": round(time.perf_counter() - started, 2)}


def _restore(task: dict, options: RestorationOptions, threads: int | None, tell, count_voxels) -> dict:
    import torch

    from .dicom_input import read_series
    from .dicom_output import check_source
    from .engine import Restorer
    from .output_plan import check_stays_inside
    from .scan import checked
    from .volume import check_volume
    from .volume_io import check_outputs, read_volume, small_like

    global _restorer
    if threads:
        torch.set_num_threads(threads)
    if _restorer is None:
        _restorer = Restorer()
    files, output = tuple(Path(file) for file in task["files"]), Path(task["output"])
    warnings: list[str] = []
    if task["is_dicom"]:
        if task["as_dicom"]:
            check_source(files)
        source = read_series(files, task["frames"], keeps_places=task["as_dicom"])
        if source.series.geometry.irregular and options.roi_lps_mm:
            raise UserError("Slices that make no regular grid are restored whole: leave --roi out.")
        volume, warnings = checked(source), list(source.warnings)
    else:
        volume = check_volume(read_volume(files[0], warnings.append))
    voxels = volume.image.GetNumberOfPixels()
    count_voxels(voxels)
    check_stays_inside(Path(task["out_folder"]), output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if not task["as_dicom"]:
        check_outputs([*files], [(output, small_like(volume.image))], [], voxels)
    result = _restorer.restore(volume, options, _teller(tell))
    result.report["warnings"] = [*warnings, *result.report["warnings"]]
    written = _write(result, files, output, task["as_dicom"], [Path(file) for file in task["earlier"]])
    return {"report": result.report, "files": {str(path): os.stat(path).st_size for path in written}}


def _teller(tell: ProgressCallback) -> ProgressCallback:
    """A progress callback that passes steps on at most once in PROGRESS_INTERVAL_S."""
    last_s = 0.0

    def thinned(progress: Progress) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if progress.total and now_s - last_s >= PROGRESS_INTERVAL_S:
            last_s = now_s
            tell(progress)

    return thinned


def _write(result, files: tuple[Path, ...], output: Path, as_dicom: bool, earlier: list[Path]) -> list[Path]:
    """Write the restored volume; of the files `earlier` of ours those that are not written again are removed."""
    from .dicom_output import write_derived_series
    from .volume_io import OutputFiles

    with OutputFiles() as outputs:
        if as_dicom:
            image, report = result.restored, result.report
            outputs.add_folder(output, lambda folder: write_derived_series(folder, image, files, report), earlier)
        else:
            outputs.add_image(result.restored, output)
        return outputs.commit()

"""lrformer check: what would be restored of a file or folder, and what would not, without restoring anything."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UserError
from .common import Reporter, add_progress_argument, add_series_argument

NOTHING = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """IN and which series."""
    parser.add_argument("input", metavar="IN", type=Path, help="a volume file, or a folder of volumes or DICOM series")
    add_series_argument(parser)
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read everything and tell what would become of it; 0, or 2 where nothing can be restored."""
    from ..restoration.folder import called, find_volumes, volumes_in_file

    reporter = Reporter(arguments.progress)
    source = arguments.input
    if not source.exists():
        raise UserError(f'There is no file "{source}": check the path.')
    volumes, left_out = find_volumes(source) if source.is_dir() else volumes_in_file(source)
    if arguments.series is not None:
        volumes = called(volumes, arguments.series)
    told = {}
    for volume in volumes:
        entry = _checked(volume)
        if entry.get("is_label_map") and source.is_dir():
            left_out.append(f"{volume.name}: {entry['sentence'].rstrip('.')}")
            continue
        told[volume.name] = entry
        if "sentence" in entry:
            reporter.say(f"Refused: {volume.name}: {entry['sentence']}")
        else:
            reporter.say(f"{volume.name}: {entry['what']}; {entry['how']}.")
            for sentence in entry["warnings"]:
                reporter.warn(f"{volume.name}: {sentence}")
    for line in left_out:
        reporter.say(f"Left out: {line}.")
    restorable = sum("sentence" not in entry for entry in told.values())
    reporter.say(f"{restorable} of {len(told)} {'volume' if len(told) == 1 else 'volumes'} can be restored.")
    reporter.done({"volumes": told, "left_out": left_out})
    return 0 if restorable else NOTHING


def _checked(volume) -> dict:
    """Describe a volume and how it would be restored, or give the sentence that refuses it."""
    from ..restoration.dicom_input import load
    from ..restoration.label_map import LabelMapError
    from ..restoration.modality import detect_modality
    from ..restoration.scan import checked
    from ..restoration.tasks import choose_task
    from ..restoration.volume import check_volume
    from ..restoration.volume_io import read_volume

    warnings: list[str] = []
    place = ""
    try:
        if volume.series is not None:
            is_derivable = _is_derivable(volume.files)
            source = load(volume.series, keeps_places=is_derivable)
            scan, warnings = checked(source), list(source.warnings)
            if not is_derivable:
                place = ", into files only: no DICOM series can be derived from it"
            elif source.series.geometry.irregular:
                place = ", into a folder with --format dicom only"
        else:
            scan = check_volume(read_volume(volume.files[0], warnings.append))
        modality = detect_modality(scan.sample, scan.stated_modality)
        task, _ = choose_task("auto", modality.name, modality.reason)
        warnings += [modality.doubt] if modality.doubt else []
    except UserError as error:
        return {"sentence": error.message, "is_label_map": isinstance(error, LabelMapError)}
    except MemoryError:
        return {"sentence": "There is not enough memory for this volume: close other programs or crop it."}
    size = " x ".join(map(str, scan.image.GetSize()))
    spacing = " x ".join(f"{step:.4g}" for step in scan.image.GetSpacing())
    files = f", {len(volume.files)} files" if len(volume.files) > 1 else ""
    title = f", {volume.series.title}" if volume.series is not None else ""
    return {
        "what": f"{modality.name}, {size} voxels of {spacing} mm{title}{files}",
        "how": f"task {task.name}, slices along {'ijk'[scan.plane.across_axis]} ({modality.reason}){place}",
        "warnings": warnings,
    }


def _is_derivable(files: tuple[Path, ...]) -> bool:
    from ..restoration.dicom_output import check_source

    try:
        check_source(files)
    except UserError:
        return False
    return True

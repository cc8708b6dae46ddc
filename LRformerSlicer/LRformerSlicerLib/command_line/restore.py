"""lrformer restore: a degraded volume in, a restored one out; or a folder of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UserError
from ..restoration.options import RestorationOptions
from . import restore_folder
from .common import (
    Reporter,
    add_prior_arguments,
    add_progress_argument,
    add_series_argument,
    add_volume_arguments,
    prior_options,
    write_result,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """IN, OUT and the options of a restoration."""
    add_volume_arguments(parser)
    add_series_argument(parser)
    parser.add_argument(
        "--task",
        default="auto",
        metavar="ct-denoise|mr-sr2|mr-sr4|mr-artifact|auto",
        help="what to remove (auto: by the modality and the value range)",
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="a .safetensors file instead of the shipped one")
    add_prior_arguments(parser)
    parser.add_argument("--only-roi", action="store_true", help="change nothing outside --roi")
    parser.add_argument("--strength", type=float, default=1.0, metavar="0..1", help="share of the change to take (1)")
    parser.add_argument("--self-ensemble", action="store_true", help="also restore mirror images: better, 4 x the time")
    parser.add_argument("--prior-out", type=Path, metavar="FILE", help="write the prior, U = (C + D) / 2")
    parser.add_argument("--difference-out", type=Path, metavar="FILE", help="write restored minus input")
    parser.add_argument(
        "--expected-error-out", type=Path, metavar="FILE", help="write how far off it may be, in its unit"
    )
    parser.add_argument("--reference", type=Path, metavar="FILE", help="a clean volume: adds PSNR, SSIM, RMSE")
    add_progress_argument(parser)
    folders = parser.add_argument_group("folders", "IN may be a folder of volumes and OUT a folder for all results.")
    folders.add_argument(
        "--format",
        metavar="same|dicom|nii.gz|nii|nrrd|mha",
        help="what to write into OUT (same: as the input; dicom: a derived series of the input's study)",
    )
    folders.add_argument("--jobs", type=int, metavar="N", help="processes on this machine (1)")
    folders.add_argument(
        "--time-limit", type=float, metavar="MINUTES", help="for one volume (generous, by its size); the others go on"
    )
    folders.add_argument("--memory-limit", type=float, metavar="GIB", help="for one volume (generous, by its size)")
    folders.add_argument("--scheduler", metavar="ADDRESS", help="a Dask cluster instead, such as tls://host:8786")
    folders.add_argument("--tls-ca-file", type=Path, metavar="FILE", help="with --scheduler: who vouches for it (PEM)")
    folders.add_argument("--tls-cert", type=Path, metavar="FILE", help="with --scheduler: one's certificate (PEM)")
    folders.add_argument("--tls-key", type=Path, metavar="FILE", help="with --scheduler: the certificate's key (PEM)")


def run(arguments: argparse.Namespace) -> int:
    """Restore one volume, or with a folder as OUT every volume of IN."""
    reporter = Reporter(arguments.progress)
    options = RestorationOptions(
        task=arguments.task,
        model=arguments.model,
        only_roi=arguments.only_roi,
        strength=arguments.strength,
        self_ensemble=arguments.self_ensemble,
        expected_error=arguments.expected_error_out is not None,
        expected_error_needed=arguments.expected_error_out is not None,
        **prior_options(arguments),
    )
    if restore_folder.is_wanted(arguments):
        return restore_folder.run(arguments, options, reporter)
    return _restore_one(arguments, options, reporter)


def _restore_one(arguments: argparse.Namespace, options: RestorationOptions, reporter: Reporter) -> int:
    """Restore and write; nothing is written before everything is computed."""
    import SimpleITK as sitk

    from ..restoration.scan import read_scan
    from ..restoration.volume_io import check_outputs, read_volume, small_like

    if arguments.output.suffix.lower() == ".dcm":
        raise UserError("A DICOM series is written into a folder: let OUT be one, or a file such as out.nii.gz.")
    volume, warnings = read_scan(arguments.input, reporter.warn, arguments.series)
    image = volume.image
    reference = read_volume(arguments.reference) if arguments.reference else None
    maps = {
        "prior": arguments.prior_out,
        "consistency": arguments.consistency_out,
        "uncertainty": arguments.uncertainty_out,
        "difference": arguments.difference_out,
        "expected_error": arguments.expected_error_out,
    }
    maps = {name: path for name, path in maps.items() if path is not None}
    if arguments.prior == "none" and (unmade := maps.keys() - {"difference", "expected_error"}):
        raise UserError(f"Without a prior there is no {sorted(unmade)[0]} map to write: choose a --prior.")
    sources = (arguments.input, arguments.reference, arguments.model, arguments.medsam_checkpoint)
    check_outputs(
        inputs=[path for path in sources if path],
        images=[
            (arguments.output, small_like(image)),
            *((path, small_like(image, sitk.sitkFloat32)) for path in maps.values()),
        ],
        texts=[arguments.report] if arguments.report else [],
        image_bytes=image.GetNumberOfPixels() * image.GetSizeOfPixelComponent(),
    )

    from ..restoration.engine import Restorer

    result = Restorer().restore(volume, options, progress=reporter, reference=reference)
    result.report["warnings"] = [*warnings, *result.report["warnings"]]
    write_result(result, {"restored": arguments.output, **maps}, arguments.report)
    _tell_outcome(reporter, result.report, arguments.output)
    reporter.done(result.report)
    return 0


def _tell_outcome(reporter: Reporter, report: dict, output: Path) -> None:
    reporter.say(f"Task {report['task']} ({report['task_reason']}), model {report['model']['name']}.")
    slices = "1 slice" if report["slices"] == 1 else f"{report['slices']} slices"
    reporter.say(
        f"{slices} in {report['seconds']['total']:.1f} s on {report['device']} "
        f"({report['device_name']}), prior {report['prior']['backbone']}."
    )
    if metrics := report.get("metrics"):
        for moment in ("before", "after"):
            reporter.say(f"{moment:>6}: " + metric_line(metrics[moment], metrics["unit"]))
    reporter.say(f"Written: {output}")


def metric_line(scores: dict, unit: str) -> str:
    """PSNR, SSIM and RMSE in a line."""
    psnr = "identical" if scores["psnr_db"] is None and scores["rmse"] == 0 else _number(scores["psnr_db"], ".2f")
    return f"PSNR {psnr} dB, SSIM {_number(scores['ssim'], '.4f')}, RMSE {_number(scores['rmse'], '.4g')} {unit}"


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else format(value, form)

"""lrformer prior: the lesion-semantic prior of a volume, alone."""

from __future__ import annotations

import argparse

from ..restoration.options import RestorationOptions
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
    """IN, OUT and the options of the prior."""
    add_volume_arguments(parser)
    add_series_argument(parser)
    add_prior_arguments(parser)
    add_progress_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Produce the prior and write it."""
    reporter = Reporter(arguments.progress)
    import SimpleITK as sitk

    from ..restoration.scan import read_scan
    from ..restoration.volume_io import check_outputs, small_like

    volume, warnings = read_scan(arguments.input, reporter.warn, arguments.series)
    image = volume.image
    maps = {
        "prior": arguments.output,
        "consistency": arguments.consistency_out,
        "uncertainty": arguments.uncertainty_out,
    }
    maps = {name: path for name, path in maps.items() if path is not None}
    check_outputs(
        inputs=[arguments.input],
        images=[(path, small_like(image, sitk.sitkFloat32)) for path in maps.values()],
        texts=[arguments.report] if arguments.report else [],
        image_bytes=4 * image.GetNumberOfPixels(),
    )

    from ..restoration.engine import Restorer

    options = RestorationOptions(**prior_options(arguments))
    result = Restorer().produce_prior(volume, options, progress=reporter)
    result.report["warnings"] = [*warnings, *result.report["warnings"]]
    write_result(result, maps, arguments.report)
    report = result.report
    reporter.say(
        f"Prior of {report['slices']} {report['modality']} slices by {report['prior']['backbone']} "
        f"in {report['seconds']['total']:.1f} s on {report['device']}."
    )
    reporter.say(f"Written: {arguments.output}")
    reporter.done(report)
    return 0

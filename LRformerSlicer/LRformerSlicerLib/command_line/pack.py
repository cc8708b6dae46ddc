"""lrformer pack: what a training needs in one small file, to train on another machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from .train import TASK_NAMES, add_context, add_selection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DATA, OUT and the options of ``lrformer pack``."""
    parser.add_argument("data", metavar="DATA", type=Path, help="folder of training scans (ct_*.nii.gz, mr_*.nii.gz)")
    parser.add_argument("out", metavar="OUT", type=Path, help="the .npz file to write; give it to train as --data")
    parser.add_argument("--task", required=True, metavar="|".join(TASK_NAMES), help="what it is to train for")
    add_context(parser)
    add_selection(parser)
    parser.add_argument("--realisations", type=int, default=1, help="degradations drawn for each slice")
    parser.add_argument("--cache", type=Path, help="folder for simulated pairs and their priors (default: beside OUT)")
    parser.add_argument("--processes", type=int, default=2, help="processes that simulate")


def run(arguments: argparse.Namespace) -> int:
    """Make the pairs that are missing and pack them; 0."""
    import logging

    from ..errors import UserError
    from ..restoration.output_plan import check_written_files
    from ..training.pack import write_pack
    from ..training.pair_cache import fill_pair_cache, folder_jobs, require_neighbours
    from ..training.task_choice import training_task

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    task, out = training_task(arguments.task, arguments.context), arguments.out
    if out.suffix != ".npz":
        raise UserError(f"A packed training is written as .npz: end OUT in .npz, not {out.name}.")
    check_written_files([arguments.data], [out])
    out.parent.mkdir(parents=True, exist_ok=True)
    cache = arguments.cache or out.with_suffix(".pairs")
    chosen_slices = (arguments.slices_a_patient, arguments.prior_every)
    jobs = folder_jobs(task, arguments.data, cache, arguments.realisations, *chosen_slices)
    if arguments.context:
        require_neighbours(jobs, arguments.data)
    fill_pair_cache(jobs, arguments.processes)
    size_mib = write_pack(out, task, jobs)
    print(f"Written: {out}, {len(jobs)} pairs in {size_mib:.1f} MiB")
    return 0

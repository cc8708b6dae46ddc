"""lrformer train: make weights for a task from a folder of scans."""

from __future__ import annotations

import argparse
from pathlib import Path

from .common import check_weights_name

TASK_NAMES = ("ct-denoise", "mr-sr2", "mr-sr4", "mr-artifact")
ARCHITECTURE_CHOICES = ("levels", "channels", "groups", "blocks", "foot_window", "fold", "attention")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lrformer train``."""
    parser.add_argument("--task", required=True, metavar="|".join(TASK_NAMES), help="what to train for")
    parser.add_argument("--data", required=True, type=Path, help="folder of training scans, or a packed training")
    parser.add_argument("--out", required=True, type=Path, help="the .safetensors file to write, its card beside it")
    parser.add_argument("--init", type=Path, help="weights to start from; tensors of other shapes start anew")
    parser.add_argument("--cache", type=Path, help="folder for simulated pairs and their priors (default: beside OUT)")
    parser.add_argument("--steps", type=int, default=20000, help="optimiser steps of the whole schedule (20000)")
    parser.add_argument("--hours", type=float, help="stop after this long; the same command goes on where it stopped")
    parser.add_argument("--realisations", type=int, default=1, help="degradations drawn for each slice")
    add_selection(parser)
    # What is not given is the task's own choice.
    parser.add_argument("--batch-size", type=int, help="patches a step")
    parser.add_argument("--patch-size", type=int, help="side of a training patch in input pixels")
    parser.add_argument("--learning-rate", type=float, default=8e-4, help="at its peak (8e-4)")
    add_context(parser)
    parser.add_argument(
        "--targets", choices=["recorrupted", "scan"], default="scan", help="ct-denoise: without bias, or noisy as it is"
    )
    parser.add_argument("--levels", type=int, help="resolutions of the network's pyramid; 1 for none")
    parser.add_argument("--channels", type=int, help="width of the network")
    parser.add_argument("--groups", type=int, help="groups of blocks, where there is one level")
    parser.add_argument("--blocks", type=int, help="blocks a group")
    parser.add_argument("--foot-window", type=int, help="side of the coarsest level's attention window in its tokens")
    parser.add_argument("--fold", type=int, help="side of a token in input pixels")
    parser.add_argument("--attention", choices=["gfca", "naive"], help="gfca, or its naive twin for comparison")
    parser.add_argument("--seed", type=int, default=0, help="of initialisation, patches and augmentation (0)")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--threads", type=int, help="CPU threads of the training (default: torch's choice)")
    parser.add_argument("--processes", type=int, default=2, help="processes that simulate")


def add_context(parser: argparse.ArgumentParser) -> None:
    """The option for slices of context."""
    parser.add_argument("--context", type=int, choices=[0, 1], default=0, help="ct-denoise: neighbours each side (0)")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The options for which slices of a folder are taken, and which of them get a prior."""
    parser.add_argument("--slices-a-patient", type=int, help="train on so many slices of a patient at most")
    parser.add_argument("--prior-every", type=int, default=1, help="every so many slices get a prior (1: all)")


def run(arguments: argparse.Namespace) -> int:
    """Train until done or out of time; 0 when the weights are written, 3 when there is more to do."""
    import logging
    import math
    import time
    from dataclasses import replace

    import torch

    from ..errors import UserError
    from ..network.checkpoint import read_weights, save_checkpoint
    from ..restoration.models import choose_device
    from ..restoration.output_plan import check_written_files
    from ..training.card import training_card
    from ..training.pack import pack_jobs
    from ..training.pair_cache import fill_pair_cache, folder_jobs, require_neighbours
    from ..training.patches import load_pairs
    from ..training.process_group import join_process_group
    from ..training.task_choice import training_task
    from ..training.trainer import Trainer, TrainingOptions

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    started = time.monotonic()
    task, out = training_task(arguments.task, arguments.context, arguments.targets == "recorrupted"), arguments.out
    check_weights_name(out)
    check_written_files([arguments.data, arguments.init], [out, out.with_suffix(".json"), out.with_suffix(".state")])
    out.parent.mkdir(parents=True, exist_ok=True)
    share, device = join_process_group(choose_device(arguments.device))
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    cache = arguments.cache or out.with_suffix(".pairs")
    chosen = {name: getattr(arguments, name) for name in ARCHITECTURE_CHOICES}
    architecture = replace(task.architecture, **{name: choice for name, choice in chosen.items() if choice is not None})
    if architecture.channels % architecture.heads:
        raise UserError(
            f"{architecture.channels} channels do not divide into {architecture.heads} heads: choose others."
        )
    if arguments.data.is_file():
        jobs = pack_jobs(task, arguments.data, cache, arguments.realisations)
    else:
        chosen_slices = (arguments.slices_a_patient, arguments.prior_every)
        jobs = folder_jobs(task, arguments.data, cache, arguments.realisations, *chosen_slices)
    if architecture.context:
        require_neighbours(jobs, arguments.data)
    if share.is_first:
        fill_pair_cache(jobs, arguments.processes)
    share.wait()
    training, validation = load_pairs(sorted(job.file for job in jobs), task)
    if not training:
        raise UserError(f"All scans in {arguments.data} are of validation patients: add others to train on.")
    options = TrainingOptions(
        steps=arguments.steps,
        batch_size=arguments.batch_size or task.batch_size,
        patch_size=arguments.patch_size or task.patch_size,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
    )
    initial = read_weights(arguments.init) if arguments.init else None
    state = out.with_suffix(".state")
    trainer = Trainer(task, architecture, options, training, validation, state, device, initial, share)
    if trainer.untaken:
        logging.info("%d tensors start anew: %s", len(trainer.untaken), ", ".join(trainer.untaken))
    deadline = started + 3600 * arguments.hours if arguments.hours else math.inf
    is_done = trainer.run(deadline)
    if is_done and share.is_first:
        save_checkpoint(out, trainer.average, training_card(trainer, training, validation, arguments.init))
        logging.info("wrote %s", out)
    elif share.is_first:
        logging.info("stopped at step %d of %d; run the same command to go on", trainer.step, options.steps)
    share.wait()
    share.leave()
    return 0 if is_done else 3

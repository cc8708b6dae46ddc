"""lrformer train: make weights for a task from a folder of scans."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lrformer train``."""
    parser.add_argument("--task", required=True, choices=["ct-denoise"], help="what to train for")
    parser.add_argument("--data", required=True, type=Path, help="folder of training scans (ct_*.nii.gz)")
    parser.add_argument("--out", required=True, type=Path, help="the .safetensors file to write, its card beside it")
    parser.add_argument("--cache", type=Path, help="folder for simulated pairs and their priors (default: beside OUT)")
    parser.add_argument("--steps", type=int, default=2400, help="optimiser steps of the whole schedule")
    parser.add_argument("--hours", type=float, help="stop after this long; the same command goes on where it stopped")
    parser.add_argument("--realisations", type=int, default=1, help="noise realisations of each slice")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--patch-size", type=int, default=128, help="side of a training patch in pixels")
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--channels", type=int, default=48)
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--blocks", type=int, default=3, help="blocks a group")
    parser.add_argument("--attention", choices=["gfca", "naive"], default="gfca")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--threads", type=int, help="CPU threads of the training (default: torch's choice)")
    parser.add_argument("--processes", type=int, default=2, help="processes that simulate")


def run(arguments: argparse.Namespace) -> int:
    """Train until done or out of time; 0 when the weights are written, 3 when there is more to do."""
    import logging
    import math
    import time

    import torch

    from ..errors import UserError
    from ..network.checkpoint import save_checkpoint
    from ..network.lrformer import LRformerArchitecture
    from ..restoration.models import choose_device
    from ..training.card import training_card
    from ..training.pair_cache import fill_pair_cache
    from ..training.patches import load_pairs
    from ..training.trainer import Trainer, TrainingOptions

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    started = time.monotonic()
    out = arguments.out
    if out.suffix != ".safetensors":
        raise UserError(f"The weights are written as .safetensors: end OUT in .safetensors, not {out.name}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    device = choose_device(arguments.device)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    cache = arguments.cache or out.with_suffix(".pairs")
    files = fill_pair_cache(arguments.data, cache, arguments.realisations, arguments.processes)
    training, validation = load_pairs(files)
    architecture = LRformerArchitecture(
        channels=arguments.channels, groups=arguments.groups, blocks=arguments.blocks, attention=arguments.attention
    )
    options = TrainingOptions(
        steps=arguments.steps,
        batch_size=arguments.batch_size,
        patch_size=arguments.patch_size,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
    )
    trainer = Trainer(architecture, options, training, validation, out.with_suffix(".state"), device)
    deadline = started + 3600 * arguments.hours if arguments.hours else math.inf
    if not trainer.run(deadline):
        logging.info("stopped at step %d of %d; run the same command to go on", trainer.step, options.steps)
        return 3
    save_checkpoint(out, trainer.average, training_card(arguments.task, trainer, training, validation))
    logging.info("wrote %s", out)
    return 0

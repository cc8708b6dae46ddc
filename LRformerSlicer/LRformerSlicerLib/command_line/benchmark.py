"""lrformer benchmark: what attention, network, prior and tiling cost or change here, and how good restorations are."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lrformer benchmark``."""
    parser.add_argument("what", choices=["attention", "network", "prior", "tiling", "quality"])
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--heads", type=int, help="attention: heads (default: those of a new network)")
    parser.add_argument("--model", type=Path, help="network, tiling: the checkpoint (default: the shipped ct-denoise)")
    parser.add_argument("--medsam-checkpoint", type=Path, help="prior: medsam_vit_b.pth (default: random weights)")
    parser.add_argument("--data", type=Path, help="quality: folder of train/ and test/")
    parser.add_argument("--parts", nargs="+", metavar="PART", help="quality: parts to measure (default: all)")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="quality: where BENCHMARK.md is written (docs)")
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"), help="quality: folder for its trainings")
    parser.add_argument("--budget-minutes", type=float, default=5.0, help="quality: training time of a network (5)")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 0."""
    import torch

    from ..restoration.models import choose_device, device_name

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.what == "quality":
        return _quality(arguments)
    device = choose_device(arguments.device)
    print(f"device {device} ({device_name(device)}), torch {torch.__version__}, fp32")
    {"attention": _attention, "network": _network, "prior": _prior, "tiling": _tiling}[arguments.what](
        arguments, device
    )
    return 0


def _quality(arguments: argparse.Namespace) -> int:
    """0, or 1 where a part was left out."""
    import logging

    from ..errors import UserError
    from ..evaluation.benchmark.parts import PARTS, BenchmarkOptions
    from ..evaluation.benchmark.report import run_parts

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.data is None:
        raise UserError("The benchmark of quality needs scans: give --data, a folder of train/ and test/.")
    options = BenchmarkOptions(arguments.data, arguments.device, arguments.work, 60.0 * arguments.budget_minutes)
    left_out = run_parts(arguments.parts or PARTS, options, arguments.docs)
    for sentence in left_out:
        print(f"left out {sentence}")
    return 1 if left_out else 0


def _attention(arguments: argparse.Namespace, device: object) -> None:
    from ..evaluation.cost import attention_costs
    from ..network.lrformer import LRformerArchitecture

    usual = LRformerArchitecture()
    shape = (usual.channels, usual.prior_channels, arguments.heads or usual.heads)
    print(
        "GFCA and naive cross-attention, {} channels, {} of the prior, {} heads, 65536 tokens in windows of n".format(
            *shape
        )
    )
    print("n     attention MACs      ratio  operator MACs       ratio  seconds         ratio  peak MiB")
    for tokens, (ours, naive) in attention_costs(*shape, device).items():
        print(
            f"{tokens:<5d} {ours.attention_macs / 1e6:8.0f} /{naive.attention_macs / 1e6:8.0f} M "
            f"{ours.attention_macs / naive.attention_macs:.3f}  "
            f"{ours.macs / 1e6:8.0f} /{naive.macs / 1e6:8.0f} M {ours.macs / naive.macs:.3f}  "
            f"{ours.seconds:.3f} / {naive.seconds:.3f} {ours.seconds / naive.seconds:.2f}   "
            f"{ours.peak_bytes / 2**20:.0f} / {naive.peak_bytes / 2**20:.0f}"
        )


def _network(arguments: argparse.Namespace, device: object) -> None:
    import numpy as np

    from ..evaluation.classical_denoisers import patch_based_denoising
    from ..evaluation.cost import fastest_seconds, network_costs
    from ..evaluation.noise_told_denoisers import bm3d_white
    from ..network.checkpoint import load_checkpoint
    from ..restoration.models import shipped_model

    loaded = load_checkpoint(arguments.model or shipped_model("ct-denoise"))
    architecture = loaded.network.architecture.as_dict()
    print(f"one 512 x 512 slice; {loaded.card['name']}, {loaded.card['parameters'] / 1e6:.2f} M parameters")
    for attention, cost in network_costs(512, device, **architecture).items():
        name = "LRformer (GFCA)" if attention == "gfca" else "LRformer (naive twin)"
        print(f"{name:24s} {cost.seconds:7.2f} s  {cost.macs / 1e9:7.1f} GMACs  {cost.peak_bytes / 2**20:6.0f} MiB")
    slice_hu = np.random.default_rng(0).normal(0, 30, (512, 512)).astype(np.float32)
    nothing = np.zeros_like(slice_hu)
    for peer in (bm3d_white(1.0), patch_based_denoising()):
        seconds = fastest_seconds(lambda p=peer: p.denoise(slice_hu, nothing), device, repeats=1)
        print(f"{peer.method:24s} {seconds:7.2f} s  ({peer.setting})")


def _tiling(arguments: argparse.Namespace, device: object) -> None:
    from ..evaluation.tiling_difference import tiling_differences_hu
    from ..restoration.models import shipped_model

    print("packaged abdominal CT slice at a quarter dose, mirrored to 768 x 768, in tiles and whole on the CPU")
    differences = tiling_differences_hu(arguments.model or shipped_model("ct-denoise"), (512, 640))
    for tile, difference in differences.items():
        print(f"tiles of {tile} pixels: largest difference {difference:.2f} HU")


def _prior(arguments: argparse.Namespace, device: object) -> None:
    import tempfile

    import torch

    from ..evaluation.cost import prior_seconds
    from ..prior.backbones import load_backbone
    from ..prior.torchvision_guard import ensure_torchvision_imports

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = arguments.medsam_checkpoint
        if checkpoint is None:
            ensure_torchvision_imports()
            from segment_anything import sam_model_registry

            checkpoint = Path(folder) / "random_vit_b.pth"
            torch.save(sam_model_registry["vit_b"]().state_dict(), checkpoint)
        print("RLPP of one 512 x 512 slice, seconds by number of passes T")
        for name in ("lite-medsam", "medsam"):
            seconds = prior_seconds(load_backbone(name, checkpoint, device), (1, 4, 8))
            figures = ", ".join(f"T = {count}: {value:.2f}" for count, value in seconds.items())
            note = " (random weights)" if name == "medsam" and arguments.medsam_checkpoint is None else ""
            print(f"{name}{note}: {figures}; T = 4 over T = 1: {seconds[4] / seconds[1]:.2f}")

"""Devices, networks and prior producers, loaded once and kept for the next job."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from ..errors import UserError

MODELS_FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Models"
DEVICES = ("auto", "cuda", "mps", "cpu")


def choose_device(name: str) -> torch.device:
    """The torch device called `name`; auto takes CUDA, then Apple's MPS, then the CPU.

    Raises UserError for a name that is none of auto, cuda, mps, cpu and for a device this machine lacks.
    """
    if name not in DEVICES:
        raise UserError(f'There is no device "{name}": choose {", ".join(DEVICES[:-1])} or {DEVICES[-1]}.')
    has_mps = hasattr(torch.backends, "mps") and torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("There is no CUDA device that this PyTorch can use: choose the device auto or cpu.")
    if name == "mps" and not has_mps:
        raise UserError("There is no MPS device on this machine: choose the device auto or cpu.")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What the device calls itself, for the report."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    count = torch.get_num_threads()
    return "1 thread" if count == 1 else f"{count} threads"


def shipped_model(task: str) -> Path:
    """The checkpoint that comes with the extension; UserError where none does yet."""
    path = MODELS_FOLDER / f"{task}.safetensors"
    if not path.exists():
        advice = "give a model file made for it (on the command line with --model)"
        raise UserError(f"No weights for {task} come with this version: {advice}.")
    return path


class ModelStore:
    """Networks and backbones by file, kept between jobs; a file that changed on disk is loaded anew."""

    def __init__(self) -> None:
        self._networks: dict[tuple, object] = {}
        self._backbones: dict[tuple, object] = {}

    def network(self, path: Path, task: str | None):
        """The `LoadedModel` of a checkpoint; UserError as `network.checkpoint.load_checkpoint` raises it."""
        from ..network.checkpoint import load_checkpoint

        key = _file_key(path)
        loaded = self._networks.get(key)
        if loaded is None or (task is not None and loaded.task != task):
            loaded = load_checkpoint(Path(path), task)
            self._networks = {key: loaded}
        # A job may move its network between devices; the kept one stays where it was loaded.
        return loaded, copy.deepcopy(loaded.network)

    def backbone(self, name: str, checkpoint: Path | None, device: torch.device):
        """A MedSAM backbone on `device`; UserError for an unknown name or a bad checkpoint."""
        from ..prior.backbones import load_backbone

        if name == "medsam" and checkpoint is None:
            raise UserError("The prior medsam needs its checkpoint: give the path of medsam_vit_b.pth.")
        key = (name, _file_key(checkpoint) if checkpoint else None, str(device))
        if key not in self._backbones:
            self._backbones = {key: load_backbone(name, checkpoint, device)}
        return self._backbones[key]


def _file_key(path: Path) -> tuple:
    path = Path(path)
    if not path.is_file():
        return (str(path.resolve()), None, None)
    state = path.stat()
    return (str(path.resolve()), state.st_mtime_ns, state.st_size)

"""Checkpoints: a safetensors file with the weights, and beside it the model card that vouches for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import UserError
from ..hashing import file_sha256
from .architecture_limits import checked_architecture
from .lrformer import LRformer

LARGEST_CARD_BYTES = 1 << 22


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to run.

    Attributes:
        network: in evaluation mode, float32, on the CPU.
        task: what it was trained for, such as "ct-denoise".
        scale: output pixels per input pixel along an axis.
        card: the model card.
        sha256: of the safetensors file.
    """

    network: LRformer
    task: str
    scale: int
    card: dict
    sha256: str


def card_path(path: Path) -> Path:
    """Where the model card of a checkpoint lies: same name, ending in .json."""
    return Path(path).with_suffix(".json")


def save_checkpoint(path: Path, network: LRformer, card: dict) -> None:
    """Write the weights to ``path`` (.safetensors) and the card beside it.

    Args:
        path: of the safetensors file.
        network: weights are stored as they are, moved to the CPU.
        card: JSON-serialisable, with at least "name" and "task"; its "sha256" and "parameters" are filled in here.

    Raises:
        ValueError: the card lacks a name or a task.
    """
    missing = {"name", "task"} - card.keys()
    if missing:
        raise ValueError(f"the model card lacks {', '.join(sorted(missing))}")
    path = Path(path)
    metadata = {"task": card["task"], "architecture": json.dumps(network.architecture.as_dict(), sort_keys=True)}
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, str(path), metadata)
    path.chmod(0o644)  # safetensors makes it readable by its owner alone, which a shared installation cannot use
    parameters = sum(parameter.numel() for parameter in network.parameters())
    architecture = network.architecture.as_dict()
    card = {**card, "parameters": parameters, "architecture": architecture, "sha256": file_sha256(path)}
    card_path(path).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_checkpoint(path: Path, task: str | None = None) -> LoadedModel:
    """Load a checkpoint that :func:`save_checkpoint` wrote.

    Args:
        path: of the safetensors file; its card must lie beside it.
        task: the task it must be for; None accepts any.

    Raises:
        UserError: file or card missing, truncated, a pickle, tampered with (SHA256 differs from the card's), or made
            for another task.
    """
    path = Path(path)
    metadata, state = _open_weights(path)  # first: that it is no safetensors file explains a missing card, too
    sha256 = file_sha256(path)
    card = _read_card(path)
    if card.get("sha256") != sha256:
        raise UserError(
            f"{path} is not the file its model card describes (SHA256 {sha256[:12]} differs): get both files again."
        )
    if "architecture" not in metadata or "task" not in metadata:
        raise UserError(f"{path} is not an LRformer model: choose a file made by 'lrformer train'.")
    if task is not None and metadata["task"] != task:
        raise UserError(f"{path} was made for {metadata['task']}, not for {task}: choose a model for {task}.")
    try:
        network = checked_architecture(metadata["architecture"], state).build()
        network.load_state_dict(state)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} was made by another version of LRformer: get a model made for this one.") from error
    network.eval().requires_grad_(False)
    return LoadedModel(network.to(torch.float32), metadata["task"], network.scale, card, sha256)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file by name, of whatever architecture.

    Raises:
        UserError: missing, truncated, or not safetensors.
    """
    return _open_weights(Path(path))[1]


def _open_weights(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Metadata and tensors."""
    if not path.is_file():
        raise UserError(f"There is no model file at {path}: check the path.")
    try:
        with safe_open(str(path), "pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a complete safetensors file (truncated, or a pickle): get the model file again."
        ) from error


def _read_card(path: Path) -> dict:
    location = card_path(path)
    try:
        if location.exists() and not (location.is_file() and location.stat().st_size <= LARGEST_CARD_BYTES):
            raise ValueError("no file of a card's size")
        card = json.loads(location.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"The model card {location} is missing: put it beside the model file.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"The model card {location} cannot be read: get it again.") from error
    if not isinstance(card, dict) or not isinstance(card.get("name", ""), str) or len(card.get("name", "")) > 200:
        raise UserError(f"The model card {location} is not a model card: get it again.")
    return card

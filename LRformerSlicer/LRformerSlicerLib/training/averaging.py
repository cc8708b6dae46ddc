"""The mean of two models' weights: between what the one and the other does.

It works for a model and the one that it was trained on from (Wortsman et al., CVPR 2022, arXiv 2109.01903): between two
that began apart there is nothing.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from ..errors import UserError
from ..network.checkpoint import card_path, load_checkpoint, save_checkpoint
from ..restoration.output_plan import check_written_files

OF_ITS_OWN_WEIGHTS = ("expected_error", "scores", "validation")
"""What a card tells of the weights that it came with, and of no others."""


def average_models(first: Path, second: Path, share: float, out: Path) -> None:
    """Write ``share`` times the weights of ``first`` plus the rest of ``second``.

    The card is the first one's, without what was measured with its weights; "averaged" names both by their SHA256.

    Args:
        first, second: .safetensors files of one task and architecture, their cards beside them.
        share: above 0 and below 1.
        out: the .safetensors file to write.

    Raises:
        UserError: the share is none, a file cannot be read or written, ``out`` is one of the two, or they are not of
            one task and architecture.
    """
    if not 0.0 < share < 1.0:
        raise UserError(f"The share of the first model is {share:g}: give one above 0 and below 1.")
    if out.resolve() in (first.resolve(), second.resolve()):
        raise UserError(f"{out} is one of the models to average: give another file to write.")
    check_written_files([first, second], [file for file in (out, card_path(out)) if not file.is_dir()])
    one, other = load_checkpoint(first), load_checkpoint(second)
    if (one.task, one.network.architecture) != (other.task, other.network.architecture):
        raise UserError(f"{first} and {second} are not of one task and architecture: give two models that are.")
    network, others = one.network, other.network.state_dict()
    network.load_state_dict(
        {name: share * tensor + (1.0 - share) * others[name] for name, tensor in network.state_dict().items()}
    )
    card = {name: value for name, value in one.card.items() if name not in OF_ITS_OWN_WEIGHTS}
    averaged = [{"sha256": one.sha256, "share": share}, {"sha256": other.sha256, "share": round(1.0 - share, 6)}]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(out, network, {**card, "averaged": averaged})
    except (OSError, SafetensorError) as error:
        raise UserError(f"{out} cannot be written: choose another file or folder.") from error

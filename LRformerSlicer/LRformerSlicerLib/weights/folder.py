"""The folder for weights that do not come with the extension: chosen, shown, filled and emptied by the user.

The shipped weights lie inside the extension, and nothing here ever removes those.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UserError

EXTENSION_FOLDER = Path(__file__).resolve().parents[2]
PART_SUFFIX = ".part"
"""Of a download that is not complete: no name under which weights are looked for."""


def default_folder() -> Path:
    """Where the weights go unless the user chooses another place."""
    return Path.home() / ".lrformer" / "models"


def check_folder(folder: Path) -> None:
    """Raises UserError for a folder that must not or cannot hold downloaded weights."""
    folder = Path(folder).resolve()
    if folder.is_relative_to(EXTENSION_FOLDER):
        raise UserError(
            "This folder belongs to the extension with its shipped weights: choose one of your own, outside of it."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise UserError(f"The folder {folder} cannot be written to: choose another one for the models.")


def removable_files(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """The weights in `folder` that emptying it removes, sorted: the files called `names`, their unfinished downloads,
    and .safetensors models with their cards.  Other files are not ours.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return []
    models = [path for path in folder.glob("*.safetensors") if path.is_file()]
    cards = [card for card in (path.with_suffix(".json") for path in models) if card.is_file()]
    named = [folder / (name + suffix) for name in names for suffix in ("", PART_SUFFIX)]
    return sorted({*models, *cards, *(path for path in named if path.is_file())})


def remove_files(files: list[Path]) -> None:
    """Remove what `removable_files` named. Raises UserError for what cannot be removed."""
    for path in files:
        if path.resolve().is_relative_to(EXTENSION_FOLDER):
            raise UserError(f"{path.name} came with the extension: it is not removed.")
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(
                f"{path} could not be removed ({error.strerror}): close what uses it, then try again."
            ) from error

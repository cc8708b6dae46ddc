"""The model cards of the shipped weights as a page to read: docs/MODEL_CARDS.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ...restoration.models import MODELS_FOLDER

PAGE = "MODEL_CARDS.md"


def write_model_cards(docs: Path, models: Path = MODELS_FOLDER) -> Path:
    """Write the page of all ``*.json`` cards in ``models`` and return its path."""
    cards = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(models).glob("*.json"))]
    page = Path(docs) / PAGE
    lines = ["# The weights that come with the extension", ""]
    lines.append("Written by `lrformer benchmark quality` from the cards in `LRformerSlicer/Resources/Models`.")
    for card in cards:
        lines += ["", *card_lines(card)]
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return page


def card_lines(card: dict) -> Iterator[str]:
    """Markdown of one card; what it does not hold is left out."""
    training, architecture = card.get("training", {}), card.get("architecture", {})
    yield f"## {card['name']}"
    yield ""
    if text := card.get("intended_use"):
        yield f"**{text}**"
        yield ""
    yield "| | |"
    yield "|---|---|"
    rows = {
        "parameters": f"{card.get('parameters', 0) / 1e6:.2f} M",
        "architecture": ", ".join(f"{name} {value}" for name, value in architecture.items()),
        "SHA256": f"`{card.get('sha256', '')}`",
        "trained on": "; ".join(f"{one['scan']} ({one['pairs']} pairs, {one['collection']})" for one in card["data"])
        if "data" in card
        else "",
        "patients": _plain(card["patients"]) if card.get("patients") else "",
        "validated on": ", ".join(one["scan"] for one in card.get("validation_data", [])),
        "degradation": _plain(card.get("degradation")),
        "prior": _plain(card.get("prior")),
        "steps": str(training.get("steps", "")),
        "batch and patch": f"{training.get('batch_size')} patches of {training.get('patch_size')} pixels",
        "optimiser": f"{training.get('optimiser')}, {training.get('loss')}, peak rate {training.get('learning_rate')}, "
        f"seed {training.get('seed')}, {training.get('precision')}",
        "hardware": f"{training.get('device')}, {training.get('processor')}, {training.get('threads')} threads, "
        f"torch {training.get('torch')}",
        "seconds": str(training.get("seconds", "")),
        "commit": str(training.get("commit") or "see the note"),
        "note": training.get("note", ""),
    }
    for name, value in rows.items():
        if value:
            yield f"| {name} | {value} |"
    yield ""
    yield from _score_lines(card.get("scores", {}))
    if limits := card.get("limits"):
        yield "Where it fails:"
        yield ""
        yield from (f"- {limit}" for limit in limits)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name.replace('_', ' ')}: {_plain(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _score_lines(scores: dict) -> Iterator[str]:
    for title, result in scores.items():
        low, high = result["window"]
        yield f"{title}: {len(result['slices'])} slices, inside the body, [{low:g}, {high:g}] {result['unit']}."
        yield ""
        yield "| method | PSNR / dB [95 %] | SSIM | RMSE |"
        yield "|---|---|---|---|"
        for method, row in result["methods"].items():
            low, high = row["psnr_interval_db"]
            yield f"| {method} | {row['psnr_db']:.2f} [{low:.2f}, {high:.2f}] | {row['ssim']:.3f} | {row['rmse']:.4g} |"
        yield ""
        if ours := result["methods"].get("LRformer"):
            psnr = ours["per_slice_psnr_db"]
            worst = min(range(len(psnr)), key=psnr.__getitem__)
            yield f"Worst slice: {result['slices'][worst]}, {psnr[worst]:.2f} dB."
            yield ""

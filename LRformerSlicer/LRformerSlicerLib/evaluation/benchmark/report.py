"""Running parts of the benchmark and writing the document of all that have been run."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from ...errors import UserError
from ...restoration.models import choose_device, device_name
from .model_cards import write_model_cards
from .parts import PARTS, BenchmarkOptions
from .targets import target_lines

DOCUMENT, FIGURES = "BENCHMARK.md", "benchmark"
MISSING = "Not measured yet: `lrformer benchmark quality --parts {} --data DATA`."


def run_parts(names: Iterable[str], options: BenchmarkOptions, docs: Path) -> list[str]:
    """Measure these parts, keep each one's figures in ``docs/benchmark``, and write the document.

    Returns:
        What was left out and why, a sentence each: a part whose weights do not ship yet, for example.

    Raises:
        UserError: an unknown part.
    """
    chosen = list(names)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        raise UserError(f"The benchmark has no part {unknown[0]}: choose among {', '.join(PARTS)}.")
    folder = Path(docs) / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    left_out = []
    for name in chosen:
        started = time.monotonic()
        try:
            figures = PARTS[name].measure(options, folder)
        except UserError as error:
            left_out.append(f"{name}: {error}")
            continue
        device = choose_device(options.device)
        record = {
            "seconds": round(time.monotonic() - started),
            "device": f"{device} ({device_name(device)})",
            "torch": torch.__version__,
            "processor": platform.processor() or platform.machine(),
            "result": figures,
        }
        (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        logging.info("%s: %d s", name, record["seconds"])
        write_document(docs)
    write_document(docs)
    return left_out


def write_document(docs: Path) -> None:
    """``docs/BENCHMARK.md`` of the figures in ``docs/benchmark``, and the page of the model cards.

    A part without figures says how to get them.
    """
    folder, lines = Path(docs) / FIGURES, list(_preface())
    files = {name: folder / f"{name}.json" for name in PARTS}
    records = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
    lines += ["", "## What was aimed at", ""]
    lines += target_lines({name: record["result"] for name, record in records.items()})
    for name, part in PARTS.items():
        lines += ["", f"## {part.title}", ""]
        if name not in records:
            lines.append(MISSING.format(name))
            continue
        record = records[name]
        lines += part.lines(record["result"], FIGURES)
        lines.append(f"`--parts {name}`: {record['seconds']} s, {record['device']}, torch {record['torch']}.")
    text = "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"
    (Path(docs) / DOCUMENT).write_text(text, encoding="utf-8")
    write_model_cards(docs)


def _preface() -> Iterable[str]:
    yield "# How good the restorations are"
    yield ""
    yield "This page is written by `lrformer benchmark quality --data DATA` (`--parts NAME ...` for some of it); every"
    yield "figure below is from the run that the line at the end of its section names. DATA is a folder of train/ and"
    yield "test/ with real scans; seeds are fixed; filters are set to their best on train/, never on test/. The weights"
    yield "themselves: [MODEL_CARDS.md](MODEL_CARDS.md)."

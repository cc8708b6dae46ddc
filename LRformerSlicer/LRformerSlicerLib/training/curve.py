"""The curve of a training, as CSV and PNG."""

from __future__ import annotations

import csv
from pathlib import Path


def write_curve(history: list[dict], stem: Path, unit: str) -> None:
    """Write ``stem``.csv and ``stem``.png: training loss and validation PSNR by step.

    Args:
        history: rows with "step", "seconds", "l1_UNIT" and, where there are validation slices, "psnr_db" and "ssim".
        stem: path without suffix.
        unit: of the loss.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with stem.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in history]
    left.plot(steps, [row[f"l1_{unit}"] for row in history])
    left.set(xlabel="step", ylabel=f"training L1 / {unit}")
    if "psnr_db" in history[0]:
        right.plot(steps, [row["psnr_db"] for row in history])
        right.set(xlabel="step", ylabel="validation PSNR / dB")
    figure.savefig(stem.with_suffix(".png"), dpi=100)

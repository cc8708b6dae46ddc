"""Pictures of reliability: sparsification curves, and the maps beside the error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...restoration.tasks import Task
from .figures import OTHER_COLOURS, OUR_COLOUR, Panel, new_figure, save_figure, save_panels
from .reliability_measures import SHARES_LEFT_OUT
from .reliability_samples import Sample

ERROR_PERCENTILE = 99.0
LARGEST_DISCREPANCY = 2 / 3  # of four samples, two against two: four pairs of six disagree


def sparsification_figure(judged: dict[str, dict], task: Task, path: Path) -> None:
    """Mean error of what is left over the share left out: single pixels on the left, local error on the right."""
    figure = new_figure(11.5, 6.2, f"Sparsification, {task.name}: leaving out what the map calls uncertain")
    axes = figure.subplots(1, 2, sharey=True)
    titles = (("pixel", "absolute error of single pixels"), ("local", "local RMS error (6 mm across)"))
    for axis, (kind, title) in zip(axes, titles, strict=True):
        for place, (name, found) in enumerate(judged.items()):
            ours = name.startswith("expected error")
            axis.plot(
                100 * SHARES_LEFT_OUT,
                found[kind]["curve"],
                label=name,
                color=OUR_COLOUR if ours else OTHER_COLOURS[place % len(OTHER_COLOURS)],
                linestyle="--" if "no extra" in name else ":" if place >= len(OTHER_COLOURS) and not ours else "-",
                linewidth=2.4 if ours else 1.3,
            )
        axis.set_title(title, fontsize=11)
        axis.set_xlabel("pixels left out, most uncertain first, %", fontsize=10)
        axis.set_ylim(0.0, 1.15)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("mean error of the rest / of all", fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8.5, frameon=False)
    save_figure(figure, path)


def reliability_maps(one: Sample, maps: dict[str, np.ndarray], task: Task, path: Path) -> None:
    """Restored slice, its absolute and local error, and maps; D on its own scale, the rest on one."""
    unit, factor = ("HU", 1000.0) if task.modality == "CT" else (task.unit, 1.0)
    error = np.where(one.body, np.abs(one.restored - one.reference), 0.0) * factor
    local = np.zeros(one.body.shape)
    local[one.body] = one.local_error * factor
    reach = (0.0, float(np.percentile(local[one.body], ERROR_PERCENTILE)))
    low, high = task.metrics_window
    shown = one.restored * factor - (1000.0 if task.modality == "CT" else 0.0)
    panels = [
        Panel("restored", shown, (low, high), f"{unit}, window {low:g} to {high:g}"),
        Panel("|restored - reference|", error, reach, f"absolute error, {unit}", "inferno"),
        Panel("local RMS error", local, reach, unit, "inferno"),
    ]
    for name, values in maps.items():
        inside = np.where(one.body, values, 0.0)
        if name.startswith("expected"):
            panels.append(Panel(name, inside * factor, reach, f"expected |error|, {unit}", "inferno"))
        else:
            panels.append(Panel(name, inside, (0.0, LARGEST_DISCREPANCY), "share of pairs", "inferno"))
    aspect = one.pixel_size_mm[0] / one.pixel_size_mm[1]
    save_panels([panels[:3], panels[3:]], f"Where the error is, {one.name}", path, aspect)

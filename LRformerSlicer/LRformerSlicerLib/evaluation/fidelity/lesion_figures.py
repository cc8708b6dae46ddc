"""Pictures of inserted lesions: the slices, and how often each method lets them be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...restoration.tasks import Task
from .figures import Panel, in_rows, line_styles, new_figure, save_figure, save_panels
from .lesion_study import CLEAN, Study

MARGIN_MM = 14.0
CT_WINDOW_HU = (-80.0, 220.0)
"""Narrower than the window of the scores: lesions of 10 to 80 HU are to be seen."""


def lesion_picture(study: Study, shown: dict[str, np.ndarray], task: Task, path: Path) -> None:
    """One version of a slice under every method, cut to where the lesions lie; rings mark them in the clean one."""
    lesions = study.layouts[-1]
    margin = int(round(MARGIN_MM / study.grid.pixel_mm))
    rows, columns = np.array([[lesion.place.row, lesion.place.column] for lesion in lesions]).T
    top, left = max(int(rows.min()) - margin, 0), max(int(columns.min()) - margin, 0)
    part = (slice(top, int(rows.max()) + margin), slice(left, int(columns.max()) + margin))
    circles = [
        (
            lesion.place.row - top,
            lesion.place.column - left,
            (lesion.diameter_mm / 2 + 2.0) / study.grid.pixel_mm,
        )
        for lesion in lesions
    ]
    window = CT_WINDOW_HU if task.modality == "CT" else task.metrics_window
    unit = "HU" if task.modality == "CT" else task.unit
    panels = [
        Panel(
            name,
            image[part],
            window,
            f"{unit}, window {window[0]:g} to {window[1]:g}",
            circles=circles if name == CLEAN else (),
        )
        for name, image in shown.items()
    ]
    title = f"Inserted lesions, {study.name}: diameters 3 to 10 mm"
    save_panels(in_rows(panels), title, path)


def detection_figure(methods: dict[str, dict], task: Task, path: Path) -> None:
    """Contrast recovery (above) and CHO detection rate (below) over diameter, a column for each contrast."""
    contrasts = sorted({row["contrast"] for row in methods[CLEAN]["kinds"]})
    figure = new_figure(3.1 * len(contrasts) + 0.4, 6.4, f"Inserted lesions, {task.name}")
    axes = figure.subplots(2, len(contrasts), sharex=True, sharey="row", squeeze=False)
    styles = line_styles(list(methods))
    for column, contrast in zip(axes.T, contrasts, strict=True):
        for method, result in methods.items():
            rows = [row for row in result["kinds"] if row["contrast"] == contrast]
            diameters = [row["diameter_mm"] for row in rows]
            if method != CLEAN:
                _line(
                    column[0], diameters, rows, lambda row: (row["recovery"], row["recovery_interval"]), styles[method]
                )
            detected = [(row["CHO"]["detected"], row["CHO"]["detected_interval"]) for row in rows]
            column[1].plot(diameters, [value for value, _ in detected], label=method, markersize=5, **styles[method])
        unit = f"{contrast:g} HU" if task.modality == "CT" else f"{100 * contrast:g} % of the foreground's range"
        column[0].set_title(unit, fontsize=11)
        column[0].axhspan(0.95, 1.05, color="#dddddd", zorder=0)
        column[0].set_ylim(0.0, 1.4)
        column[1].set_ylim(-0.03, 1.03)
        column[1].set_xlabel("diameter, mm", fontsize=10)
        for axis in column:
            axis.grid(alpha=0.3)
            axis.tick_params(labelsize=9)
    axes[0][0].set_ylabel("contrast recovery\n(grey: 0.95 to 1.05)", fontsize=10)
    axes[1][0].set_ylabel("detection rate, CHO,\n1 % false positives", fontsize=10)
    handles, labels = axes[1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), fontsize=9, frameon=False)
    save_figure(figure, path)


def _line(axis, diameters: list[float], rows: list[dict], read, style: dict) -> None:
    values, intervals = zip(*(read(row) for row in rows), strict=True)
    below, above = np.abs(np.array(intervals).T - np.array(values))
    axis.errorbar(diameters, values, [below, above], capsize=2, markersize=5, elinewidth=0.8, **style)

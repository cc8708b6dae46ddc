"""What the fidelity pictures share: a white figure without a screen, panels of slices, and colours by method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...restoration.volume_io import check_folder
from ..quality import OURS

PANEL_INCHES = 2.9
DOTS_PER_INCH = 110
OUR_COLOUR = "#c1272d"
OTHER_COLOURS = ("#4c4c4c", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")


@dataclass(frozen=True)
class Panel:
    """One slice of a picture.

    Attributes:
        title: above it.
        pixels: (H, W).
        limits: what black and white, or both ends of the colours, mean.
        label: of its colour bar, with the unit; none where empty.
        colours: matplotlib's name.
        caption: below it.
        circles: row, column, radius in pixels.
    """

    title: str
    pixels: np.ndarray
    limits: tuple[float, float]
    label: str = ""
    colours: str = "gray"
    caption: str = ""
    circles: Sequence[tuple[float, float, float]] = ()


def new_figure(width_inches: float, height_inches: float, title: str):
    """An empty figure with a bold title."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width_inches, height_inches), dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.05, wspace=0.02, hspace=0.02)
    figure.suptitle(title, fontsize=13, fontweight="bold")
    return figure


def save_figure(figure, path: Path) -> None:
    """Write as PNG.  Raises UserError where the folder does not exist."""
    check_folder(path)
    figure.savefig(path)


def save_panels(rows: Sequence[Sequence[Panel]], title: str, path: Path, aspect: float = 1.0) -> None:
    """Write rows of slices side by side as PNG; ``aspect`` is the height of a pixel over its width."""
    columns = max(len(row) for row in rows)
    heights = [PANEL_INCHES * row[0].pixels.shape[0] / row[0].pixels.shape[1] * aspect for row in rows]
    extra = [0.95 if any(panel.label for panel in row) else 0.5 for row in rows]
    figure = new_figure(columns * PANEL_INCHES + 0.4, sum(heights) + sum(extra) + 0.4, title)
    shares = [height + more for height, more in zip(heights, extra, strict=True)]
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=shares)
    for row_axes, row in zip(axes, rows, strict=True):
        for axis in row_axes[len(row) :]:
            axis.set_axis_off()
        for axis, panel in zip(row_axes, row, strict=False):
            _draw(figure, axis, panel, aspect)
    save_figure(figure, path)


def in_rows(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    """The panels in rows of at most four, as evenly filled as can be."""
    rows = -(-len(panels) // 4)
    columns = -(-len(panels) // rows)
    return [panels[first : first + columns] for first in range(0, len(panels), columns)]


def _draw(figure, axis, panel: Panel, aspect: float) -> None:
    from matplotlib.patches import Circle

    low, high = panel.limits
    shown = axis.imshow(
        panel.pixels, cmap=panel.colours, vmin=low, vmax=high, aspect=aspect, interpolation="antialiased"
    )
    axis.set_title(panel.title, fontsize=11)
    axis.set_xlabel(panel.caption, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])
    for row, column, radius in panel.circles:
        axis.add_patch(Circle((column, row), radius, fill=False, edgecolor="#ffb000", linewidth=0.9))
    if panel.label:
        bar = figure.colorbar(shown, ax=axis, orientation="horizontal", shrink=0.85, aspect=22, pad=0.03)
        bar.set_label(panel.label, fontsize=9)
        bar.ax.tick_params(labelsize=8)


def line_styles(methods: Sequence[str]) -> dict[str, dict]:
    """Colour, marker and width of each method's line: ours stands out."""
    others = [method for method in methods if method != OURS]
    styles = {
        method: {
            "color": OTHER_COLOURS[place % len(OTHER_COLOURS)],
            "marker": MARKERS[(place + 1) % len(MARKERS)],
            "linewidth": 1.3,
        }
        for place, method in enumerate(others)
    }
    return styles | {OURS: {"color": OUR_COLOUR, "marker": MARKERS[0], "linewidth": 2.4}}

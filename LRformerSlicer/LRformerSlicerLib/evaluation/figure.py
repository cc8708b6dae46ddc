"""One picture of a restoration: degraded, restored, reference, prior and difference side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..restoration.volume_io import check_folder

PANEL_WIDTH_INCHES = 3.1
DETAIL_SHARE = 0.27
"""Side of the enlarged square as a share of the slice's shorter side."""
PRIOR_OPACITY = 0.55
PRIOR_HIGHEST = 0.5
"""No two passes both agree and disagree at a pixel, so C + D <= 1 and U = (C + D) / 2 <= 0.5."""
DIFFERENCE_PERCENTILE = 99.5
"""Of the whole slice's changes: where the colours of the difference end."""


@dataclass(frozen=True)
class SideBySide:
    """The slices of a picture, all (H, W) float on one grid, and what its captions say."""

    title: str
    degraded: np.ndarray
    restored: np.ndarray
    reference: np.ndarray
    prior: np.ndarray
    """U = (C + D) / 2."""
    window: tuple[float, float]
    """What black and white mean in the first three panels."""
    unit: str
    """Of the window and of the difference, such as HU."""
    captions: tuple[str, str, str]
    """Below degraded, restored and reference."""
    pixel_aspect: float = 1.0
    """Height of a pixel over its width."""
    view: tuple[slice, slice] = (slice(None), slice(None))
    """The rows and columns that the upper panels show."""


def save_side_by_side(picture: SideBySide, path: Path, dots_per_inch: int = 120) -> None:
    """Write the picture as PNG: the slices above, the square with the strongest prior enlarged below.

    The first three panels share one window. The difference is restored minus degraded, diverging about zero.
    Raises UserError where the folder does not exist.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    check_folder(path)
    rows, columns = picture.reference[picture.view].shape
    height = PANEL_WIDTH_INCHES * rows / columns * picture.pixel_aspect
    size = (5 * PANEL_WIDTH_INCHES + 0.6, height + PANEL_WIDTH_INCHES + 1.75)
    figure = Figure(figsize=size, dpi=dots_per_inch, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.05, wspace=0.01, hspace=0.01)
    figure.suptitle(picture.title, fontsize=14, fontweight="bold")
    axes = figure.subplots(2, 5, height_ratios=[height, PANEL_WIDTH_INCHES])
    top, left, side = _detail(picture.prior)
    shown = _draw_row(axes[0], picture, picture.view)
    _draw_row(axes[1], picture, (slice(top, top + side), slice(left, left + side)))

    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_color("#999999")
    names = ("degraded", "restored", "reference", "prior over degraded", "restored - degraded")
    captions = (*picture.captions, "", "")
    for axis, name, caption in zip(axes[0], names, captions, strict=True):
        axis.set_title(name, fontsize=12)
        axis.set_xlabel(caption, fontsize=10)
        axis.add_patch(_frame(left - (picture.view[1].start or 0), top - (picture.view[0].start or 0), side))
    low, high = picture.window
    bars = (
        (axes[1, :3], shown[0], f"{picture.unit}, window {low:g} to {high:g}"),
        (axes[1, 3], shown[1], "prior U = (C + D) / 2"),
        (axes[1, 4], shown[2], f"difference, {picture.unit}"),
    )
    for places, mappable, label in bars:
        shrink = 0.3 if isinstance(places, np.ndarray) else 0.85
        bar = figure.colorbar(
            mappable, ax=places, orientation="horizontal", shrink=shrink, aspect=22, pad=0.02, label=label
        )
        bar.ax.tick_params(labelsize=9)
    figure.savefig(path)


def _draw_row(axes: Sequence, picture: SideBySide, part: tuple[slice, slice]) -> tuple:
    """Five panels of one part of the slices; returns a mappable for each of the three colour bars."""
    low, high = picture.window
    grey = {"cmap": "gray", "vmin": low, "vmax": high, "aspect": picture.pixel_aspect, "interpolation": "antialiased"}
    slices = (picture.degraded, picture.restored, picture.reference, picture.degraded)
    for axis, values in zip(axes[:4], slices, strict=True):
        first = axis.imshow(values[part], **grey)
    prior = picture.prior[part]
    # Where there is no prior the slice stays as it is; where it is strong the colour covers most of it.
    opacity = np.clip(prior / PRIOR_HIGHEST, 0.0, 1.0) * PRIOR_OPACITY
    overlay = axes[3].imshow(
        prior, cmap="inferno", vmin=0.0, vmax=PRIOR_HIGHEST, aspect=picture.pixel_aspect, alpha=opacity
    )
    change = picture.restored - picture.degraded
    reach = max(float(np.percentile(np.abs(change), DIFFERENCE_PERCENTILE)), 1e-6)
    difference = axes[4].imshow(change[part], cmap="RdBu_r", vmin=-reach, vmax=reach, aspect=picture.pixel_aspect)
    from matplotlib.cm import ScalarMappable

    # The overlay's own bar would be as transparent as the overlay.
    return first, ScalarMappable(cmap=overlay.cmap, norm=overlay.norm), difference


def _detail(prior: np.ndarray) -> tuple[int, int, int]:
    """Top row, left column and side in pixels of the square in which the prior's mean is highest."""
    from scipy.ndimage import uniform_filter

    side = max(16, int(round(min(prior.shape) * DETAIL_SHARE)))
    side = min(side, *prior.shape)
    means = uniform_filter(prior.astype(np.float64), side, mode="constant")
    half = side // 2
    inside = means[half : prior.shape[0] - side + half + 1, half : prior.shape[1] - side + half + 1]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return int(row), int(column), side


def _frame(left: int, top: int, side: int):
    from matplotlib.patches import Rectangle

    return Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor="#ffb000", linewidth=1.2)

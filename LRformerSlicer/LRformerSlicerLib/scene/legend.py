"""The colour legend of a map: the same size of print in every view, ticks at round values."""

from __future__ import annotations

import math

import slicer

TICKS = 5
"""Lower end, upper end, and three between."""

LABEL_WIDTH = 6
"""Characters of every label, padded with blanks.  Slicer takes the largest font in which all labels fit into the
legend, so that shorter ones would be printed larger, and the title with them."""

SIZE = (0.11, 0.22)
POSITION = (0.985, 0.03)
"""Fractions of the view: small, and at its lower right edge, where little of the patient is covered."""

ROUND_UPPER_ENDS = (1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Times a power of ten: upper ends that have short ticks at a quarter, a half and three quarters."""


def roundUpperEnd(value: float) -> float:
    """The smallest upper end with short ticks that is not below `value` (> 0)."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(end * power for end in ROUND_UPPER_ENDS if end * power >= value * (1 - 1e-9))


def labelFormat(lower: float, upper: float) -> str:
    """The printf format with as many decimals as the ticks between two ends need, two more digits at most."""
    step = (upper - lower) / (TICKS - 1)
    ticks = [lower + index * step for index in range(TICKS)]
    fewest = max(0, -math.floor(math.log10(step))) if step > 0 else 0
    for decimals in range(fewest, fewest + 3):
        if all(abs(round(tick, decimals) - tick) < 1e-3 * step for tick in ticks):
            return f"%{LABEL_WIDTH}.{decimals}f"
    return f"%{LABEL_WIDTH}.{fewest + 1}f"


def showLegend(volumeNode, title: str, nodes) -> None:
    """Show a colour legend of the volume in the views of the slice `nodes` and nowhere else."""
    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(volumeNode)
    if legend is None:
        legend = logic.AddDefaultColorLegendDisplayNode(volumeNode)
        legend.SetSaveWithScene(False)
    legend.SetTitleText(title)
    legend.SetMaxNumberOfColors(256)
    legend.SetNumberOfLabels(TICKS)
    legend.SetSize(*SIZE)
    legend.SetPosition(*POSITION)
    legend.SetViewNodeIDs([node.GetID() for node in nodes])
    display = volumeNode.GetDisplayNode()
    legend.SetLabelFormat(labelFormat(display.GetWindowLevelMin(), display.GetWindowLevelMax()))
    legend.SetVisibility(True)


def hideLegend(volumeNode) -> None:
    """Take the volume's colour legend away."""
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(volumeNode)
    if legend is not None:
        slicer.mrmlScene.RemoveNode(legend)

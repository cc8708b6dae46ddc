"""Pictures of real scans before and after, part by part of the body, as a radiologist looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..fidelity.figures import Panel, save_panels

WINDOW_HU = (-160.0, 240.0)  # width 400, centre 40
LUNG_WINDOW_HU = (-1350.0, 150.0)
SIDE_PIXELS = 256
SHOWN = {
    "ct_liver_dcmqi": (WINDOW_HU,),
    "ct_abdomen_colonography0001": (WINDOW_HU,),
    "ct_chest_siim_345231_91": (WINDOW_HU, LUNG_WINDOW_HU),
    "ct_shoulder_lungctdx004_lungkernel": (WINDOW_HU, LUNG_WINDOW_HU),
    "ct_pelvis_siim_508460_77": (WINDOW_HU,),
}
"""Scans that are shown and their windows."""


class NoisePictures:
    """Writes a picture of each scan that is to be shown: the middle of the slice as scanned, restored, and what went.

    Args:
        folder: for the PNG files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self.names: list[str] = []

    def add(self, name: str, given: np.ndarray, made: np.ndarray) -> None:
        """Draw a slice (H, W) in HU and what was made of it, if its scan is one to show."""
        scan = name.rpartition("-")[0]
        if scan not in SHOWN:
            return
        half = SIDE_PIXELS // 2
        part = tuple(slice(max(0, length // 2 - half), length // 2 + half) for length in given.shape)
        change = (made - given)[part]
        reach = max(float(np.percentile(np.abs(change), 99.5)), 1.0)
        rows = [
            [
                Panel("as scanned", given[part], window, f"HU, window {window[0]:g} to {window[1]:g}"),
                Panel("restored", made[part], window, f"HU, window {window[0]:g} to {window[1]:g}"),
                Panel("restored - as scanned", change, (-reach, reach), "HU", "RdBu_r"),
            ]
            for window in SHOWN[scan]
        ]
        file = f"noise-{scan}.png"
        save_panels(rows, scan, self._folder / file)
        self.names.append(file)

"""How far a slice restored in tiles is from the same slice restored whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ..degradation.ct import simulate_low_dose
from ..network.checkpoint import load_checkpoint
from ..restoration.intensity import ct_intensity
from ..restoration.slicing import neighbour_stack
from ..restoration.tiling import TiledNetwork
from .example_scans import abdomen_ct

DOSE, SEED = 0.25, 1
SIDE = 768  # the slice is mirrored at two of its edges up to here, so that there are tiles to cut


def tiling_differences_hu(model: Path, tiles: Iterable[int]) -> dict[int, float]:
    """Largest difference in HU anywhere in the packaged abdominal CT slice at a quarter dose, by side of the tiles.

    The slice of 512 x 512 pixels is extended to 768 x 768 by mirroring.

    Args:
        model: checkpoint of a ct-denoise network.
        tiles: sides in pixels, below 768.
    """
    scan = abdomen_ct()
    intensity = ct_intensity()
    full_dose = sitk.GetArrayFromImage(scan)[0].astype(np.float32)
    degraded = simulate_low_dose(full_dose, scan.GetSpacing()[0], DOSE, SEED)
    degraded = np.pad(degraded, [(0, SIDE - length) for length in degraded.shape], mode="symmetric")
    network = load_checkpoint(model, "ct-denoise").network
    image = neighbour_stack(intensity.normalise(degraded)[None], 0, network.context)[None].astype(np.float32)
    # Steps at the body's edge stand for a backbone's maps: what matters is that every tile gets its own part of them.
    body = (degraded > -500).astype(np.float32)
    prior = np.stack([0.5 * body, 0.1 * body])[None]

    def restored(tile: int | None) -> np.ndarray:
        tiled = TiledNetwork(network, torch.device("cpu"), warn=lambda sentence: None)
        tiled.tile = tile
        return tiled(image, prior)

    whole = restored(None)
    return {tile: float(np.abs(restored(tile) - whole).max()) * intensity.unit for tile in tiles}

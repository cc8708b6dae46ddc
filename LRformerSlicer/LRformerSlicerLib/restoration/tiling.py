"""Running a network over slices of any size in whatever memory there is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from ..errors import UserError, is_out_of_memory

LARGEST_WHOLE_PIXELS = {"cpu": 1024 * 1024, "mps": 1024 * 1024, "cuda": 2048 * 2048}
"""Slices above this are tiled from the start; below, only when memory runs out."""
FIRST_TILE_PIXELS = 1024
BLENDED_SHARE = 0.2
"""Of the overlap of two tiles.  The two fifths beside each tile's edge, where the cut shows, are thrown away."""


def tile_spans(length: int, tile: int, overlap: int, multiple: int) -> list[tuple[int, int]]:
    """Start and end of tiles of at most `tile` pixels that cover `length` and share at least `overlap`.

    Every start is a multiple of `multiple`, so that a network with windows on that grid sees the same windows
    in a tile as in the whole slice.
    """
    tile = max(tile // multiple, 1) * multiple
    if tile >= length:
        return [(0, length)]
    step = max((tile - overlap) // multiple, 1) * multiple
    last = -(-(length - tile) // multiple) * multiple
    starts = [*range(0, last, step), last]
    return [(start, min(start + tile, length)) for start in starts]


def blend_weight(start: int, end: int, length: int, overlap: int) -> np.ndarray:
    """Weights of a tile's pixels along one axis: 1 inside, falling smoothly to 0 towards cut edges, float32."""
    ramp_length = BLENDED_SHARE * overlap
    guard = (overlap - ramp_length) / 2
    position = np.arange(end - start, dtype=np.float32) + 0.5
    weight = np.ones_like(position)
    for is_cut, distance in ((start > 0, position), (end < length, (end - start) - position)):
        if is_cut:
            ramp = np.clip((distance - guard) / ramp_length, 0.0, 1.0)
            weight *= ramp * ramp * (3.0 - 2.0 * ramp)
    return np.maximum(weight, 1e-6)


class TiledNetwork:
    """A restoration network that takes slices of any size and survives running out of memory.

    A whole slice goes through at once while memory lasts; then fewer slices at a time, then smaller tiles, then
    the CPU. What was given up is kept for the following slices and told to `warn`.
    """

    def __init__(self, network: nn.Module, device: torch.device, warn: Callable[[str], None]) -> None:
        self.device = device
        self.tile: int | None = None
        self.batch: int | None = None
        self.precision = torch.float32
        if device.type == "cuda":
            self.precision = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        self._warn = warn
        self._network = network.to(device)

    def __call__(self, image: np.ndarray, prior: np.ndarray) -> np.ndarray:
        """Restore (B, 1 + 2 * context, H, W) under the prior (B, 2, H, W); float32 (B, scale * H, scale * W).

        Raises UserError where even small tiles on the CPU do not fit.
        """
        while True:
            try:
                return self._run(image, prior)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the except block, so that the traceback no longer holds on to the tensors of the failed run.
            self._give_up_something(image.shape[0], *image.shape[-2:])

    def difference_to_float32(self, image: np.ndarray, prior: np.ndarray) -> float:
        """Largest absolute difference of a run in this precision from one in float32, in network numbers."""
        reduced, precision = self(image, prior), self.precision
        self.precision = torch.float32
        try:
            return float(np.abs(self(image, prior) - reduced).max())
        finally:
            self.precision = precision

    def _run(self, image: np.ndarray, prior: np.ndarray) -> np.ndarray:
        batch = self.batch or image.shape[0]
        parts = [
            self._run_tiles(image[first : first + batch], prior[first : first + batch])
            for first in range(0, image.shape[0], batch)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run_tiles(self, image: np.ndarray, prior: np.ndarray) -> np.ndarray:
        height, width = image.shape[-2:]
        tile = self._tile_for(height, width)
        if tile >= max(height, width):
            return self._forward(image, prior)
        scale, multiple, overlap = self._network.scale, self._network.tile_multiple, self._network.tile_overlap
        total = np.zeros((image.shape[0], scale * height, scale * width), dtype=np.float32)
        weights = np.zeros(total.shape[1:], dtype=np.float32)
        for top, bottom in tile_spans(height, tile, overlap, multiple):
            down = np.repeat(blend_weight(top, bottom, height, overlap), scale)
            for left, right in tile_spans(width, tile, overlap, multiple):
                weight = down[:, None] * np.repeat(blend_weight(left, right, width, overlap), scale)
                restored = self._forward(image[..., top:bottom, left:right], prior[..., top:bottom, left:right])
                there = np.s_[scale * top : scale * bottom, scale * left : scale * right]
                total[(slice(None), *there)] += weight * restored
                weights[there] += weight
        return total / weights

    def _tile_for(self, height: int, width: int) -> int:
        if self.tile is not None:
            return self.tile
        whole = height * width <= LARGEST_WHOLE_PIXELS.get(self.device.type, 0)
        return max(height, width) if whole else FIRST_TILE_PIXELS

    def _forward(self, image: np.ndarray, prior: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            image_tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).to(self.device)
            prior_tensor = torch.from_numpy(np.ascontiguousarray(prior, dtype=np.float32)).to(self.device)
            if self.precision is torch.float32:
                restored = self._network(image_tensor, prior_tensor)
            else:
                with torch.autocast(self.device.type, dtype=self.precision):
                    restored = self._network(image_tensor, prior_tensor)
            return restored[:, 0].float().cpu().numpy()

    def _give_up_something(self, batch: int, height: int, width: int) -> None:
        multiple = self._network.tile_multiple
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if (self.batch or batch) > 1:
            self.batch = (self.batch or batch) // 2
            return
        smallest = self._network.tile_overlap + multiple
        current = min(self._tile_for(height, width), max(height, width))
        if current > smallest:
            self.tile = max(current // 2 // multiple * multiple, smallest)
            self._warn(f"Memory ran out on {self.device.type}: slices are restored in tiles of {self.tile} pixels.")
        elif self.device.type != "cpu":
            self._warn(f"Memory ran out on {self.device.type} even for small tiles: the CPU went on, more slowly.")
            self.device, self.precision = torch.device("cpu"), torch.float32
            self.tile, self.batch = None, 1
            self._network = self._network.to(self.device)
        else:
            raise UserError("There is not enough memory to restore even a small tile: close other programs and retry.")

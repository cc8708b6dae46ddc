"""Tiles: their grid, their blend, and what happens when memory runs out."""

import numpy as np
import pytest
import torch

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.tiling_difference import tiling_differences_hu
from LRformerSlicerLib.restoration.intensity import CT_SOFT_TISSUE_WINDOW_HU
from LRformerSlicerLib.restoration.models import shipped_model
from LRformerSlicerLib.restoration.tiling import TiledNetwork, blend_weight, is_out_of_memory, tile_spans

CPU = torch.device("cpu")


@pytest.mark.parametrize("length", [17, 64, 100, 128, 300, 511, 512, 1000])
@pytest.mark.parametrize(("tile", "overlap"), [(128, 96), (192, 96), (256, 160)])
def test_tiles_cover_overlap_and_stay_on_the_windows_grid(length, tile, overlap):
    spans = tile_spans(length, tile, overlap, 32)
    assert spans[0][0] == 0 and spans[-1][1] == length
    assert all(start % 32 == 0 and end - start <= tile for start, end in spans)
    for (_, end), (start, _) in zip(spans[:-1], spans[1:], strict=True):
        assert end - start >= overlap
    total = np.zeros(length)
    for start, end in spans:
        total[start:end] += blend_weight(start, end, length, overlap)
    assert total.min() > 0.4


def slices(height, width, seed=0, channels=1):
    """Smooth structure with noise, as network numbers, and a prior."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = 1 + 0.3 * np.sin(rows / 9) * np.cos(columns / 13) + random.normal(0, 0.03, (1, channels, height, width))
    return image.astype(np.float32), random.random((1, 2, height, width), dtype=np.float32)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(200, 240), (131, 257)])
def test_tiled_equals_whole(small_network, scale, height, width):
    network = small_network(scale)
    image, prior = slices(height, width)
    whole, tiled = TiledNetwork(network, CPU, print), TiledNetwork(network, CPU, print)
    tiled.tile = 128
    expected, got = whole(image, prior), tiled(image, prior)
    interior = np.s_[:, 16 * scale : -16 * scale, 16 * scale : -16 * scale]
    change = np.abs(expected - np.repeat(np.repeat(image[:, 0], scale, 1), scale, 2)).max()
    window = 0.4  # [-160, 240] HU in network numbers
    assert change > 0.02, "the network must do something for this to show anything"
    assert np.abs(got - expected)[interior].max() < 1e-3 * window


def test_tiled_equals_whole_with_the_shipped_weights_on_a_real_slice():
    """All blocks carry what a cut edge changes further in; it must have faded where the tile's result is used."""
    width = CT_SOFT_TISSUE_WINDOW_HU[1] - CT_SOFT_TISSUE_WINDOW_HU[0]
    differences = tiling_differences_hu(shipped_model("ct-denoise"), (512, 640))
    assert 0 < min(differences.values()), "tiles that change nothing at all were not tiles"
    assert max(differences.values()) < 1e-3 * width


class ShortOfMemory(torch.nn.Module):
    """A real network on a device that holds only so many pixels at once."""

    def __init__(self, network, pixels, error):
        super().__init__()
        self.network, self.pixels, self.error = network, pixels, error
        self.scale = network.scale
        self.tile_multiple, self.tile_overlap = network.tile_multiple, network.tile_overlap
        self.largest = 0

    def forward(self, image, prior):
        held = image.shape[0] * image.shape[-2] * image.shape[-1]
        if held > self.pixels:
            raise self.error
        self.largest = max(self.largest, held)
        return self.network(image, prior)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_smaller_tiles_when_memory_runs_out(small_network, error):
    network = small_network()
    image, prior = slices(256, 256)
    warnings = []
    poor = TiledNetwork(ShortOfMemory(network, 140 * 140, error), CPU, warnings.append)
    restored = poor(image, prior)
    assert np.abs(restored - TiledNetwork(network, CPU, print)(image, prior))[:, 16:-16, 16:-16].max() < 4e-4
    assert poor.tile == 128
    assert len(warnings) == 1 and "tiles of 128 pixels" in warnings[0]
    poor(image, prior)
    assert len(warnings) == 1, "what was learned is kept for the next slice"


def test_fewer_slices_at_once_before_smaller_tiles(small_network):
    network = small_network()
    image, prior = slices(64, 64)
    image, prior = image.repeat(4, 0), prior.repeat(4, 0)
    warnings = []
    poor = TiledNetwork(ShortOfMemory(network, 2 * 64 * 64, MemoryError()), CPU, warnings.append)
    assert poor(image, prior).shape == (4, 64, 64)
    assert poor.batch == 2 and poor.tile is None and not warnings


class Elsewhere:
    """Stands for an accelerator that this machine may lack: its name, with the tensors on the CPU."""

    type = "cuda"


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_goes_on_on_the_cpu_when_the_device_cannot_hold_even_small_tiles(small_network, monkeypatch):
    network = small_network()
    image, prior = slices(80, 80)

    class FullDevice(ShortOfMemory):
        def to(self, device):
            self.pixels = 0 if device.type == "cuda" else 10**9
            return self

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    real_to = torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor, "to", lambda t, d, *a, **k: t if isinstance(d, Elsewhere) else real_to(t, d, *a, **k)
    )
    warnings = []
    poor = TiledNetwork(
        FullDevice(network, 0, torch.OutOfMemoryError("CUDA out of memory")), Elsewhere(), warnings.append
    )
    restored = poor(image, prior)
    assert np.array_equal(restored, TiledNetwork(network, CPU, print)(image, prior))
    assert poor.device.type == "cpu" and "CPU went on" in warnings[-1]


def test_not_even_a_small_tile_is_a_plain_sentence(small_network):
    image, prior = slices(80, 80)
    hopeless = TiledNetwork(ShortOfMemory(small_network(), 0, MemoryError()), CPU, lambda sentence: None)
    with pytest.raises(UserError, match="not enough memory"):
        hopeless(image, prior)


def test_other_errors_are_not_taken_for_memory(small_network):
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        TiledNetwork(ShortOfMemory(small_network(), 0, RuntimeError("shapes")), CPU, print)(*slices(32, 32))

"""Scans and networks that the unit tests share: small, made on the spot, real in kind."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.__main__ import main


def ct_phantom(size: tuple[int, int, int] = (80, 72, 4), noise_hu: float = 20.0) -> sitk.Image:
    """An elliptic body of 40 HU with a bone and a lung in air, int16 HU, with an oblique direction."""
    columns, rows, slices = size
    x = (np.arange(columns) - columns / 2)[None, :] / columns
    y = (np.arange(rows) - rows / 2)[:, None] / rows
    pixels = np.full((rows, columns), -1000.0)
    pixels[(x / 0.38) ** 2 + (y / 0.34) ** 2 < 1] = 40
    pixels[((x - 0.15) / 0.08) ** 2 + (y / 0.12) ** 2 < 1] = -850
    pixels[(x / 0.06) ** 2 + ((y - 0.2) / 0.06) ** 2 < 1] = 700
    noise = np.random.default_rng(5).normal(0, noise_hu, (slices, rows, columns))
    image = sitk.GetImageFromArray(np.rint(pixels + noise).astype(np.int16))
    image.SetSpacing((0.8, 0.8, 2.5))
    image.SetOrigin((-31.0, 12.5, -400.0))
    tilt = np.deg2rad(12)
    image.SetDirection((1, 0, 0, 0, np.cos(tilt), -np.sin(tilt), 0, np.sin(tilt), np.cos(tilt)))
    return image


def mr_phantom(size: tuple[int, int, int] = (64, 72, 4), pixel_type: type = np.int16) -> sitk.Image:
    """A bright head with darker ventricles on a dim noisy background, 0 to about 900."""
    columns, rows, slices = size
    x = (np.arange(columns) - columns / 2)[None, :] / columns
    y = (np.arange(rows) - rows / 2)[:, None] / rows
    pixels = np.full((rows, columns), 8.0)
    pixels[(x / 0.4) ** 2 + (y / 0.42) ** 2 < 1] = 600
    pixels[(x / 0.1) ** 2 + (y / 0.15) ** 2 < 1] = 200
    pixels[((x - 0.2) / 0.05) ** 2 + (y / 0.05) ** 2 < 1] = 900
    noise = np.random.default_rng(6).normal(0, 15, (2, slices, rows, columns))
    magnitude = np.hypot(pixels + noise[0], noise[1])
    image = sitk.GetImageFromArray(np.rint(magnitude).astype(pixel_type))
    image.SetSpacing((0.9, 0.9, 4.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    return image


@pytest.fixture
def ct_image() -> sitk.Image:
    return ct_phantom()


@pytest.fixture
def mr_image() -> sitk.Image:
    return mr_phantom()


def small_network(scale: int = 1, context: int = 0, seed: int = 3, change: float = 0.02):
    """A real LRformer, small and untrained, whose output layer is random so that it changes its input."""
    import torch

    from LRformerSlicerLib.network.lrformer import LRformer, LRformerArchitecture

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LRformer(
            LRformerArchitecture(
                scale=scale, context=context, channels=16, heads=2, groups=1, blocks=2, window=8, fold=2
            )
        )
        torch.nn.init.normal_(network.reconstruction.weight, std=change)
    return network.eval()


@pytest.fixture(name="small_network", scope="session")
def small_network_fixture():
    """Makes small networks: see `small_network`."""
    return small_network


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """A checkpoint file for every task, untrained."""
    from LRformerSlicerLib.network.checkpoint import save_checkpoint

    folder = tmp_path_factory.mktemp("models")
    files = {}
    for task, scale in (("ct-denoise", 1), ("mr-artifact", 1), ("mr-sr2", 2), ("mr-sr4", 4)):
        files[task] = folder / f"{task}.safetensors"
        save_checkpoint(files[task], small_network(scale), {"name": f"untrained {task}", "task": task})
    return files


@pytest.fixture(scope="session")
def file_hash():
    """Content of a file, or of every file in a folder, as one number."""

    def of(path: Path) -> str:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()

    return of


@pytest.fixture
def lrformer(capfd):
    """Runs the command line in this process; returns exit code, stdout, stderr (native libraries' included)."""

    def run(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return run

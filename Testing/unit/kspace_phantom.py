"""A head with texture that the tests of k-space corrections degrade."""

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from LRformerSlicerLib.restoration.engine import RestorationOptions, RestorationResult, Restorer


def head(
    seed: int = 0, shape: tuple[int, int] = (160, 144), cut: bool = False, texture_pixels: float = 3.0
) -> np.ndarray:
    """Magnitudes (rows, columns) of about 500 in an ellipse; ``cut``: one that ends at the slice's lower border."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    random = np.random.default_rng(seed)
    texture = gaussian_filter(random.normal(0, 1, shape), texture_pixels)
    tissue = 500 + 150 * texture / texture.std()
    inside = (x / 0.7) ** 2 + ((y - 1.0 if cut else y) / 0.85) ** 2 < 1
    return np.where(inside, tissue, 0.0).clip(0.0) + np.abs(random.normal(0, 4, shape))


def sharp_head(shape: tuple[int, int] = (160, 144), seed: int = 0, cut: bool = False) -> np.ndarray:
    """A head with detail to the edge of k-space, as scans have it."""
    return gaussian_filter(head(seed, shape, cut, texture_pixels=0.8), 0.4)


def restored_by_the_engine(slices: list[np.ndarray], checkpoints: dict) -> RestorationResult:
    """Thick slices (rows, columns) restored as one volume by the small mr-artifact network of the tests."""
    image = sitk.GetImageFromArray(np.stack(slices).astype(np.float32))
    image.SetSpacing((1.0, 1.0, 6.0))
    options = RestorationOptions(task="mr-artifact", model=checkpoints["mr-artifact"], prior="none", device="cpu")
    return Restorer().restore(image, options)

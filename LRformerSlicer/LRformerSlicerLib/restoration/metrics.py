"""How near a restored volume is to its reference: PSNR, SSIM and RMSE in the task's window, inside the body."""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import convolve

SMALLEST_SSIM_SIDE = 7


class MetricSum:
    """PSNR, SSIM and RMSE gathered slice by slice.

    Values are clipped to the window first; RMSE is in the values' unit and PSNR relative to the window's width.
    SSIM is scikit-image's, with Gaussian weights as in Wang et al. 2004, averaged over the body's pixels.
    """

    def __init__(self, window: tuple[float, float]) -> None:
        self.window = window
        self._squares, self._similarity = 0.0, 0.0
        self._pixels, self._similarity_pixels = 0, 0

    def add(self, image: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> None:
        """Count one slice: image and reference (H, W) in the window's unit, mask (H, W) bool."""
        from skimage.metrics import structural_similarity

        low, high = self.window
        mask = mask & np.isfinite(image) & np.isfinite(reference)
        if not mask.any():
            return
        image = np.clip(np.nan_to_num(image.astype(np.float64)), low, high)
        reference = np.clip(np.nan_to_num(reference.astype(np.float64)), low, high)
        self._squares += float(np.square(image - reference)[mask].sum())
        self._pixels += int(mask.sum())
        if min(image.shape) >= SMALLEST_SSIM_SIDE:
            _, similarity = structural_similarity(
                image, reference, data_range=high - low, gaussian_weights=True, use_sample_covariance=False, full=True
            )
            self._similarity += float(similarity[mask].sum())
            self._similarity_pixels += int(mask.sum())

    def result(self) -> dict[str, float | None]:
        """psnr_db, ssim and rmse; None where nothing was counted, psnr_db None for identical images."""
        if not self._pixels:
            return {"psnr_db": None, "ssim": None, "rmse": None}
        rmse = math.sqrt(self._squares / self._pixels)
        low, high = self.window
        return {
            "psnr_db": 20 * math.log10((high - low) / rmse) if rmse > 0 else None,
            "ssim": self._similarity / self._similarity_pixels if self._similarity_pixels else None,
            "rmse": rmse,
        }


LAPLACIAN_DIFFERENCE = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])


def noise_sd(pixels: np.ndarray, mask: np.ndarray) -> float | None:
    """Standard deviation of the pixel noise of a slice (H, W) inside a mask, in the pixels' unit.

    Immerkaer's mask (Computer Vision and Image Understanding 64, 1996) with the median of the absolute
    response, so that edges do not count as noise. None where the mask has no pixel. Correlated noise, as that
    of CT kernels, is underestimated.
    """
    if not mask.any():
        return None
    response = np.abs(convolve(pixels.astype(np.float32), LAPLACIAN_DIFFERENCE, mode="nearest"))[mask]
    return float(np.median(response) / 0.6745 / 6.0)

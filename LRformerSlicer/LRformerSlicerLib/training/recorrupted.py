"""Recorrupted-to-recorrupted pairs: what trains a network to the clean slice where no clean slice is.

A scan is y = x + n0.  With a further realisation z of n0's SD and texture the input is y + n + a z and the target
y - z / a: the covariance of their noises is that of n0 less that of z, which is none, so that of all answers the clean
slice x comes closest to such targets on average.  n is the noise of a lower dose and independent of both.

Source: Pang, Zheng, Quan and Ji, Recorrupted-to-Recorrupted, CVPR 2021.
"""

from __future__ import annotations

import numpy as np

from ..degradation.scan_noise import ScanNoise

SHARE_RANGE = (0.5, 1.0)
"""a is drawn from here, its logarithm evenly: below 1 the input is hardly noisier than the scan, the target noisier."""


def recorrupted(
    degraded: np.ndarray, scan: np.ndarray, noise: ScanNoise, random: np.random.Generator, share: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Input and target of a patch, (H, W) float32 HU each.

    Args:
        degraded: y + n, the scan with the noise of a lower dose, (H, W) HU.
        scan: y, (H, W) HU.
        noise: the scan's own, of the same extent.
        random: to draw with.
        share: a; None to draw it.
    """
    if share is None:
        share = float(np.exp(random.uniform(*np.log(SHARE_RANGE))))
    drawn = noise.draw(random)
    return degraded + drawn * np.float32(share), scan - drawn / np.float32(share)

"""HaarPSI, a similarity of Haar wavelet responses that agrees well with readers of medical images.

Sources: Reisenhofer et al., Signal Processing: Image Communication 61 (2018) 33; Karner et al., arXiv 2410.24098, for
its use on medical images.  LPIPS is not used: the weights of its backbone are not in any package.
"""

from __future__ import annotations

import numpy as np


def haarpsi(image: np.ndarray, reference: np.ndarray, mask: np.ndarray, window: tuple[float, float]) -> float:
    """HaarPSI in [0, 1] (1: equal) of two slices as they are displayed, black outside the mask.

    Args:
        image, reference: (H, W) in the window's unit.
        mask: (H, W) bool.
        window: what black and white mean.
    """
    from ..prior.torchvision_guard import ensure_torchvision_imports

    ensure_torchvision_imports()
    import piq
    import torch

    low, high = window
    shown = [
        torch.from_numpy(np.where(mask, np.clip((one - low) / (high - low), 0.0, 1.0), 0.0).astype(np.float32))
        for one in (image, reference)
    ]
    return float(piq.haarpsi(shown[0][None, None], shown[1][None, None], data_range=1.0))

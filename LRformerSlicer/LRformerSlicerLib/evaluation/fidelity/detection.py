"""Model observers: does a known lesion stand out at a known place, at a fixed rate of false alarms?

Two of them, both linear in the pixels.  NPW, the matched filter without pre-whitening, weighs pixels by the lesion's
own profile: it is easily fooled by coarse noise, much as people are.  CHO, the channelised Hotelling observer, sees six
Laguerre-Gauss channels and whitens their covariance: it is pre-whitening as far as the channels reach, so that what it
gains by a restoration is more than filtering alone can give.

Sources: Burgess, J Opt Soc Am A 16 (1999) 633; Gallas and Barrett, J Opt Soc Am A 20 (2003) 1725.
"""

from __future__ import annotations

import numpy as np
from scipy.special import eval_laguerre

FALSE_POSITIVE_RATE = 0.01
CHANNEL_COUNT = 6
CHANNEL_WIDTH_DIAMETERS = 1.5
RIDGE = 1e-3
"""Of the channels' mean variance, added to each, so that few places do not make a wild filter."""
OBSERVERS = ("NPW", "CHO")


def matched_filter(profile: np.ndarray, distances_mm: np.ndarray) -> np.ndarray:
    """NPW weights (P, P): the profile without its mean over the disc around it, scaled to give a lesion's contrast.

    Args:
        profile: (P, P), a lesion of contrast 1.
        distances_mm: (P, P), from the middle.
    """
    support = distances_mm <= distances_mm[0, distances_mm.shape[1] // 2]
    weights = np.where(support, profile - profile[support].mean(), 0.0)
    return weights / (weights * profile).sum()


def channels(distances_mm: np.ndarray, diameter_mm: float) -> np.ndarray:
    """Laguerre-Gauss channels, (CHANNEL_COUNT, P, P)."""
    width = CHANNEL_WIDTH_DIAMETERS * diameter_mm
    squared = 2 * np.pi * (distances_mm / width) ** 2
    return np.stack([np.exp(-squared / 2) * eval_laguerre(order, squared) for order in range(CHANNEL_COUNT)])


def channel_answers(patches: np.ndarray, distances_mm: np.ndarray, diameter_mm: float) -> np.ndarray:
    """What each channel reads off each of the (N, P, P) squares, times mm2 so that pixel sizes may differ: (N, K)."""
    seen = channels(distances_mm, diameter_mm) * _pixel_area_mm2(distances_mm)
    return np.tensordot(patches, seen, axes=([1, 2], [1, 2]))


def hotelling_filter(
    profile: np.ndarray, distances_mm: np.ndarray, diameter_mm: float, lesion_free: np.ndarray
) -> np.ndarray:
    """CHO weights (P, P), scaled to give a lesion's contrast.

    Args:
        lesion_free: (N, K) answers of the channels at places without a lesion in the same kind of image; the
            covariance is taken from them.
    """
    seen = channels(distances_mm, diameter_mm)
    signal = channel_answers(profile[None], distances_mm, diameter_mm)[0]
    covariance = np.cov(lesion_free, rowvar=False)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.tensordot(np.linalg.solve(covariance, signal), seen, axes=(0, 0))
    return weights / (weights * profile).sum()


def _pixel_area_mm2(distances_mm: np.ndarray) -> float:
    middle = distances_mm.shape[0] // 2
    return float(distances_mm[middle, middle + 1] ** 2)


def answers_of(weights: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """What an observer reads off each of the (N, P, P) squares, in the pixels' unit of contrast: (N,)."""
    return np.tensordot(patches, weights, axes=([1, 2], [0, 1]))


def threshold_at(lesion_free_answers: np.ndarray, rate: float = FALSE_POSITIVE_RATE) -> float:
    """The answer that this share of lesion-free places exceeds."""
    return float(np.quantile(lesion_free_answers, 1.0 - rate))

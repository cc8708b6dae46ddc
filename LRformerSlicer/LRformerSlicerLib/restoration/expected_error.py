"""How far a restored slice is expected to be off, from what the restoration did to it (numpy and scipy only).

The expected absolute error at a pixel is a product of powers of a few figures of its surroundings,

    expected = factor * figure^a * another^b * ...,

each an RMS over a Gaussian neighbourhood inside the body: what was taken away nearby and further around, how steep the
restored slice is, how much fine detail it holds, and how much its restoration depends on the slice being mirrored.
Which of them count, factor and exponents are found on training slices (``evaluation/fidelity/reliability_fit.py``) and
travel in the model card.

Units: normalised intensity, HU / 1000 in CT and the share of the foreground's range in MR; gradients per mm.  The map
says how large errors are on average around a pixel.  It cannot tell the error of one pixel, which is mostly chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from ..errors import UserError
from .intensity import Intensity
from .nearby import nearby_mean, sd_in_pixels

NEAR_MM = 1.7
"""Standard deviation of the neighbourhood of all figures but the wide change."""
WIDE_MM = 7.0
"""Of the neighbourhood of the wide change."""
GRADIENT_MM = 0.85
"""Of the Gaussian whose derivative is the gradient, and from which detail is told."""
FLOOR = 5e-4
"""Added to every figure, so that its logarithm exists: half a HU."""
LARGEST_NUMBER = 1e6
"""Of a factor or an exponent in a model card."""
FEATURES = ("change", "wide_change", "gradient", "detail")
FLIP_FEATURE = "flip_change"


@dataclass(frozen=True)
class ExpectedErrorModel:
    """The fitted formula.

    Attributes:
        factor: in normalised intensity.
        exponents: by feature; which features there are says what has to be computed.
        interval_factors: by coverage ("0.68", "0.95"): the error lies within this many expected errors of zero with
            that probability.
    """

    factor: float
    exponents: dict[str, float]
    interval_factors: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: dict) -> ExpectedErrorModel:
        """What :meth:`as_dict` gave, for instance out of a model card.  Raises KeyError for a feature not known."""
        unknown = set(values["exponents"]) - {*FEATURES, FLIP_FEATURE}
        if unknown:
            raise KeyError(f"no such figure of a slice: {', '.join(sorted(unknown))}")
        return cls(values["factor"], dict(values["exponents"]), dict(values.get("interval_factors", {})))

    @property
    def wants_flip(self) -> bool:
        """Whether a second pass of the network, over the mirrored slice, is needed."""
        return FLIP_FEATURE in self.exponents

    def as_dict(self) -> dict:
        """JSON-serialisable."""
        return asdict(self)

    def expected(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """The expected absolute error, float32 (H, W) in normalised intensity, from :func:`error_features`."""
        logarithm = np.log(self.factor)
        for name, exponent in self.exponents.items():
            logarithm = logarithm + exponent * np.log(features[name])
        return np.exp(logarithm).astype(np.float32)


def error_model_of(card: dict) -> ExpectedErrorModel | None:
    """The model in a model card, if it holds one that needs no second pass of the network."""
    found = card.get("expected_error")
    try:
        model = ExpectedErrorModel.from_dict(found) if found else None
        numbers = (model.factor, *model.exponents.values()) if model is not None else ()
        if not all(isinstance(one, (int, float)) and abs(one) < LARGEST_NUMBER for one in numbers) or (
            numbers and numbers[0] <= 0
        ):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError("The model card's expected error is not one: get the model card again.") from error
    return None if model is not None and model.wants_flip else model


def no_expected_error(model: Path) -> str:
    """The sentence for a user who asked for the map with a model file whose card tells none."""
    return (
        f"The model card of {model} holds no expected error: leave that map out, or choose a model whose card has one "
        "('lrformer evaluate --fit-expected-error' fits it for a model of your own)."
    )


def expected_error_of(
    model: ExpectedErrorModel,
    original: np.ndarray,
    restored: np.ndarray,
    body: np.ndarray,
    pixel_size_mm: tuple[float, float],
    intensity: Intensity,
) -> np.ndarray:
    """How far a restored slice is expected to be off: (H, W) float32 in normalised intensity, 0 outside the body.

    original, restored: (H, W) finite voxel values on the same grid; the rest as in :func:`error_features`.
    """
    slices = (intensity.normalise(one) for one in (original, restored))
    return np.where(body, model.expected(error_features(*slices, body, pixel_size_mm)), np.float32(0.0))


def error_features(
    original: np.ndarray,
    restored: np.ndarray,
    body: np.ndarray,
    pixel_size_mm: tuple[float, float],
    flipped: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """What the expected error is computed from, by name; each (H, W) float32, above zero.

    Args:
        original: (H, W) normalised intensity before the restoration; for super-resolution interpolated to the grid of
            ``restored``.
        restored: (H, W) after it.
        body: (H, W) bool; only the body's pixels count as surroundings.
        pixel_size_mm: along rows' and columns' index.
        flipped: ``self_ensemble.restored_mirrored``'s answer for the slice; gives the flip change.
    """
    pixels = np.asarray(restored, dtype=np.float32)
    change = pixels - np.asarray(original, dtype=np.float32)
    scale = sd_in_pixels(GRADIENT_MM, pixel_size_mm, pixels.shape)
    rows, columns = (
        ndimage.gaussian_filter(pixels, scale, order=order) / step
        for order, step in zip(((1, 0), (0, 1)), pixel_size_mm, strict=True)
    )
    features = {
        "change": _around(change**2, body, pixel_size_mm, NEAR_MM),
        "wide_change": _around(change**2, body, pixel_size_mm, WIDE_MM),
        "gradient": _around(rows**2 + columns**2, body, pixel_size_mm, NEAR_MM),
        "detail": _around((pixels - ndimage.gaussian_filter(pixels, scale)) ** 2, body, pixel_size_mm, NEAR_MM),
    }
    if flipped is not None:
        features[FLIP_FEATURE] = _around((np.asarray(flipped) - pixels) ** 2, body, pixel_size_mm, NEAR_MM)
    return features


def _around(squares: np.ndarray, body: np.ndarray, pixel_size_mm: tuple[float, float], sd_mm: float) -> np.ndarray:
    """Root of the mean of squares under a Gaussian, over the pixels of the body alone, plus the floor."""
    mean = nearby_mean(squares.astype(np.float32), body, sd_mm, pixel_size_mm)
    return np.sqrt(np.maximum(mean, 0.0)) + np.float32(FLOOR)

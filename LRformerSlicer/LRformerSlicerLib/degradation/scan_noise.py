"""The noise that a CT slice has of its own: its SD by place and its texture, measured in the slice itself.

Both are read where the slice is flat.  The texture is the power spectrum of the flattest soft tissue.  The SD comes
from the lower local SDs around a place, which are those without an edge; what they are of the true SD for noise of this
texture is found by drawing some.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

WINDOW = 16  # pixels a side of the windows whose spectra are taken; few places are flat over more
WINDOW_STEP = 4
FLATTEST_SHARE = 0.4  # of the windows
FEWEST_WINDOWS = 6
# Slow changes of the tissue are in the lowest frequencies.  The noise of filtered back-projection has no more there
# than above them, for the ramp takes it away (Riederer, Pelc and Chesler, Phys Med Biol 23, 1978).
LOW_CYCLES_PER_PIXEL = 0.09
ABOVE_LOW_CYCLES_PER_PIXEL = (0.09, 0.14)
TISSUE_HU = (-150.0, 200.0)  # fat to contrast-filled liver
SMALLEST_TISSUE_SHARE = 0.97  # of a window's pixels
SMOOTHED_OVER_PIXELS = 1.5  # SD; noise alone does not leave the range of tissue then

LOCAL_SIZE = 7  # pixels a side of a local SD
FINE_OVER_PIXELS = 1.0  # SD of the Gaussian whose difference from the slice holds noise, but hardly a slow change
PERCENTILE = 10.0  # of the local SDs around a place
NEIGHBOURHOOD = 17  # a side, of every fourth local SD: 68 pixels
STEP = 4
PLACE_STEP = 2  # every eighth pixel is a place
SMOOTHING = 1.0  # SD of the Gaussian over the map of the places
FEWEST_SDS = 12  # of which a percentile is taken
ANATOMY = 1.07  # the lower local SDs are so much above those of noise alone, for anatomy is everywhere (docs/METHOD.md)
LUNG_BELOW_HU = -300.0
CLIPPED_BELOW_HU = -980.0  # air that may be cut off at -1024 HU, its noise with it

_DRAWN_SIZE = 384  # of the noise whose local SDs are compared with its own


@dataclass(frozen=True)
class ScanNoise:
    """SD and texture of a slice's noise.

    Attributes:
        sd: (H, W) float32 HU.
        power: (WINDOW, WINDOW // 2 + 1) float32, half of the power spectrum, as of ``numpy.fft.rfft2``; its mean over
            the whole spectrum is 1.
    """

    sd: np.ndarray
    power: np.ndarray

    def draw(self, random: np.random.Generator) -> np.ndarray:
        """A realisation, (H, W) float32 HU."""
        return self.sd * textured_noise(self.sd.shape, self.power, random)

    def part(self, rows: slice, columns: slice) -> ScanNoise:
        """The noise of a part of the slice."""
        return ScanNoise(self.sd[rows, columns], self.power)

    def mirrored(self, pixels: list[tuple[int, int]]) -> ScanNoise:
        """The noise of the slice mirrored at its faces by so many pixels before and behind, for each axis."""
        return ScanNoise(np.pad(self.sd, pixels, mode="symmetric"), self.power)


def measure_scan_noise(slice_hu: np.ndarray, body: np.ndarray) -> ScanNoise:
    """Measure the noise of a CT slice.

    Args:
        slice_hu: (H, W) in HU, at least 32 pixels a side.
        body: (H, W) bool, where the patient is.

    Returns:
        Its SD, extended beyond the body, and its texture; an SD of 0 everywhere where there is no body.
    """
    if min(slice_hu.shape) < WINDOW:
        raise ValueError(f"a slice has at least {WINDOW} pixels a side, not {min(slice_hu.shape)}")
    slice_hu = slice_hu.astype(np.float32)
    power = texture_power(slice_hu, body)
    lower_sd = _lower_local_sd(slice_hu, body)
    if lower_sd is None:
        return ScanNoise(np.zeros(slice_hu.shape, dtype=np.float32), power)
    drawn = textured_noise((_DRAWN_SIZE, _DRAWN_SIZE), power, np.random.default_rng(0))
    of_true_sd = float(np.percentile(_fine_sd(drawn), PERCENTILE))
    return ScanNoise(lower_sd / np.float32(ANATOMY * of_true_sd), power)


def local_mean_and_sd(plane: np.ndarray, size: int = LOCAL_SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD (ddof 1) of the square of ``size`` pixels around each place, (H, W) float64 each."""
    plane = plane.astype(np.float64)
    mean = ndimage.uniform_filter(plane, size)
    centred = plane - plane.mean()  # keeps the difference of squares exact
    variance = ndimage.uniform_filter(centred**2, size) - ndimage.uniform_filter(centred, size) ** 2
    return mean, np.sqrt(np.maximum(variance, 0.0) * size**2 / (size**2 - 1))


def texture_power(slice_hu: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Power spectrum of the noise in the flattest soft tissue of a slice, see :class:`ScanNoise`.

    It is the median over windows, which an edge in some of them does not change.  White where hardly any tissue is.
    """
    smooth = ndimage.gaussian_filter(slice_hu, SMOOTHED_OVER_PIXELS)
    tissue = body & (smooth > TISSUE_HU[0]) & (smooth < TISSUE_HU[1])
    windows = _windows(slice_hu)
    share = _windows(tissue).mean(axis=(1, 2))
    for wanted in (SMALLEST_TISSUE_SHARE, 0.8, 0.5):
        chosen = windows[share >= wanted]
        if len(chosen) >= FEWEST_WINDOWS:
            break
    else:
        return np.ones((WINDOW, WINDOW // 2 + 1), dtype=np.float32)
    residuals = _without_plane(chosen)
    count = max(FEWEST_WINDOWS, round(FLATTEST_SHARE * len(residuals)))
    flattest = residuals[np.argsort(residuals.std(axis=(1, 2)))[:count]]
    taper = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    power = np.median(np.abs(np.fft.rfft2(flattest * np.outer(taper, taper))) ** 2, axis=0)
    # The plane that was taken out holds the mean.
    power[0, 0] = (power[0, 1] + power[1, 0] + power[-1, 0]) / 3
    frequency = np.hypot(np.fft.fftfreq(WINDOW)[:, None], np.fft.rfftfreq(WINDOW)[None, :])
    above = power[(frequency >= ABOVE_LOW_CYCLES_PER_PIXEL[0]) & (frequency <= ABOVE_LOW_CYCLES_PER_PIXEL[1])]
    is_low = frequency < LOW_CYCLES_PER_PIXEL
    power[is_low] = np.minimum(power[is_low], above.mean())
    return (power / _mean_of_whole(power, WINDOW)).astype(np.float32)


def textured_noise(shape: tuple[int, int], power: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise of SD 1 and a given power spectrum.

    Args:
        shape: H, W of the noise.
        power: see :class:`ScanNoise`.
        random: to draw with.

    Returns:
        (H, W) float32.
    """
    # Sides below a window are drawn larger and cut.
    size = tuple(max(length, WINDOW) for length in shape)
    covariance = np.fft.fftshift(np.fft.irfft2(power, s=(WINDOW, WINDOW)))
    padded = np.zeros(size, dtype=np.float32)
    first = [length // 2 - WINDOW // 2 for length in size]
    padded[first[0] : first[0] + WINDOW, first[1] : first[1] + WINDOW] = covariance
    amplitude = np.sqrt(np.maximum(np.fft.rfft2(np.fft.ifftshift(padded)).real, 0.0))
    amplitude /= np.sqrt(_mean_of_whole(amplitude**2, size[1]))
    white = random.standard_normal(size, dtype=np.float32)
    return np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=size)[: shape[0], : shape[1]].astype(np.float32)


def _fine_sd(plane: np.ndarray) -> np.ndarray:
    """Local SD of what is fine in a plane, (H, W) float64."""
    return local_mean_and_sd(plane - ndimage.gaussian_filter(plane, FINE_OVER_PIXELS))[1]


def _lower_local_sd(slice_hu: np.ndarray, body: np.ndarray) -> np.ndarray | None:
    """(H, W) float32: the lower local SDs around each place; None where there is no body.

    Lungs are full of fine vessels, and the noise of filtered back-projection is no stronger there than in the tissue
    around: they get no more than that.
    """
    sd, mean = _fine_sd(slice_hu), ndimage.uniform_filter(slice_hu, LOCAL_SIZE)
    counted = body & (mean > CLIPPED_BELOW_HU)
    if not counted.any():
        return None
    lower = _lower_at_places(sd, counted)
    if lower is None:  # a body too small for every fourth pixel to meet it
        return np.full(slice_hu.shape, np.percentile(sd[counted], PERCENTILE), dtype=np.float32)
    in_tissue = _lower_at_places(sd, counted & (mean > LUNG_BELOW_HU))
    if in_tissue is not None:
        lower = np.minimum(lower, in_tissue)
    smooth = ndimage.gaussian_filter(lower, SMOOTHING)
    places = [np.arange(length) / (STEP * PLACE_STEP) for length in slice_hu.shape]
    grid = np.meshgrid(*places, indexing="ij")
    return ndimage.map_coordinates(smooth, grid, order=1, mode="nearest").astype(np.float32)


def _lower_at_places(sd: np.ndarray, counted: np.ndarray) -> np.ndarray | None:
    """The lower of the counted local SDs around every eighth pixel, where there are none that of the nearest place."""
    half = NEIGHBOURHOOD // 2
    sparse = np.pad(np.where(counted, sd, np.inf)[::STEP, ::STEP], half, constant_values=np.inf)
    around = np.lib.stride_tricks.sliding_window_view(sparse, (NEIGHBOURHOOD, NEIGHBOURHOOD))
    around = around[::PLACE_STEP, ::PLACE_STEP]
    around = np.sort(around.reshape(*around.shape[:2], -1), axis=2)
    count = np.isfinite(around).sum(axis=2)
    known = count >= FEWEST_SDS
    if not known.any():
        return None
    rank = np.round((count - 1).clip(min=0) * PERCENTILE / 100.0).astype(int)
    lower = np.take_along_axis(around, rank[..., None], axis=2)[..., 0]
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return lower[tuple(nearest)]


def _windows(plane: np.ndarray) -> np.ndarray:
    """(N, WINDOW, WINDOW) windows of a plane, WINDOW_STEP pixels apart."""
    views = np.lib.stride_tricks.sliding_window_view(plane, (WINDOW, WINDOW))[::WINDOW_STEP, ::WINDOW_STEP]
    return views.reshape(-1, WINDOW, WINDOW)


def _without_plane(windows: np.ndarray) -> np.ndarray:
    """Windows (N, WINDOW, WINDOW) without the plane that fits each best."""
    along = np.linspace(-1.0, 1.0, WINDOW, dtype=np.float32)
    norm = float((along**2).sum()) * WINDOW
    down = np.einsum("nij,i->n", windows, along) / norm
    right = np.einsum("nij,j->n", windows, along) / norm
    plane = down[:, None, None] * along[:, None] + right[:, None, None] * along[None, :]
    return windows - windows.mean(axis=(1, 2), keepdims=True) - plane


def _mean_of_whole(half_power: np.ndarray, columns: int) -> float:
    """Mean of a power spectrum of which ``numpy.fft.rfft2`` gives this half."""
    weight = np.full(half_power.shape[1], 2.0)
    weight[0] = 1.0
    if columns % 2 == 0:
        weight[-1] = 1.0
    return float((half_power * weight).sum() / (half_power.shape[0] * columns))

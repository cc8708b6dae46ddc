"""ct-denoise judged without bias: against references whose noise is independent of the input's.

A noisy reference rewards a method that keeps its noise wherever input and reference share it, as a scan and its lower
dose do.  Two references do not share it:

- Recorrupted: input y + z, reference y - z, with z of the SD and texture of the scan's own noise (Pang et al., CVPR
  2021).  The mean squared difference is the error against the clean slice plus the reference's noise, 2 SD^2, which is
  the same for every method.
- Neighbours: the mean of the slices before and behind a thin slice.  It is a little smoother than the slice, which
  favours smooth methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..degradation.ct import simulate_low_dose
from ..degradation.scan_noise import measure_scan_noise
from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.engine import RestorationOptions, Restorer
from ..restoration.intensity import CT_SOFT_TISSUE_WINDOW_HU
from ..training.recorrupted import recorrupted
from .classical_denoisers import ClassicalDenoiser, further_candidates, required_candidates
from .ct_quality import LIVER_SCAN, restore_within, volume_like
from .quality import OURS, bootstrap_interval, middle_indices

TEST_FOLDERS = ("test", "test_only")
SLICES_A_SCAN, MIDDLE_SHARE = 2, 0.5
TUNING_SCANS = ("ct_chest_nysbu_*", "ct_*_siim_*")
TUNING_STEP = 6
BLUR_PIXELS = 3.0  # SD: noise does not decide what is soft tissue then
NEIGHBOUR_DOSES = (1.0, 0.25)
SMALLEST_SHARE = 0.01


@dataclass(frozen=True)
class UnbiasedSlice:
    """A slice, its reference, and where the two are compared.

    Attributes:
        name: of scan and slice.
        given: (H, W) float32 HU, what is restored.
        reference: likewise; its noise is independent of that of ``given``.
        counted: (H, W) bool: soft tissue, as the blurred ``given`` shows it.  What the reference shows does not matter,
            or its noise would count.
        reference_variance: mean of the reference's noise variance there, HU^2.
        like: the scan's geometry.
    """

    name: str
    given: np.ndarray
    reference: np.ndarray
    counted: np.ndarray
    reference_variance: float
    like: sitk.Image

    def risk(self, image: np.ndarray) -> float:
        """Mean squared difference of an answer (H, W) from the reference, HU^2."""
        return float(np.square(image - self.reference, dtype=np.float64)[self.counted].mean())


def ct_scans(folders: Iterable[Path], pattern: str = "ct_*") -> list[Path]:
    """The CT scans of these folders, in order of folder and name; a folder that is not there has none."""
    return [file for folder in folders for file in sorted(Path(folder).glob(f"{pattern}.nii.gz"))]


def scan_slices(file: Path, most: int) -> Iterator[tuple[str, np.ndarray, sitk.Image]]:
    """Name, (H, W) float32 HU and geometry of at most so many slices from the middle half of a scan."""
    image = sitk.ReadImage(str(file))
    volume = sitk.GetArrayViewFromImage(image)
    for index in middle_indices(len(volume), most, MIDDLE_SHARE):
        yield f"{file.name.removesuffix('.nii.gz')}-{index:03d}", volume[index].astype(np.float32), image[:, :, index]


def soft_tissue(pixels: np.ndarray, body: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a blurred slice lies in the soft-tissue window, inside the body."""
    low, high = CT_SOFT_TISSUE_WINDOW_HU
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), BLUR_PIXELS)
    return body & (smooth > low) & (smooth < high)


def recorrupted_slice(name: str, scan: np.ndarray, like: sitk.Image, seed: int) -> UnbiasedSlice:
    """A slice (H, W) in HU with further noise of its own kind, and the slice less that noise as its reference."""
    noise = measure_scan_noise(scan, body_mask(scan, "CT"))
    given, reference = recorrupted(scan, scan, noise, np.random.default_rng(seed), share=1.0)
    counted = soft_tissue(given, body_mask(given, "CT"))
    if not counted.any():
        raise UserError(f"{name} shows no soft tissue: leave the scan out.")
    return UnbiasedSlice(name, given, reference, counted, 2.0 * float(np.square(noise.sd[counted]).mean()), like)


def evaluate_recorrupted(
    data: Path,
    options: RestorationOptions,
    candidates: Callable[[], Iterable[ClassicalDenoiser]] | None = None,
    slices_a_scan: int = SLICES_A_SCAN,
) -> dict:
    """Recorrupted risk of the model and of classical filters, each at the setting that is best on ``data/train``.

    Args:
        data: folder of train/, test/ and, where there is one, test_only/.
        options: of the model.
        candidates: gives the filters at all settings to try; by default all that need not be told the noise.
        slices_a_scan: at most.

    Returns:
        {"slices": by slice {"name", "noise_sd", "risk": by method, HU^2, "error": by method, RMS in HU against the
        clean slice as far as risk and noise tell it}, "settings": by method, "gain_db", "gain_interval_db": by other
        method, by how much the model's mean squared error is below it, mean over slices}.

    Raises:
        UserError: there are no scans.
    """
    files = ct_scans(Path(data) / name for name in TEST_FOLDERS)
    if not files:
        raise UserError(f"There are no ct_*.nii.gz scans in {data}/test: name the folder of train/ and test/.")
    slices = [
        recorrupted_slice(*found, seed=place)
        for place, found in enumerate(one for file in files for one in scan_slices(file, slices_a_scan))
    ]
    best = best_by_risk(candidates() if candidates else _usual_candidates(), tuning_slices(Path(data) / "train"))
    restorer, risks = Restorer(), {"input": [one.risk(one.given) for one in slices]}
    for peer in best:
        risks[peer.method] = [one.risk(peer.apply(one.given)) for one in slices]
    risks[OURS] = [one.risk(restored(restorer, one.given, one.like, options)) for one in slices]
    rows = [
        {
            "name": one.name,
            "noise_sd": round(float(np.sqrt(one.reference_variance / 2.0)), 2),
            "risk": {method: round(values[place], 2) for method, values in risks.items()},
            "error": {
                method: round(float(np.sqrt(max(values[place] - one.reference_variance, 0.0))), 2)
                for method, values in risks.items()
            },
        }
        for place, one in enumerate(slices)
    ]
    return {
        "prior": f"{options.prior}, T = {options.samples}",
        "slices": rows,
        "settings": {peer.method: peer.setting for peer in best},
        **_gains(risks, [one.reference_variance for one in slices]),
    }


def evaluate_neighbours(
    data: Path,
    options: RestorationOptions,
    peers: Iterable[ClassicalDenoiser],
    doses: Iterable[float] = NEIGHBOUR_DOSES,
) -> dict | None:
    """RMS difference in HU, in soft tissue, from the mean of a thin slice's neighbours, by dose and method.

    Args:
        data: folder of test/, in which the thin scan of a liver is.
        options: of the model.
        peers: at their settings.
        doses: of the input, as fractions of the scan's own.

    Returns:
        {"slice", "doses": by dose {method: RMS}}; None where the scan is absent.
    """
    file = Path(data) / "test" / f"{LIVER_SCAN}.nii.gz"
    if not file.exists():
        return None
    image, restorer, by_dose = sitk.ReadImage(str(file)), Restorer(), {}
    before, middle, behind = sitk.GetArrayFromImage(image).astype(np.float32)
    reference = (before + behind) / 2.0
    like = image[:, :, 1]
    for dose in doses:
        given = simulate_low_dose(middle, image.GetSpacing()[0], dose, seed=0)
        one = UnbiasedSlice("", given, reference, soft_tissue(given, body_mask(given, "CT")), 0.0, like)
        answers = {"input": given, **{peer.method: peer.apply(given) for peer in peers}}
        answers[OURS] = restored(restorer, given, like, options)
        by_dose[f"{dose:g}"] = {method: round(float(np.sqrt(one.risk(made))), 2) for method, made in answers.items()}
    return {"slice": f"{LIVER_SCAN}-001", "doses": by_dose}


def restored(restorer: Restorer, given: np.ndarray, like: sitk.Image, options: RestorationOptions) -> np.ndarray:
    """A slice (H, W) in HU restored by the whole engine, as a user would get it."""
    volume = volume_like([given], sitk.JoinSeries(like, 0.0, 1.0))
    return restore_within(restorer, volume, 0, options)


def tuning_slices(train: Path) -> list[UnbiasedSlice]:
    """Recorrupted slices of the training scans, on which filters are set."""
    files = [file for pattern in TUNING_SCANS for file in ct_scans([train], pattern)][::TUNING_STEP]
    if not files:
        raise UserError(f"There are no {' or '.join(TUNING_SCANS)} scans in {train} to set filters on.")
    return [recorrupted_slice(*next(scan_slices(file, 1)), seed=place) for place, file in enumerate(files)]


def best_by_risk(candidates: Iterable[ClassicalDenoiser], slices: list[UnbiasedSlice]) -> list[ClassicalDenoiser]:
    """Of each filter the setting whose risk is smallest on the mean of these slices."""
    best: dict[str, tuple[float, ClassicalDenoiser]] = {}
    for candidate in candidates:
        risk = float(np.mean([one.risk(candidate.apply(one.given)) for one in slices]))
        if candidate.method not in best or risk < best[candidate.method][0]:
            best[candidate.method] = (risk, candidate)
    return [candidate for _, candidate in best.values()]


def _usual_candidates() -> Iterator[ClassicalDenoiser]:
    yield from required_candidates()
    yield from further_candidates(1000.0)


def _gains(risks: dict[str, list[float]], reference_variances: list[float]) -> dict:
    """By how many dB the model's mean squared error lies below each other method's, slice by slice, on the mean."""
    # As the difference of two large numbers a small error is uncertain: it counts as no less than a hundredth of the
    # noise that it is found beneath.
    least = SMALLEST_SHARE * np.asarray(reference_variances)
    squares = {name: np.maximum(np.subtract(values, reference_variances), least) for name, values in risks.items()}
    gains = {name: 10.0 * np.log10(theirs / squares[OURS]) for name, theirs in squares.items() if name != OURS}
    return {
        "gain_db": {name: round(float(values.mean()), 3) for name, values in gains.items()},
        "gain_interval_db": {
            name: [round(bound, 3) for bound in bootstrap_interval(list(values))] for name, values in gains.items()
        },
    }

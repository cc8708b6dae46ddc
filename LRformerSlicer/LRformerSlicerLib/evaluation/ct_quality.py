"""How well ct-denoise does on held-out slices, beside classical filters at their best setting on the train set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..degradation.ct import simulate_low_dose
from ..errors import UserError
from ..prior.foreground import body_mask
from ..restoration.engine import RestorationOptions, Restorer
from ..restoration.intensity import CT_SOFT_TISSUE_WINDOW_HU
from ..restoration.volume_io import read_volume
from .classical_denoisers import ClassicalDenoiser, required_candidates
from .quality import OURS, Answer, JudgedSlice, Look, answers_of, best_settings, compare, ignore, timed_answer

SLICE_PATTERN = "ct_chest_nysbu_*.nii.gz"
LIVER_SCAN = "ct_liver_dcmqi"


def load_slices(folder: Path, dose: float, kernel: str) -> list[tuple[JudgedSlice, sitk.Image]]:
    """Every NY-SBU slice in ``folder`` in HU, degraded with a seed of its own place in the list, and its geometry.

    Raises:
        UserError: the folder holds none.
    """
    files = sorted(Path(folder).glob(SLICE_PATTERN))
    if not files:
        raise UserError(f"There are no {SLICE_PATTERN} slices in {folder}: name the folder of train/ and test/.")
    slices = []
    for seed, file in enumerate(files):
        image = read_volume(file)
        reference = sitk.GetArrayFromImage(image)[0].astype(np.float32)
        degraded = simulate_low_dose(reference, image.GetSpacing()[0], dose, seed, kernel)
        name = file.name.removesuffix(".nii.gz")
        slices.append((JudgedSlice(name, reference, degraded, body_mask(reference, "CT")), image))
    return slices


def load_liver(data: Path) -> list[tuple[JudgedSlice, sitk.Image]]:
    """The slices of the liver scan in ``data/test`` as they are, and each one's geometry; none where it is absent."""
    file = Path(data) / "test" / f"{LIVER_SCAN}.nii.gz"
    if not file.exists():
        return []
    volume, slices = read_volume(file), []
    for index in range(volume.GetDepth()):
        image = volume[:, :, index : index + 1]
        pixels = sitk.GetArrayFromImage(image)[0].astype(np.float32)
        slices.append((JudgedSlice(f"{LIVER_SCAN}-{index:03d}", pixels, pixels, body_mask(pixels, "CT")), image))
    return slices


def restore_slice(restorer: Restorer, one: JudgedSlice, like: sitk.Image, options: RestorationOptions) -> np.ndarray:
    """The slice, alone, restored by the whole engine, prior and all, as a user would get it: (rows, columns) HU."""
    return restore_within(restorer, volume_like([one.degraded], like), 0, options)


def restore_within(restorer: Restorer, volume: sitk.Image, index: int, options: RestorationOptions) -> np.ndarray:
    """The slice with this index restored as :func:`restore_slice` does, but among its neighbours."""
    restored = restorer.restore_slice(volume, options, index, modality="CT").restored
    return sitk.GetArrayFromImage(restored)[0].astype(np.float32)


def volume_like(slices: Sequence[np.ndarray], like: sitk.Image) -> sitk.Image:
    """Axial slices (rows, columns) in HU as an int16 volume that begins where ``like`` does, with its spacing."""
    volume = sitk.GetImageFromArray(np.rint(np.stack(slices)).astype(np.int16))
    volume.SetSpacing(like.GetSpacing())
    volume.SetOrigin(like.GetOrigin())
    volume.SetDirection(like.GetDirection())
    return volume


def evaluate_ct(
    data: Path,
    options: RestorationOptions,
    dose: float,
    kernel: str,
    candidates: Callable[[], Iterable[ClassicalDenoiser]] = required_candidates,
    tuning_step: int = 1,
    look: Look = ignore,
) -> dict:
    """Scores of input, classical peers and the model on ``data/test``, peers tuned on ``data/train``.

    Args:
        data: folder of train/ and test/.
        options: of the model.
        dose, kernel: as in ``simulate_low_dose``.
        candidates: gives the peers at all settings to try.
        tuning_step: every how many slices of ``data/train`` one is tuned on.
        look: is shown the answers, the slices and the window.

    Returns:
        {"degradation", "dose", "kernel", "window", "unit", "slices", "methods": see :func:`.quality.compare`}.
    """
    window = CT_SOFT_TISSUE_WINDOW_HU
    loaded = load_slices(Path(data) / "test", dose, kernel)
    test = [one for one, _ in loaded]
    train = [one for one, _ in load_slices(Path(data) / "train", dose, kernel)][::tuning_step]
    restorer = Restorer()
    restore_slice(restorer, *loaded[0], options)  # what is loaded once is not to count
    answers = {
        "input": Answer("", [one.degraded for one in test]),
        **answers_of(best_settings(candidates(), train, window), test),
        OURS: timed_answer(
            f"prior {options.prior}, T = {options.samples}",
            [lambda o=one, i=image: restore_slice(restorer, o, i, options) for one, image in loaded],
        ),
    }
    look(answers, test, window)
    return {
        "degradation": f"{dose:g} of full dose, {kernel} kernel",
        "dose": dose,
        "kernel": kernel,
        "window": list(window),
        "unit": "HU",
        "slices": [one.name for one in test],
        "methods": compare(answers, test, window),
    }

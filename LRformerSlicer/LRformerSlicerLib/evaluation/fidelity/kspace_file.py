"""A raw k-space file, from samples to picture: sensitivities, zero-filled image, SENSE, and mr-artifact on top."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import UserError
from ...restoration.engine import RestorationOptions, Restorer
from ...restoration.models import shipped_model
from .figures import Panel, save_panels
from .parallel_imaging import (
    centre_side,
    coil_sensitivities,
    held_out_error,
    images_of,
    root_sum_of_squares,
    sense,
)

FILE = "mr_kspace_sigpy_8coil.npy"
TASK = "mr-artifact"
RIDGES = (0.003, 0.01, 0.03)
STEPS = 15
HELD_OUT_SHARE = 0.08
"""Of the samples outside the fully measured centre: kept back to judge by, there being no reference."""
BRIGHTEST_PERCENTILE = 99.5
SHOWN_COILS = 4


def evaluate_kspace_file(
    data: Path, pictures: Path, options: RestorationOptions, model: Path | None = None, file: str = FILE
) -> dict:
    """Reconstruct ``data/test``'s raw k-space and restore the image.

    Samples held out at random (fixed seed) judge each step: the share of them, in norm, that the image made from the
    others does not explain.  The picture is made from all samples.

    Args:
        pictures: a folder for the PNG file.
        options: of the restoration; the task is mr-artifact.
        model: a checkpoint for it; None takes the shipped one.

    Returns:
        {"file", "coils", "matrix", "acceleration", "centre_side", "ridge", "held_out_error": by step, "skipped": why
        nothing was restored, or None, "pictures"}.

    Raises:
        UserError: the file is missing, or its centre is not measured throughout.
    """
    path = Path(data) / "test" / file
    if not path.exists():
        raise UserError(f"There is no {file} in {path.parent}: name the folder of train/ and test/.")
    spectra = np.load(path).astype(np.complex128)
    measured = np.abs(spectra).sum(axis=0) > 0
    side = centre_side(measured)
    sensitivities = coil_sensitivities(spectra)
    held = _held_out(measured, side)
    kept = np.where(held, 0.0, spectra)
    trials = {ridge: sense(kept, sensitivities, ridge, STEPS) for ridge in RIDGES}
    errors = {ridge: held_out_error(image, sensitivities, spectra, held) for ridge, image in trials.items()}
    ridge = min(errors, key=errors.get)
    judged = {
        "zero-filled": held_out_error(_combined(kept, sensitivities), sensitivities, spectra, held),
        "SENSE": errors[ridge],
    }
    image = sense(spectra, sensitivities, ridge, STEPS)
    restored, skipped = None, None
    try:
        if model is None:
            shipped_model(TASK)
        restore = _Restoration(replace(options, task=TASK, model=model))
        restored = restore(image)
        # The network makes a magnitude; the phase is SENSE's.
        both = restore(trials[ridge]) * np.exp(1j * np.angle(trials[ridge]))
        judged[f"SENSE, then {TASK}"] = held_out_error(both, sensitivities, spectra, held)
    except UserError as reason:
        skipped = str(reason)
    name = "kspace-file.png"
    _picture(spectra, measured, sensitivities, image, restored, pictures / name)
    return {
        "file": file,
        "coils": len(spectra),
        "matrix": list(measured.shape),
        "acceleration": round(float(1.0 / measured.mean()), 2),
        "centre_side": side,
        "ridge": ridge,
        "steps": STEPS,
        "held_out_samples": int(held.sum()),
        "held_out_error": {step: round(error, 4) for step, error in judged.items()},
        "skipped": skipped,
        "pictures": [name],
    }


def _held_out(measured: np.ndarray, side: int) -> np.ndarray:
    random = np.random.default_rng(0).random(measured.shape) < HELD_OUT_SHARE
    rows, columns = (np.abs(np.arange(length) - length // 2) <= side // 2 for length in measured.shape)
    return measured & random & ~(rows[:, None] & columns[None, :])


def _combined(spectra: np.ndarray, sensitivities: np.ndarray) -> np.ndarray:
    """The zero-filled images of all coils, weighed by their sensitivities, complex."""
    return (sensitivities.conj() * images_of(spectra)).sum(axis=0)


class _Restoration:
    """The whole engine on the magnitude of one complex image; the file does not say how large its pixels are."""

    def __init__(self, options: RestorationOptions) -> None:
        self._options, self._restorer = options, Restorer()

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Restored magnitude (rows, columns), in the image's unit."""
        unit = np.percentile(np.abs(image), BRIGHTEST_PERCENTILE) / 1000.0
        volume = sitk.GetImageFromArray((np.abs(image) / unit).astype(np.float32)[None])
        volume.SetSpacing((1.0, 1.0, 5.0))
        result = self._restorer.restore(volume, self._options, modality="MR")
        return sitk.GetArrayFromImage(result.restored)[0].astype(np.float64) * unit


def _picture(
    spectra: np.ndarray,
    measured: np.ndarray,
    sensitivities: np.ndarray,
    image: np.ndarray,
    restored: np.ndarray | None,
    path: Path,
) -> None:
    coils = np.unique(np.linspace(0, len(spectra) - 1, SHOWN_COILS - 1).round().astype(int))
    first = [Panel("measured samples", measured.astype(float), (0.0, 1.0), "1 = measured")]
    first += [
        Panel(f"sensitivity, coil {coil + 1}", np.abs(sensitivities[coil]), (0.0, 1.0), "magnitude", "viridis")
        for coil in coils
    ]
    steps = {"zero-filled, root sum of squares": root_sum_of_squares(spectra), "SENSE": np.abs(image)}
    if restored is not None:
        steps[f"SENSE, then {TASK}"] = restored
    second = []
    for name, magnitude in steps.items():
        bright = float(np.percentile(magnitude, BRIGHTEST_PERCENTILE))
        second.append(
            Panel(name, magnitude / bright, (0.0, 1.0), f"share of the {BRIGHTEST_PERCENTILE:g}th percentile")
        )
    if restored is not None:
        bright = float(np.percentile(np.abs(image), BRIGHTEST_PERCENTILE))
        change = (restored - np.abs(image)) / bright
        reach = max(float(np.percentile(np.abs(change), BRIGHTEST_PERCENTILE)), 1e-6)
        second.append(Panel(f"{TASK} - SENSE", change, (-reach, reach), "share of SENSE's", "RdBu_r"))
    save_panels([first, second], f"Raw k-space of {len(spectra)} coils", path)


def kspace_file_lines(result: dict, pictures: str = "pictures") -> Iterator[str]:
    """Markdown of what :func:`evaluate_kspace_file` found; ``pictures`` is the folder relative to docs/."""
    rows, columns = result["matrix"]
    yield "### Raw k-space"
    yield ""
    yield (
        f"{result['file']}: {result['coils']} coils, {rows} x {columns}, one sample in {result['acceleration']:g} "
        f"measured, the central {result['centre_side']} x {result['centre_side']} throughout. Sensitivities from the "
        f"centre (ESPIRiT), SENSE by {result['steps']} conjugate-gradient steps with ridge {result['ridge']:g}. There "
        f"is no reference; {result['held_out_samples']} samples a coil outside the centre were held out to judge by: "
        "the share of them, in norm, that the image does not explain (0 = all explained, 1 = a black image)."
    )
    yield ""
    yield "| step | held-out error |"
    yield "|---|---|"
    for step, error in result["held_out_error"].items():
        yield f"| {step} | {error:.3f} |"
    yield ""
    if result["skipped"]:
        yield f"{TASK} left out: {result['skipped']}"
        yield ""
    for name in result["pictures"]:
        yield f"![{name.removesuffix('.png')}]({pictures}/{name})"
        yield ""

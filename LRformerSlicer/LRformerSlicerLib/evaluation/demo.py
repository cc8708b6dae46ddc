"""The demonstration: two real scans degraded by simulation, restored, measured and shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..prior.foreground import body_box, body_mask
from ..restoration.engine import RestorationOptions, RestorationResult, Restorer
from ..restoration.models import MODELS_FOLDER
from ..restoration.options import ProgressCallback, ignore
from ..restoration.simulation import degrade_mr, lower_dose
from ..restoration.super_resolution import interpolate_slice
from ..restoration.volume_io import OutputFiles
from .example_scans import abdomen_ct, template_t1
from .figure import SideBySide, save_side_by_side

QUARTER_DOSE = 0.25
SEED = 0
MARGIN_PIXELS = 12


@dataclass(frozen=True)
class Demonstration:
    """One degraded scan and what is made of it."""

    name: str
    """Of its files."""
    title: str
    task: str
    degraded: sitk.Image
    reference: sitk.Image


def quarter_dose_ct() -> Demonstration:
    """An abdominal CT slice as if a quarter of the photons had been measured."""
    reference = abdomen_ct()
    return Demonstration(
        "ct",
        "Abdominal CT (NIH Pancreas-CT), simulated quarter dose",
        "ct-denoise",
        lower_dose(reference, QUARTER_DOSE, SEED),
        reference,
    )


def coarse_mr() -> Demonstration:
    """A slab of the ICBM152 T1 template with half the in-plane resolution."""
    reference = template_t1()
    return Demonstration(
        "mr",
        "T1 template (ICBM152), half the in-plane k-space samples",
        "mr-sr2",
        degrade_mr(reference, 2, seed=SEED),
        reference,
    )


def run_demo(
    folder: Path, say: Callable[[str], None] = print, device: str = "auto", progress: ProgressCallback = ignore
) -> list[dict]:
    """Restore both scans and write volumes, reports and pictures into `folder`, which is made where it is missing.

    Says what was measured and where the files are; returns the reports. A task without shipped weights is left
    out, and said to be. Raises UserError for whatever only the user can put right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    restorer, reports = Restorer(), []
    for task, prepare in (("ct-denoise", quarter_dose_ct), ("mr-sr2", coarse_mr)):
        if not (MODELS_FOLDER / f"{task}.safetensors").exists():
            say(f"No weights for {task} come with this version: that part is left out.\n")
            continue
        shown = prepare()
        say(f"{shown.title}: {size_text(shown.degraded)}")
        options = RestorationOptions(task=task, device=device, seed=SEED)
        result = restorer.restore(shown.degraded, options, progress, reference=shown.reference)
        write(shown, result, folder)
        say(outcome(result.report))
        reports.append(result.report)
    say(f"The files are in {folder.resolve()}")
    return reports


def write(shown: Demonstration, result: RestorationResult, folder: Path) -> None:
    """The volumes, the report and the picture of one demonstration."""
    images = {
        "degraded": shown.degraded,
        "reference": shown.reference,
        "restored": result.restored,
        "prior": result.prior,
        "uncertainty": result.uncertainty,
        "difference": result.difference,
    }
    with OutputFiles() as outputs:
        for kind, image in images.items():
            outputs.add_image(image, folder / f"{shown.name}-{kind}.nii.gz")
        outputs.add_text(json.dumps(result.report, indent=2) + "\n", folder / f"{shown.name}-report.json")
        outputs.commit()
    save_side_by_side(picture_of(shown, result), folder / f"{shown.name}-side-by-side.png")


def picture_of(shown: Demonstration, result: RestorationResult) -> SideBySide:
    """The middle slice of everything, on the restored volume's grid and in the unit of the task's window."""
    scale = result.task.scale
    middle = shown.reference.GetSize()[2] // 2
    slices = {
        "degraded": enlarged(shown.degraded, middle, scale),
        "restored": enlarged(result.restored, middle, 1),
        "reference": enlarged(shown.reference, middle, 1),
    }
    window = result.task.metrics_window
    if result.task.modality == "MR":
        # The scan's own values: what the window is in normalised intensity, brought back.
        window = tuple(float(value) for value in result.intensity.restore(np.array(window)))
    metrics = result.report["metrics"]
    column_mm, row_mm, _ = shown.reference.GetSpacing()
    return SideBySide(
        title=shown.title,
        **slices,
        prior=np.clip(enlarged(result.prior, middle, scale), 0.0, 1.0),
        window=(round(window[0], 3), round(window[1], 3)),
        unit="HU" if result.task.modality == "CT" else "intensity",
        captions=(score(metrics["before"]), score(metrics["after"]), ""),
        pixel_aspect=row_mm / column_mm,
        view=body_view(slices["reference"], result.task.modality),
    )


def body_view(pixels: np.ndarray, modality: str) -> tuple[slice, slice]:
    """The rows and columns of the body with a margin; the whole slice where there is no body."""
    box = body_box(body_mask(pixels, modality))
    if box is None:
        return slice(None), slice(None)
    x0, y0, x1, y1 = (int(round(float(side))) for side in box)
    return (
        slice(max(y0 - MARGIN_PIXELS, 0), min(y1 + MARGIN_PIXELS, pixels.shape[0])),
        slice(max(x0 - MARGIN_PIXELS, 0), min(x1 + MARGIN_PIXELS, pixels.shape[1])),
    )


def enlarged(image: sitk.Image, index: int, scale: int) -> np.ndarray:
    """One axial slice (H, W) float32, interpolated to `scale` times the pixels."""
    pixels = sitk.GetArrayViewFromImage(image)[index].astype(np.float32)
    return pixels if scale == 1 else interpolate_slice(pixels, scale)


def score(scores: dict) -> str:
    """PSNR and SSIM, short enough for a caption."""
    return f"PSNR {scores['psnr_db']:.2f} dB, SSIM {scores['ssim']:.3f}"


def outcome(report: dict) -> str:
    """What was measured, in four lines."""
    metrics, seconds = report["metrics"], report["seconds"]
    low, high = metrics["window"]
    return (
        f"  window {low:g} to {high:g} {metrics['unit']}, inside the body\n"
        f"  before: {score(metrics['before'])}\n"
        f"  after:  {score(metrics['after'])}\n"
        f"  time:   {seconds['total']:.1f} s on {report['device']} ({report['device_name']}), of which "
        f"{seconds['prior']:.1f} s prior and {seconds['network']:.1f} s network\n"
    )


def size_text(image: sitk.Image) -> str:
    """The grid in words."""
    size = " x ".join(str(length) for length in image.GetSize())
    return f"{size} voxels of {' x '.join(f'{step:.3g}' for step in image.GetSpacing())} mm"

"""Real scans with noise of their own, restored as they are: there is no reference, but the residual tells much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...errors import UserError
from ...prior.foreground import body_mask
from ...restoration.engine import RestorationOptions, Restorer
from ...restoration.models import shipped_model
from ...restoration.volume import check_volume
from ...restoration.volume_io import read_volume
from ..classical_denoisers import ClassicalDenoiser
from ..quality import OURS, bootstrap_interval
from .figures import Panel, save_panels
from .real_noise_tables import real_noise_lines
from .reliability_figures import LARGEST_DISCREPANCY
from .residual_anatomy import flat_patches, lost_detail, noise_like, patch_noise, residual_at_edges

__all__ = ["REAL_SCANS", "RealScan", "evaluate_real_noise", "real_noise_lines"]

SOFT_TISSUE_HU, LUNG_HU = (-160.0, 240.0), (-1100.0, 200.0)
CT_PATCHES_HU = (-30.0, 200.0)
MR_PATCHES = (0.1, 0.9)
"""Of the foreground's range."""
RESIDUAL_PERCENTILE = 99.5


@dataclass(frozen=True)
class RealScan:
    """A scan to restore as it is.

    Attributes:
        pattern: of its files in ``data/test``.
        task: to restore it with.
        slices: how many, spread over the middle of each file.
        windows: of the picture's rows, in HU; None is the foreground's range of MR.
        about: what is special about it.
    """

    pattern: str
    task: str
    slices: int
    windows: tuple[tuple[float, float] | None, ...]
    about: str


REAL_SCANS = (
    RealScan("ct_chest_lungkernel_cmbcrc", "ct-denoise", 4, (SOFT_TISSUE_HU, LUNG_HU), "sharp lung kernel, thin noise"),
    RealScan("ct_chest_nysbu_A067967_*", "ct-denoise", 1, (SOFT_TISSUE_HU,), "streaks of starved rays"),
    RealScan("mr_flair_tumour_rembrandt0990", "mr-artifact", 4, (None,), "FLAIR of a tumour"),
)
MIDDLE_SHARE = 0.6


@dataclass(frozen=True)
class RestoredSlice:
    """A slice as it came and what was made of it, (H, W) each, in the scan's units; D in [0, 1]."""

    name: str
    given: np.ndarray
    restored: np.ndarray
    discrepancy: np.ndarray
    body: np.ndarray
    foreground: tuple[float, float]
    aspect: float

    def in_unit(self, modality: str) -> RestoredSlice:
        """The same with MR values as shares of the foreground's range."""
        if modality == "CT":
            return self
        low, high = self.foreground
        given, restored = ((one - low) / (high - low) for one in (self.given, self.restored))
        return replace(self, given=given, restored=restored)


def evaluate_real_noise(
    data: Path,
    pictures: Path,
    options: RestorationOptions,
    peers: Sequence[ClassicalDenoiser] = (),
    models: dict[str, Path] | None = None,
    scans: Sequence[RealScan] = REAL_SCANS,
    most_slices: int | None = None,
) -> dict:
    """Noise in flat patches before and after, and anatomy in the residual, of scans without a reference.

    Args:
        pictures: a folder for the PNG files.
        options: of every restoration; the task is each scan's own.
        peers: classical filters at their setting; those that are told the true noise are left out, for nobody knows it.
        models: a checkpoint by task; for others the shipped one.
        most_slices: of each file.

    Returns:
        {"scans": a list of {"scan", "about", "task", "skipped": why, or None, "slices", "unit", "methods": by method
        {"noise_before", "noise_after", "noise_ratio", "noise_ratio_interval", and, each also with "_noise" after its
        name for what chance gives, "at_edges", "edge_ratio", "lost_detail"}, "pictures"}]}.

    Raises:
        UserError: a scan is missing.
    """
    usable = [peer for peer in peers if not peer.is_told_noise]
    restorer = Restorer()
    found = []
    for scan in scans:
        model = (models or {}).get(scan.task)
        own = replace(options, task=scan.task, model=model)
        row = {"scan": scan.pattern, "about": scan.about, "task": scan.task, "skipped": None}
        try:
            if model is None:
                shipped_model(scan.task)
        except UserError as reason:
            found.append({**row, "skipped": str(reason)})
            continue
        slices = list(_restored(Path(data), scan, restorer, own, most_slices))
        found.append({**row, **_judge(scan, slices, usable, pictures)})
    return {"prior": f"{options.prior}, T = {options.samples}", "scans": found}


def _restored(
    data: Path, scan: RealScan, restorer: Restorer, options: RestorationOptions, most: int | None
) -> Iterator[RestoredSlice]:
    files = sorted((data / "test").glob(f"{scan.pattern}.nii.gz"))
    if not files:
        raise UserError(f"There is no {scan.pattern}.nii.gz in {data / 'test'}: name the folder of train/ and test/.")
    modality = "CT" if scan.task.startswith("ct") else "MR"
    margin = (1.0 - MIDDLE_SHARE) / 2.0
    for file in files:
        image = read_volume(file)
        volume = check_volume(image)
        count = min(scan.slices, most or scan.slices)
        places = np.linspace(margin, 1.0 - margin, count) if count > 1 else np.array([0.5])
        for index in np.unique((places * (len(volume.slices) - 1)).round().astype(int)):
            result = restorer.restore_slice(image, options, int(index), modality=modality)
            restored, discrepancy = (
                np.array(volume.plane.view(sitk.GetArrayFromImage(one))[0], dtype=np.float32)
                for one in (result.restored, result.uncertainty)
            )
            given = np.array(volume.slices[index], dtype=np.float32)
            low, high = (float(value) for value in result.intensity.restore(np.array([0.0, 1.0])))
            row_mm, column_mm = volume.pixel_size_mm
            name = f"{file.name.removesuffix('.nii.gz')}-{index:03d}"
            yield RestoredSlice(
                name, given, restored, discrepancy, body_mask(given, modality), (low, high), row_mm / column_mm
            )


def _judge(scan: RealScan, slices: list[RestoredSlice], peers: list[ClassicalDenoiser], pictures: Path) -> dict:
    modality = "CT" if scan.task.startswith("ct") else "MR"
    slices = [one.in_unit(modality) for one in slices]
    limits = CT_PATCHES_HU if modality == "CT" else MR_PATCHES
    patches = [flat_patches(one.given, one.body, limits) for one in slices]
    answers = {OURS: [one.restored for one in slices]}
    answers |= {f"{peer.method}, {peer.setting}": [peer.apply(one.given) for one in slices] for peer in peers}
    name = f"real-{scan.pattern.removesuffix('_*')}.png"
    _picture(scan, slices, modality, pictures / name)
    return {
        "slices": [one.name for one in slices],
        "patches": sum(len(own) for own in patches),
        "unit": "HU" if modality == "CT" else "of the foreground's range",
        "methods": {method: _figures(slices, patches, images) for method, images in answers.items()},
        "pictures": [name],
    }


def _figures(slices: list[RestoredSlice], patches: list[list], images: list[np.ndarray]) -> dict:
    before = [sd for one, own in zip(slices, patches, strict=True) for sd in patch_noise(one.given, own)]
    after = [sd for image, own in zip(images, patches, strict=True) for sd in patch_noise(image, own)]
    anatomy: dict[str, list[float]] = {}
    for one, image in zip(slices, images, strict=True):
        residual = np.where(one.body, image - one.given, 0.0)
        chance = noise_like(residual, one.body)
        for suffix, pixels in (("", residual), ("_noise", chance)):
            correlation, ratio = residual_at_edges(pixels, image, one.body)
            figures = {
                "at_edges": correlation,
                "edge_ratio": ratio,
                "lost_detail": lost_detail(pixels, image, one.body),
            }
            for name, value in figures.items():
                anatomy.setdefault(name + suffix, []).append(value)
    ratio = [there / here for here, there in zip(before, after, strict=True)]
    return {
        "noise_before": round(float(np.mean(before)), 4),
        "noise_after": round(float(np.mean(after)), 4),
        "noise_ratio": round(float(np.mean(ratio)), 3),
        "noise_ratio_interval": [round(bound, 3) for bound in bootstrap_interval(ratio)],
        **{name: round(float(np.mean(values)), 3) for name, values in anatomy.items()},
    }


def _picture(scan: RealScan, slices: list[RestoredSlice], modality: str, path: Path) -> None:
    """Input, restored, residual and D; a row for each window, of one file's middle slice each where there are more."""
    shown = _one_a_file(slices)
    rows = []
    for one in shown:
        part = _body_part(one.body)
        residual = np.where(one.body, one.restored - one.given, 0.0)
        reach = max(float(np.percentile(np.abs(residual[one.body]), RESIDUAL_PERCENTILE)), 1e-6)
        unit = "HU" if modality == "CT" else "of the foreground's range"
        for window in scan.windows:
            low, high = window or (0.0, 1.0)
            label = f"{unit}, window {low:g} to {high:g}"
            rows.append(
                [
                    Panel("as scanned", one.given[part], (low, high), label),
                    Panel("restored", one.restored[part], (low, high), label),
                    Panel("restored - as scanned", residual[part], (-reach, reach), unit, "RdBu_r"),
                    Panel(
                        "prior uncertainty D",
                        one.discrepancy[part],
                        (0.0, LARGEST_DISCREPANCY),
                        "share of pairs",
                        "inferno",
                    ),
                ]
            )
    save_panels(rows, f"Real noise: {', '.join(one.name for one in shown)}", path, shown[0].aspect)


def _one_a_file(slices: list[RestoredSlice]) -> list[RestoredSlice]:
    by_file: dict[str, list[RestoredSlice]] = {}
    for one in slices:
        by_file.setdefault(one.name.rsplit("-", 1)[0], []).append(one)
    return [own[len(own) // 2] for own in by_file.values()]


def _body_part(body: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    if not rows.size:
        return slice(None), slice(None)
    return slice(max(rows[0] - 8, 0), rows[-1] + 9), slice(max(columns[0] - 8, 0), columns[-1] + 9)

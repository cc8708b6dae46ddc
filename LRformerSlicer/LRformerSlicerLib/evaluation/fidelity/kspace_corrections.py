"""What the corrections in k-space undo of each artifact alone, and whether they leave clean slices as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...degradation.mr.mixture import ArtifactMixture, random_mixture
from ...errors import UserError
from ...restoration.kspace.correction import without_kspace_artifacts
from ...restoration.volume import check_volume
from ...restoration.volume_io import read_volume
from ..mr_quality import TRAIN_SCANS, DegradedScan, ReferenceScan, load_scans
from ..quality import bootstrap_interval, middle_indices, score

WINDOW = (0.0, 1.0)
SLICES_A_SCAN, DRAWS_A_SCAN = 2, 3
CLEAN_SLICES_A_SCAN, CLEAN_SHARE = 14, 0.8
NOT_A_SCAN = ("label", "kspace")

ARTIFACTS = {
    "spikes": "spikes",
    "ghosts": "pulsation",
    "missing lines": "measured",
    "motion": "poses",
    "bias field": "bias",
    "noise": "noise_share",
}
"""Artifacts and the part of a mixture that makes them."""


def evaluate_kspace_corrections(data: Path) -> dict:
    """Each artifact alone in slices of ``data/train``, and clean slices of all MR scans in train and test.

    Returns:
        {"artifacts": one row each, "clean_slices", "clean_changed": names of those that were not left alone}.
    """
    scans = load_scans(Path(data) / "train", TRAIN_SCANS, SLICES_A_SCAN, 1)
    rows = []
    for number, (name, part) in enumerate(ARTIFACTS.items()):
        before, after = [], []
        for seed, scan in enumerate(scans):
            random = np.random.default_rng((seed, number))
            for _ in range(DRAWS_A_SCAN):
                alone = _alone(part, scan, random)
                for was, became in _scores(scan, alone):
                    before.append(was)
                    after.append(became)
        gain = np.subtract(after, before)
        rows.append(
            {
                "name": name,
                "slices": len(before),
                "before_db": round(float(np.mean(before)), 2),
                "after_db": round(float(np.mean(after)), 2),
                "gain_db": round(float(gain.mean()), 2),
                "gain_interval_db": [round(bound, 2) for bound in bootstrap_interval(gain.tolist())],
                "worse": int((gain < -0.05).sum()),
            }
        )
    changed, count = [], 0
    for name, pixels in _clean_slices(Path(data)):
        count += 1
        found = without_kspace_artifacts(pixels)
        if found.spikes or found.ghosts or found.missing_lines:
            changed.append(name)
    return {"artifacts": rows, "clean_slices": count, "clean_changed": changed}


def _alone(part: str, scan: ReferenceScan, random: np.random.Generator) -> ArtifactMixture:
    """A mixture with one of its artifacts left, and the phase of the magnetisation."""
    while True:
        drawn = random_mixture(scan.slices.shape[1:], random, may_be_clean=False)
        only = {part: getattr(drawn, part)}
        alone = ArtifactMixture(drawn.shape, drawn.phase_along_columns, phase=drawn.phase, **only)
        if not alone.is_clean:
            return alone


def _scores(scan: ReferenceScan, mixture: ArtifactMixture) -> Iterator[tuple[float, float]]:
    """PSNR of each slice under the mixture, and after the corrections."""
    degraded = np.stack([mixture.apply(one, place) for place, one in enumerate(scan.slices)])
    for one, pixels in zip(DegradedScan(scan, degraded, "").judged(), degraded, strict=True):
        mended = scan.intensity.normalise(without_kspace_artifacts(pixels).pixels)
        yield score(one.degraded, one, WINDOW)["psnr_db"], score(mended, one, WINDOW)["psnr_db"]


def _clean_slices(data: Path) -> Iterator[tuple[str, np.ndarray]]:
    files = [file for part in ("train", "test") for file in sorted((data / part).glob("mr_*.nii.gz"))]
    files = [file for file in files if not any(word in file.name for word in NOT_A_SCAN)]
    if not files:
        raise UserError(f"There are no MR scans in {data}: name the folder of train/ and test/.")
    for file in files:
        volume = check_volume(read_volume(file))
        for index in middle_indices(len(volume.slices), CLEAN_SLICES_A_SCAN, CLEAN_SHARE):
            yield f"{file.name.removesuffix('.nii.gz')}-{index:03d}", np.array(volume.slices[index], dtype=np.float32)


def kspace_correction_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of what :func:`evaluate_kspace_corrections` found."""
    yield (
        "What is undone in k-space before the network sees a slice, without the network: training slices with one "
        "artifact each, drawn as in the mixtures; PSNR inside the body, means, 95 % bootstrap intervals. Worse: slices "
        "that lose more than 0.05 dB."
    )
    yield ""
    yield "| artifact | slices | before / dB | after / dB | gain / dB | worse |"
    yield "|---|---|---|---|---|---|"
    for row in result["artifacts"]:
        low, high = row["gain_interval_db"]
        yield (
            f"| {row['name']} | {row['slices']} | {row['before_db']:.2f} | {row['after_db']:.2f} "
            f"| {row['gain_db']:+.2f} [{low:+.2f}, {high:+.2f}] | {row['worse']} |"
        )
    yield ""
    changed = result["clean_changed"]
    yield (
        f"Of {result['clean_slices']} clean slices of all MR scans (train and test) {len(changed)} are changed"
        + (f": {', '.join(changed)}." if changed else ".")
    )
    yield ""

"""The model card of weights trained here: everything a reader needs to judge them, as plain JSON."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict
from pathlib import Path

import torch

from ..degradation.ct import (
    ELECTRONIC_NOISE_PHOTONS,
    FULL_DOSE_PHOTONS,
    KERNELS,
    VIEW_COUNT,
    WATER_ATTENUATION_PER_MM,
)
from .pair_cache import DOSE_RANGE, PRIOR_SAMPLES, VALIDATION_DOSE
from .patches import NOISE_SCALE_RANGE, Pair
from .trainer import Trainer

# As the sources state them; * from the collection's name.
COLLECTIONS = {
    "ct_chest_rider": "RIDER Pilot, CC BY 3.0*",
    "ct_head_cptac": "CPTAC-GBM, CC BY 3.0*",
    "ct_abdomen_acrin001": "ACRIN-FLT-Breast, CC BY 3.0*",
    "ct_chest_acrin001": "ACRIN-FLT-Breast, CC BY 3.0*",
    "ct_chest_acrin013": "ACRIN-FLT-Breast, CC BY 3.0*",
    "ct_body_weasis": "Weasis demo archive, CC BY 4.0",
    "ct_chest_nysbu": "COVID-19-NY-SBU, CC BY 4.0*",
}


def training_card(task: str, trainer: Trainer, training: list[Pair], validation: list[Pair]) -> dict:
    """Card of a finished training; scores are added by ``lrformer evaluate --write-card``."""
    scans: dict[str, int] = {}
    for pair in training:
        scan = next((name for name in COLLECTIONS if pair.name.startswith(name)), pair.name.rsplit("-", 2)[0])
        scans[scan] = scans.get(scan, 0) + 1
    return {
        "name": f"LRformer {task}",
        "task": task,
        "intended_use": "Research only, not for diagnosis. Axial CT in HU, tube current 10 to 50 % of a usual scan's.",
        "data": [
            {"scan": scan, "pairs": count, "collection": COLLECTIONS.get(scan, "unknown")}
            for scan, count in sorted(scans.items())
        ],
        "validation_pairs": len(validation),
        "degradation": {
            "method": "binomial thinning of photon counts, electronic noise, filtered back-projection of the noise",
            "geometry": f"parallel beam, {VIEW_COUNT} views over 180 degrees, detector pitch of one pixel",
            "dose_range": list(DOSE_RANGE),
            "noise_stretched_by": list(NOISE_SCALE_RANGE),
            "full_dose_photons": FULL_DOSE_PHOTONS,
            "electronic_noise_photons": ELECTRONIC_NOISE_PHOTONS,
            "water_attenuation_per_mm": WATER_ATTENUATION_PER_MM,
            "kernels": {name: list(values) for name, values in KERNELS.items()},
            "validation_dose": VALIDATION_DOSE,
        },
        "prior": {"backbone": "lite-medsam", "samples": PRIOR_SAMPLES, "prompt": "body box"},
        "training": {
            **asdict(trainer.options),
            "loss": "L1",
            "optimiser": "Adam",
            "precision": "bfloat16 autocast" if trainer.uses_bfloat16 else "float32",
            "seconds": round(trainer.seconds),
            "device": str(trainer.device),
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "commit": _commit(),
        },
        "validation": trainer.history[-1] if trainer.history else {},
        "limits": [
            "Trained on simulated noise of a parallel-beam scanner; other noise may be removed less well.",
            "One slice at a time: consistency between slices is not enforced.",
            "Few patients; rare anatomy, metal and contrast phases are hardly covered.",
        ],
    }


def _commit() -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()

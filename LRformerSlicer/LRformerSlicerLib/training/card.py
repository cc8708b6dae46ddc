"""The model card of weights trained here: everything a reader needs to judge them, as plain JSON."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict
from pathlib import Path

import torch

from ..hashing import file_sha256
from .pair_cache import PRIOR_SAMPLES
from .patches import Pair
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
    "mr_t1_studyforrest": "studyforrest, PDDL",
    "mr_t1gd_cptac": "CPTAC-GBM, CC BY 3.0*",
    "mr_t1_fnndsc": "FNNDSC SAG-anon, MIT",
    "mr_t1_seg3d": "VolumeRenderingData, MIT",
    "mr_flair_ubermuda": "ubermuda, CC BY-SA 4.0",
    "mr_t2star_ubermuda": "ubermuda, CC BY-SA 4.0",
    "mr_flair_fernando": "torchio-data, MIT",
}


def training_card(trainer: Trainer, training: list[Pair], validation: list[Pair], initial: Path | None) -> dict:
    """Card of a finished training; scores are added by ``lrformer evaluate --write-card``."""
    task = trainer.task
    return {
        "name": f"LRformer {task.name}",
        "task": task.name,
        "intended_use": task.intended_use,
        "data": _collections(training),
        "validation_data": _collections(validation),
        "validation_pairs": len(validation),
        "degradation": task.degradation_card(),
        "prior": {"backbone": "lite-medsam", "samples": PRIOR_SAMPLES, "prompt": "body box"},
        "training": {
            **asdict(trainer.options),
            "started_from": {"sha256": file_sha256(initial), "tensors_anew": trainer.untaken} if initial else None,
            "loss": "L1",
            "optimiser": "Adam",
            "precision": "bfloat16 autocast" if trainer.uses_bfloat16 else "float32",
            "seconds": round(trainer.seconds),
            "device_busy_share": round(trainer.busy_share, 4),
            "device": str(trainer.device),
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "commit": _commit(),
        },
        "validation": trainer.history[-1] if trainer.history else {},
        "limits": list(task.limits),
    }


def _collections(pairs: list[Pair]) -> list[dict]:
    """Scans by name with the number of their pairs, their collection and its licence."""
    scans: dict[str, int] = {}
    for pair in pairs:
        scan = next((name for name in COLLECTIONS if pair.name.startswith(name)), pair.name.rsplit("-", 2)[0])
        scans[scan] = scans.get(scan, 0) + 1
    return [
        {"scan": scan, "pairs": count, "collection": COLLECTIONS.get(scan, "unknown")}
        for scan, count in sorted(scans.items())
    ]


def _commit() -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()

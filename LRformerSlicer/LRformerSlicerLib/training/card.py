"""The model card of weights trained here: everything a reader needs to judge them, as plain JSON."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch

from ..hashing import file_sha256
from .pair_cache import PRIOR_SAMPLES
from .patches import Pair
from .sampling import subject_of
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
    "ct_chest_lidc0001": "LIDC-IDRI, CC BY 3.0*",
    "ct_chest_lungfcp01": "Lung-Fused-CT-Pathology, CC BY 3.0*",
    "mr_t1_studyforrest": "studyforrest, PDDL",
    "mr_t1gd_cptac": "CPTAC-GBM, CC BY 3.0*",
    "mr_t1_fnndsc": "FNNDSC SAG-anon, MIT",
    "mr_t1_seg3d": "VolumeRenderingData, MIT",
    "mr_flair_ubermuda": "ubermuda, CC BY-SA 4.0",
    "mr_t2star_ubermuda": "ubermuda, CC BY-SA 4.0",
    "mr_flair_fernando": "torchio-data, MIT",
}

# Collections of many scans, by what stands in the names of these.
LARGE_COLLECTIONS = {
    "openms": "Ljubljana MS longitudinal (open_ms_data), CC BY",
    "ulf3t": "HKU 0.055T/3T pairs, CC0",
    "siim": "TCGA-LUAD/-LUSC (SIIM 100), CC BY 3.0*",
    "chaos": "CHAOS T2-SPIR, CC BY-SA 4.0*",
    "msd": "Medical Segmentation Decathlon, CC BY-SA 4.0*",
    "openmedview": "OpenMedView, MIT",
    "adi": "FNNDSC adi_brain, Apache-2.0",
    "uih": "dcm_qa_uih, BSD-2",
    "prostatex": "PROSTATEx, CC BY 3.0*",
    "vesal": "vertebraeSegementation, MIT",
}


def training_card(trainer: Trainer, training: list[Pair], validation: list[Pair], initial: Path | None) -> dict:
    """Card of a finished training; scores are added by ``lrformer evaluate --write-card``."""
    task = trainer.task
    return {
        "name": f"LRformer {task.name}",
        "task": task.name,
        "intended_use": task.intended_use,
        "data": _collections(training),
        "patients": _patients_by_part(training),
        "validation_data": _collections(validation),
        "validation_patients": _patients_by_part(validation),
        "validation_pairs": len(validation),
        "degradation": task.degradation_card(),
        "prior": {"backbone": "lite-medsam", "samples": PRIOR_SAMPLES, "prompt": "body box"},
        "training": {
            **asdict(trainer.options),
            "started_from": {"sha256": file_sha256(initial), "tensors_anew": trainer.untaken} if initial else None,
            "loss": "L1" if task.huber_scale is None else f"Huber, square below {task.huber_scale:g}",
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
    """Scans by name, or by collection where that has many, with the number of their pairs, collection and licence."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        scan = next((name for name in COLLECTIONS if pair.name.startswith(name)), None)
        large = (mark for mark in LARGE_COLLECTIONS if f"_{mark}" in pair.name)
        found.setdefault(scan or next(large, pair.name.rsplit("-", 2)[0]), []).append(pair.name)
    return [
        {
            "scan": scan,
            "pairs": len(names),
            "collection": COLLECTIONS.get(scan) or LARGE_COLLECTIONS.get(scan, "unknown"),
        }
        for scan, names in sorted(found.items())
    ]


def _patients_by_part(pairs: list[Pair]) -> dict[str, int]:
    """Number of patients by part of the body."""
    subjects = {(one.part, one.patient) for one in (subject_of(pair.name) for pair in pairs)}
    return dict(sorted(Counter(part for part, _ in subjects).items()))


def _commit() -> str | None:
    folder = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()

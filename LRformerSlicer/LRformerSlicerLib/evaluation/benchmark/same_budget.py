"""Networks and variants of LRformer, each trained from scratch for the same time on the same pairs, then judged.

Time is the processor's (or, on CUDA, the clock's) during optimiser steps, so that a busy machine disturbs no row's
budget.  Every row's training is resumable and its scores are kept: what is done is not done again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from ...degradation.ct import simulate_low_dose
from ...network.lrformer import LRformerArchitecture
from ...prior.foreground import body_mask
from ...restoration.intensity import ct_intensity
from ...restoration.slicing import neighbour_stack
from ...restoration.volume_io import read_volume
from ...training.ct_dose import DoseTask
from ...training.pair_cache import prior_of_slice
from ...training.patches import Pair, to_tensors
from ...training.trainer import Trainer, TrainingOptions
from ...training.training_task import TrainingTask
from ..cost import count_macs, peak_bytes
from ..ct_quality import LIVER_SCAN, load_liver, load_slices
from ..quality import JudgedSlice, bootstrap_interval, score
from .noise_level import NoiseLevelArchitecture
from .peer_networks import PEER_NAMES, PeerArchitecture
from .prior_variants import with_prior_variant

TIMED_STEPS = 6
# On a processor a step takes as long as its patches are many, and many small steps learn more than few large ones.
CPU_BATCH_SIZE = 1
DOSE, KERNEL = 0.25, "standard"
LABEL = f"{LIVER_SCAN}_liver-label.nrrd"
OUR_ROW = "LRformer"
ONE_LEVEL_ROW = "LRformer, one level"
ONE_LEVEL = LRformerArchitecture(groups=4)


class ShortDoseTask(DoseTask):
    """ct-denoise as the rows learn it: in minutes, for the noise they are judged by, without any of foreign spectra."""

    augmentation = replace(DoseTask.augmentation, foreign_texture_share=0.0)


@dataclass(frozen=True)
class BudgetRow:
    """A network to train.

    Attributes:
        name: of the row.
        architecture: of LRformer or a peer.
        prior: key of ``PRIOR_VARIANTS``, in training and judgement.
        frequency_loss: as in :class:`~...training.trainer.TrainingOptions`.
        seed: of initialisation and patches.
    """

    name: str
    architecture: LRformerArchitecture | PeerArchitecture | NoiseLevelArchitecture
    prior: str = "C and D"
    frequency_loss: float = 0.0
    seed: int = 0

    def options(self, task: TrainingTask, device: torch.device) -> TrainingOptions:
        """How the row is trained, but for the number of steps, which its time decides."""
        return TrainingOptions(
            steps=0, batch_size=CPU_BATCH_SIZE if device.type == "cpu" else task.batch_size,
            patch_size=task.patch_size, learning_rate=6e-4, seed=self.seed, prior_dropout=0.0,
            frequency_loss=self.frequency_loss, validate_every=10**9,
        )  # fmt: skip

    def file_stem(self, task: TrainingTask, device: torch.device) -> str:
        """Name of the row's files: another one as soon as the network, its training or its patches change."""
        augmentation = asdict(task.augmentation)
        if not getattr(self.architecture, "context", 0):
            del augmentation["neighbours"]
        training = [asdict(self.options(task, device)), augmentation]
        choices = [self.architecture.as_dict(), self.prior, training]
        digest = hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:8]
        return "".join(letter if letter.isalnum() else "-" for letter in self.name) + f"-{digest}"


def network_rows(architecture: LRformerArchitecture) -> list[BudgetRow]:
    """LRformer as tasks train it, with two seeds to see what chance does, at one resolution, and peers of its size."""
    return [
        BudgetRow(OUR_ROW, architecture),
        BudgetRow(f"{OUR_ROW}, another seed", architecture, seed=1),
        BudgetRow(ONE_LEVEL_ROW, ONE_LEVEL),
        *(BudgetRow(name, PeerArchitecture(name)) for name in PEER_NAMES),
    ]


def ablation_rows(architecture: LRformerArchitecture) -> list[BudgetRow]:
    """LRformer as it is, with two seeds, and with one thing changed a row."""
    return [
        BudgetRow(OUR_ROW, architecture),
        BudgetRow(f"{OUR_ROW}, another seed", architecture, seed=1),
        BudgetRow("prior: none", architecture, "none"),
        BudgetRow("prior: random", architecture, "random"),
        BudgetRow("prior: body mask", architecture, "body mask"),
        BudgetRow("prior: U only", architecture, "U only"),
        BudgetRow("prior: C only", architecture, "C only"),
        BudgetRow("prior: D only", architecture, "D only"),
        BudgetRow("naive cross-attention", replace(architecture, attention="naive")),
        BudgetRow("no adaptive mixup", replace(architecture, adaptive_mixup=False)),
        BudgetRow("query from the prior, key from the image", replace(architecture, prior_role="query")),
        BudgetRow("noise level in the place of D", NoiseLevelArchitecture(architecture)),
        BudgetRow("loss with a spectrum term of weight 0.1", architecture, frequency_loss=0.1),
    ]


@dataclass(frozen=True)
class Judged:
    """A test slice as the trainer's networks take it, with what it is judged by; ``label`` is (H, W) bool or None."""

    pair: Pair
    slice: JudgedSlice
    label: np.ndarray | None = None


def judged_slices(data: Path, samples: int = 4) -> list[Judged]:
    """The slices of ``data/test`` at a quarter dose with their prior of T = ``samples``, and the labelled liver."""
    found = [
        Judged(_pair(one.name, one.degraded, one.reference, samples), one)
        for one, _ in load_slices(Path(data) / "test", DOSE, KERNEL)
    ]
    return found + judged_liver(data, samples)


def judged_liver(data: Path, samples: int = 4) -> list[Judged]:
    """The labelled liver slices alone, with their neighbours; none where the scan or its label is absent."""
    label = Path(data) / "test" / LABEL
    liver = load_liver(data) if label.exists() else []
    if not liver:
        return []
    like = read_volume(Path(data) / "test" / f"{LIVER_SCAN}.nii.gz")
    marks = sitk.GetArrayFromImage(sitk.Resample(read_volume(label), like, sitk.Transform(), 1)) > 0
    degraded = np.stack(
        [
            simulate_low_dose(one.reference, image.GetSpacing()[0], DOSE, 1000 + index, KERNEL)
            for index, (one, image) in enumerate(liver)
        ]
    )
    found = []
    for index in np.flatnonzero(marks.any(axis=(1, 2))):
        one = replace(liver[index][0], degraded=degraded[index])
        beside = neighbour_stack(degraded, int(index), 1)[[0, 2]]
        found.append(Judged(_pair(one.name, one.degraded, one.reference, samples, beside), one, marks[index]))
    return found


def _pair(name: str, degraded: np.ndarray, clean: np.ndarray, samples: int, beside: np.ndarray | None = None) -> Pair:
    whole = [np.rint(one).astype(np.int16) for one in (clean, degraded)]
    own_body = body_mask(degraded, "CT")
    pair = Pair(name, *whole, prior_of_slice(degraded, own_body, ct_intensity(), samples), own_body)
    return pair if beside is None else replace(pair, degraded_neighbours=np.rint(beside).astype(np.int16))


@torch.inference_mode()
def restored_by(
    network: Callable[..., torch.Tensor], one: Judged, variant: str, device: torch.device, context: int
) -> np.ndarray:
    """(H, W) HU; what lies outside the body stays as it is, as in the engine."""
    task = DoseTask()
    degraded, _, prior = to_tensors(with_prior_variant(one.pair, variant), task, context)
    answer = network(degraded[None].to(device), prior[None].to(device))[0, 0].float().cpu().numpy()
    return np.where(one.pair.body, task.stored.restore(answer), one.slice.degraded).astype(np.float32)


def judge(
    network: Callable[..., torch.Tensor], slices: list[Judged], variant: str, device: torch.device, context: int
) -> dict:
    """Means over slices in the display window: inside the body of the unlabelled, inside the label of the others.

    Args:
        network: image and prior to image, as LRformer is called.
        slices: to judge it on.
        variant: key of ``PRIOR_VARIANTS``.
        device: of the network.
        context: neighbours that it takes on each side.
    """
    window, body, inside = DoseTask().task.metrics_window, [], []
    for one in slices:
        image = restored_by(network, one, variant, device, context)
        if one.label is None:
            body.append(score(image, one.slice, window))
        else:
            inside.append(score(image, replace(one.slice, body=one.label), window)["psnr_db"])
    psnr = [row["psnr_db"] for row in body]
    return {
        "psnr_db": round(float(np.mean(psnr)), 3),
        "psnr_interval_db": [round(bound, 3) for bound in bootstrap_interval(psnr)],
        "ssim": round(float(np.mean([row["ssim"] for row in body])), 4),
        "rmse": round(float(np.mean([row["rmse"] for row in body])), 3),
        "per_slice_psnr_db": [round(value, 3) for value in psnr],
        "psnr_inside_label_db": round(float(np.mean(inside)), 3) if inside else None,
    }


def _clock(device: torch.device) -> Callable[[], float]:
    return time.perf_counter if device.type == "cuda" else time.process_time


def train_and_judge(
    row: BudgetRow,
    training: list[Pair],
    slices: list[Judged],
    folder: Path,
    budget_seconds: float,
    device: torch.device,
    further: dict[str, list[Judged]] | None = None,
) -> dict:
    """Train one row and judge it.

    Args:
        row: what to train.
        training: pairs with RLPP's prior.
        slices: to judge.
        folder: the row's state and scores are kept there.
        budget_seconds: of optimiser steps.
        device: to train on; on a CPU torch's number of threads is left as it is.
        further: other slices to judge by name.

    Returns:
        Scores of :func:`judge`, and "steps", "budget_seconds", "parameters", and "macs", "peak_bytes" and
        "seconds" of a 512 x 512 slice; where there are further slices, "further": their scores by name.
    """
    task = ShortDoseTask()
    file = Path(folder) / f"{row.file_stem(task, device)}-{budget_seconds:g}s.json"
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    pairs = [with_prior_variant(pair, row.prior) for pair in training]
    state, steps_file = file.with_suffix(".state"), file.with_suffix(".steps")
    options = row.options(task, device)
    if not steps_file.exists():
        # Timed on a trainer of its own: these steps do not count.
        probe = Trainer(
            task, row.architecture, replace(options, steps=TIMED_STEPS + 1), pairs, [], file.with_suffix(".probe"),
            device,
        )  # fmt: skip
        clock = _clock(device)
        probe.train_step()
        started = clock()
        for _ in range(TIMED_STEPS):
            probe.train_step()
        step_seconds = (clock() - started) / TIMED_STEPS
        steps_file.write_text(str(max(1, round(budget_seconds / step_seconds))), encoding="utf-8")
    steps = int(steps_file.read_text(encoding="utf-8"))
    logging.info("%s: %d steps", row.name, steps)
    warm_up = min(100, steps // 10)
    trainer = Trainer(task, row.architecture, replace(options, steps=steps, warm_up=warm_up), pairs, [], state, device)
    trainer.run()
    network = trainer.average
    planes = 1 + 2 * network.context
    image, prior = torch.zeros(1, planes, 512, 512, device=device), torch.zeros(1, 2, 512, 512, device=device)
    with torch.inference_mode():
        macs, _ = count_macs(lambda: network(image, prior))
        peak = peak_bytes(lambda: network(image, prior), device)
        clock = _clock(device)
        started = clock()
        network(image, prior)
        seconds = clock() - started
    scores = {
        "name": row.name,
        **judge(network, slices, row.prior, device, network.context),
        "steps": steps,
        "budget_seconds": budget_seconds,
        "parameters": sum(tensor.numel() for tensor in network.parameters()),
        "macs": macs,
        "peak_bytes": peak,
        "seconds": round(seconds, 2),
    }
    if further:
        scores["further"] = {
            name: judge(network, others, row.prior, device, network.context) for name, others in further.items()
        }
    file.write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    return scores

"""The parts of the benchmark: what each measures, and how its section of the document is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from ...restoration.engine import RestorationOptions, Restorer
from ...restoration.metrics import noise_sd
from ...restoration.models import choose_device, shipped_model
from ...restoration.tasks import task_named
from ...training.ct_dose import DoseTask
from ...training.patches import Pair
from ..classical_denoisers import (
    ClassicalDenoiser,
    bias_field_candidates,
    curvature_anisotropic_diffusion,
    further_candidates,
    gaussian,
    required_candidates,
    total_variation,
)
from ..ct_quality import evaluate_ct, load_liver, load_slices, restore_within, volume_like
from ..fidelity.kspace_corrections import evaluate_kspace_corrections, kspace_correction_lines
from ..fidelity.kspace_file import evaluate_kspace_file, kspace_file_lines
from ..fidelity.left_alone import evaluate_left_alone, left_alone_lines
from ..fidelity.lesions import evaluate_lesions, lesion_lines
from ..fidelity.real_noise import evaluate_real_noise, real_noise_lines
from ..fidelity.reliability import evaluate_reliability, reliability_lines
from ..mr_quality import evaluate_mr
from ..noise_as_it_is import evaluate_noise_as_it_is
from ..noise_told_denoisers import noise_told_candidates, non_local_means
from ..quality import score
from ..unbiased_ct import evaluate_neighbours, evaluate_recorrupted
from .noise_pictures import NoisePictures
from .quality_pictures import quality_picture
from .quality_tables import (
    budget_lines,
    context_lines,
    full_dose_lines,
    prior_information_lines,
    quality_lines,
    shipped_prior_lines,
)
from .unbiased_tables import noise_as_it_is_lines, unbiased_lines

CT_UNIT, MR_UNIT = 1000.0, 1.0
TUNING_STEP = 4
"""Every how many slices of train/ the peers are tuned on: BM3D takes its time."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """What the parts need to know.

    Attributes:
        data: folder of train/ and test/.
        device: auto, cuda, mps or cpu.
        work: folder for pairs and trainings of the part that trains; kept between runs.
        budget_seconds: that each network is trained for.
    """

    data: Path
    device: str
    work: Path
    budget_seconds: float


@dataclass(frozen=True)
class Part:
    """A section.

    Attributes:
        title: its heading.
        measure: options and a folder for pictures to plain values.
        lines: those values, and the pictures' folder relative to the document, to Markdown.
    """

    title: str
    measure: Callable[[BenchmarkOptions, Path], dict]
    lines: Callable[[dict, str], Iterator[str]]


def _all_peers(unit: float) -> Iterable[ClassicalDenoiser]:
    return chain(required_candidates(), further_candidates(unit), noise_told_candidates())


def _options(task: str, options: BenchmarkOptions) -> RestorationOptions:
    return RestorationOptions(task=task, model=shipped_model(task), device=options.device)


def _ct(dose: float) -> Callable[[BenchmarkOptions, Path], dict]:
    def measure(options: BenchmarkOptions, pictures: Path) -> dict:
        name = f"ct-denoise-{100 * dose:g}.png"
        result = evaluate_ct(
            options.data,
            _options("ct-denoise", options),
            dose,
            "standard",
            lambda: _all_peers(CT_UNIT),
            TUNING_STEP,
            lambda *found: quality_picture(*found, f"CT at {100 * dose:g} % of the dose", pictures / name),
        )
        return {**result, "pictures": [name]}

    return measure


def _mr(task: str) -> Callable[[BenchmarkOptions, Path], dict]:
    def measure(options: BenchmarkOptions, pictures: Path) -> dict:
        name = f"{task}.png"
        result = evaluate_mr(
            options.data,
            _options(task, options),
            lambda: chain(required_candidates(), further_candidates(MR_UNIT), bias_field_candidates()),
            lambda *found: quality_picture(*found, task, pictures / name),
        )
        return {**result, "pictures": [name]}

    return measure


def _full_dose(options: BenchmarkOptions, _: Path) -> dict:
    restorer, restoration = Restorer(), _options("ct-denoise", options)
    window, rows = task_named("ct-denoise").metrics_window, []
    judged = [(one, image, 0) for one, image in load_slices(options.data / "test", 1.0, "standard")]
    liver = load_liver(options.data)
    if liver:
        volume = volume_like([one.degraded for one, _ in liver], liver[0][1])
        judged += [(one, volume, index) for index, (one, _) in enumerate(liver)]
    for one, image, index in judged:
        restored = restore_within(restorer, image, index, restoration)
        scores = score(restored, one, window)
        sd = [float(noise_sd(pixels, one.body)) for pixels in (one.reference, restored)]
        rows.append(
            {
                "name": one.name,
                "rmse": round(scores["rmse"], 3),
                "ssim": round(scores["ssim"], 4),
                "noise_before": round(sd[0], 2),
                "noise_after": round(sd[1], 2),
            }
        )
    return {"slices": rows, "mean_rmse": round(float(np.mean([row["rmse"] for row in rows])), 3)}


def _unbiased(options: BenchmarkOptions, _: Path) -> dict:
    restoration = _options("ct-denoise", options)
    found = evaluate_recorrupted(options.data, restoration)
    peers = (gaussian(1.0), total_variation(0.03, CT_UNIT))
    return {**found, "neighbours": evaluate_neighbours(options.data, restoration, peers)}


def _noise_as_it_is(options: BenchmarkOptions, pictures: Path) -> dict:
    shown = NoisePictures(pictures)
    found = evaluate_noise_as_it_is(options.data, _options("ct-denoise", options), shown.add)
    return {**found, "pictures": shown.names}


def _lesions(task: str) -> Callable[[BenchmarkOptions, Path], dict]:
    def measure(options: BenchmarkOptions, pictures: Path) -> dict:
        peers = (total_variation(0.03, CT_UNIT), non_local_means(1.3, 5, 7)) if task == "ct-denoise" else ()
        return evaluate_lesions(options.data, pictures, _options(task, options), peers)

    return measure


def _left_alone(options: BenchmarkOptions, _: Path) -> dict:
    return evaluate_left_alone(options.data, options.device)


def _reliability(task: str) -> Callable[[BenchmarkOptions, Path], dict]:
    return lambda options, pictures: evaluate_reliability(options.data, pictures, _options(task, options))


def _real_noise(options: BenchmarkOptions, pictures: Path) -> dict:
    peers = (gaussian(1.0), curvature_anisotropic_diffusion(10, 3.0))
    return evaluate_real_noise(options.data, pictures, RestorationOptions(device=options.device), peers)


def _kspace_corrections(options: BenchmarkOptions, _: Path) -> dict:
    return evaluate_kspace_corrections(options.data)


def _raw_kspace(options: BenchmarkOptions, pictures: Path) -> dict:
    return evaluate_kspace_file(options.data, pictures, RestorationOptions(device=options.device))


def _same_budget(kind: str) -> Callable[[BenchmarkOptions, Path], dict]:
    def measure(options: BenchmarkOptions, _: Path) -> dict:
        from . import same_budget

        training, folder = _training_pairs(options), _training_folder(options)
        slices = same_budget.judged_slices(options.data)
        make_rows = same_budget.ablation_rows if kind == "ablations" else same_budget.network_rows
        rows = make_rows(DoseTask().architecture)
        device = choose_device(options.device)
        found = [
            same_budget.train_and_judge(row, training, slices, folder, options.budget_seconds, device) for row in rows
        ]
        return {"rows": found, "training_pairs": len(training)}

    return measure


def _context(options: BenchmarkOptions, _: Path) -> dict:
    from .context_rows import evaluate_context

    pairs, folder = _training_pairs(options, 1), _training_folder(options)
    cache, device = options.work / "pairs-context", choose_device(options.device)
    return evaluate_context(options.data, pairs, cache, folder, options.budget_seconds, device)


def _training_pairs(options: BenchmarkOptions, context: int = 0) -> list[Pair]:
    """Those of ct-denoise, made once; with a context the slices have their neighbours."""
    from ...training.pair_cache import fill_pair_cache, folder_jobs
    from ...training.patches import load_pairs

    task, cache = DoseTask(context), options.work / ("pairs-ct-denoise" + ("-neighbours" if context else ""))
    jobs = folder_jobs(task, options.data / "train", cache, 1)
    return load_pairs(fill_pair_cache(jobs, 2), task)[0]


def _training_folder(options: BenchmarkOptions) -> Path:
    folder = options.work / "same-budget"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _shipped_priors(options: BenchmarkOptions, _: Path) -> dict:
    import torch

    from ...network.checkpoint import load_checkpoint
    from ...restoration.self_ensemble import restored_by_ensemble
    from .prior_variants import PRIOR_VARIANTS
    from .same_budget import judge, judged_slices

    device = choose_device(options.device)
    network = load_checkpoint(shipped_model("ct-denoise"), "ct-denoise").network.to(device)
    slices = judged_slices(options.data)
    rows = [{"name": name, **judge(network, slices, name, device, network.context)} for name in PRIOR_VARIANTS]
    for samples in (1, 2, 8):
        other = judged_slices(options.data, samples)
        rows.append({"name": f"C and D of T = {samples}", **judge(network, other, "C and D", device, network.context)})

    def ensemble(image: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        def answer(*inputs: np.ndarray) -> np.ndarray:
            return network(*(torch.from_numpy(one).to(device) for one in inputs)).cpu().numpy()

        return torch.from_numpy(restored_by_ensemble(answer, image.cpu().numpy(), prior.cpu().numpy()))

    rows.append({"name": "C and D, self-ensemble", **judge(ensemble, slices, "C and D", device, network.context)})
    return {"rows": rows}


def _prior_information(options: BenchmarkOptions, _: Path) -> dict:
    from .prior_information import evaluate_prior_information

    return evaluate_prior_information(options.data)


PARTS = {
    "ct-25": Part("Low-dose CT at 25 %", _ct(0.25), quality_lines),
    "ct-10": Part("Low-dose CT at 10 %", _ct(0.1), quality_lines),
    "ct-full": Part("CT at full dose", _full_dose, full_dose_lines),
    "ct-unbiased": Part("CT against references of independent noise", _unbiased, unbiased_lines),
    "ct-noise-as-it-is": Part("The noise that CT scans have", _noise_as_it_is, noise_as_it_is_lines),
    "mr-sr2": Part("MR super-resolution x2", _mr("mr-sr2"), quality_lines),
    "mr-sr4": Part("MR super-resolution x4", _mr("mr-sr4"), quality_lines),
    "mr-artifact": Part("MR artifacts", _mr("mr-artifact"), quality_lines),
    "kspace-corrections": Part("MR artifacts undone in k-space", _kspace_corrections, kspace_correction_lines),
    "lesions-ct-denoise": Part("Lesions in CT", _lesions("ct-denoise"), lesion_lines),
    "lesions-mr-sr2": Part("Lesions in MR super-resolution x2", _lesions("mr-sr2"), lesion_lines),
    "left-alone": Part("What is left alone in CT", _left_alone, left_alone_lines),
    "reliability-ct-denoise": Part("Reliability in CT", _reliability("ct-denoise"), reliability_lines),
    "reliability-mr-artifact": Part("Reliability in MR artifacts", _reliability("mr-artifact"), reliability_lines),
    "real-noise": Part("Real noise", _real_noise, real_noise_lines),
    "raw-kspace": Part("Raw k-space", _raw_kspace, kspace_file_lines),
    "priors": Part("Other priors for the shipped weights", _shipped_priors, shipped_prior_lines),
    "prior-information": Part("What the prior knows", _prior_information, prior_information_lines),
    "networks": Part("Networks trained for the same time", _same_budget("networks"), budget_lines),
    "ablations": Part("Ablations", _same_budget("ablations"), budget_lines),
    "context": Part("Slices of context", _context, context_lines),
}

"""lrformer evaluate: how good weights are on held-out scans, beside classical filters."""

from __future__ import annotations

import argparse
from pathlib import Path

from .train import TASK_NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lrformer evaluate``."""
    parser.add_argument(
        "--task", metavar="|".join(TASK_NAMES), help="what to judge (ct-denoise, or what the collection is known for)"
    )
    parser.add_argument("--data", required=True, type=Path, help="folder that holds train/ and test/, or a collection")
    parser.add_argument("--collection", choices=["aapm", "ixi", "adni"], help="DATA is this collection, as downloaded")
    parser.add_argument("--slices-a-scan", type=int, default=4, help="of a collection (4)")
    parser.add_argument("--most-scans", type=int, help="of a collection (all)")
    parser.add_argument("--model", type=Path, help="the checkpoint (default: the shipped one)")
    parser.add_argument("--dose", type=float, default=0.25, help="CT: fraction of full dose to simulate (0.25)")
    parser.add_argument("--kernel", default="standard", help="CT: smooth, standard or sharp (standard)")
    parser.add_argument("--prior", default="lite-medsam", help="lite-medsam, medsam or none")
    parser.add_argument("--samples", type=int, default=4, help="stochastic passes of the prior (4)")
    parser.add_argument("--self-ensemble", action="store_true", help="judge the mean over mirror images")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--report", type=Path, help="write everything to this JSON file")
    parser.add_argument("--write-card", action="store_true", help="put the scores into the model's card")
    parser.add_argument(
        "--fit-expected-error", action="store_true",
        help="do not judge: fit the expected error on train/ and put it into the model's card",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print a table; 0."""
    import json
    import logging

    from ..evaluation.collections import COLLECTIONS, evaluate_collection
    from ..evaluation.ct_quality import evaluate_ct
    from ..evaluation.fidelity.reliability_fit import fit_on_train
    from ..evaluation.mr_quality import evaluate_mr
    from ..evaluation.quality import table_lines
    from ..network.checkpoint import card_path
    from ..restoration.engine import RestorationOptions
    from ..restoration.models import shipped_model
    from ..restoration.output_files import write_all
    from ..restoration.output_plan import check_written_files
    from ..restoration.tasks import task_named

    logging.basicConfig(level=logging.WARNING)
    usual = COLLECTIONS[arguments.collection].task if arguments.collection else "ct-denoise"
    task = task_named(arguments.task or usual)
    model = arguments.model or shipped_model(task.name)
    check_written_files([arguments.data, model], [arguments.report])
    options = RestorationOptions(
        task=task.name,
        model=model,
        device=arguments.device,
        prior=arguments.prior,
        samples=arguments.samples,
        self_ensemble=arguments.self_ensemble,
    )
    if arguments.fit_expected_error:
        fitted = fit_on_train(arguments.data, options)
        _add_to_card(card_path(model), "expected_error", fitted.as_dict())
        print(f"expected error: {json.dumps(fitted.as_dict())}")
        return 0
    if arguments.collection:
        result = evaluate_collection(
            arguments.collection, arguments.data, options, arguments.slices_a_scan, arguments.most_scans
        )
        title = f"{arguments.collection}, {result['degradation']}"
    elif task.modality == "CT":
        result = evaluate_ct(arguments.data, options, arguments.dose, arguments.kernel)
        title = f"dose {arguments.dose:g}, {arguments.kernel}"
    else:
        result = evaluate_mr(arguments.data, options)
        title = result["degradation"]
    for line in table_lines(result):
        print(line)
    if clean := result.get("clean_input"):
        print(
            f"{clean['slices']} clean slices restored: {clean['mean_psnr_db']:.2f} dB against themselves, "
            f"the worst {clean['worst_psnr_db']:.2f} dB"
        )
    if arguments.report:
        write_all({}, {arguments.report: json.dumps(result, indent=2) + "\n"})
    if arguments.write_card:
        path = card_path(model)
        scores = json.loads(path.read_text(encoding="utf-8")).get("scores", {})
        _add_to_card(path, "scores", {**scores, f"{title}, prior {arguments.prior}": result})
    return 0


def _add_to_card(path: Path, key: str, value: dict) -> None:
    import json

    from ..restoration.output_files import write_all

    card = {**json.loads(path.read_text(encoding="utf-8")), key: value}
    write_all({}, {path: json.dumps(card, indent=2, ensure_ascii=False) + "\n"})

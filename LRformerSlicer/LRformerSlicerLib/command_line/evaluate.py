"""lrformer evaluate: how good weights are on held-out scans, beside classical filters."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``lrformer evaluate``."""
    parser.add_argument("--task", default="ct-denoise", choices=["ct-denoise"], help="what to judge")
    parser.add_argument("--data", required=True, type=Path, help="folder that holds train/ and test/")
    parser.add_argument("--model", type=Path, help="the checkpoint (default: the shipped one)")
    parser.add_argument("--dose", type=float, default=0.25, help="fraction of full dose to simulate")
    parser.add_argument("--kernel", default="standard", help="smooth, standard or sharp")
    parser.add_argument("--prior", default="lite-medsam", help="lite-medsam, medsam or none")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--report", type=Path, help="write everything to this JSON file")
    parser.add_argument("--write-card", action="store_true", help="put the scores into the model's card")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate and print a table; 0."""
    import json
    import logging

    from ..evaluation.ct_quality import evaluate_ct
    from ..network.checkpoint import card_path
    from ..restoration.engine import RestorationOptions
    from ..restoration.models import shipped_model

    logging.basicConfig(level=logging.WARNING)
    model = arguments.model or shipped_model(arguments.task)
    options = RestorationOptions(
        task=arguments.task,
        model=model,
        device=arguments.device,
        prior=arguments.prior,
        samples=arguments.samples,
    )
    result = evaluate_ct(arguments.data, options, arguments.dose, arguments.kernel)
    print(f"{len(result['slices'])} slices at {arguments.dose:g} of full dose, {arguments.kernel} kernel,")
    print("inside the body, [-160, 240] HU; PSNR with the 95 % interval of its mean over slices")
    for method, row in result["methods"].items():
        low, high = row["psnr_interval_db"]
        print(
            f"{method:30s} {row['psnr_db']:6.2f} dB [{low:.2f}, {high:.2f}]  SSIM {row['ssim']:.4f}  "
            f"RMSE {row['rmse_hu']:.1f} HU  {row['setting']}"
        )
    if arguments.report:
        arguments.report.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if arguments.write_card:
        path = card_path(model)
        card = json.loads(path.read_text(encoding="utf-8"))
        card.setdefault("scores", {})[f"dose {arguments.dose:g}, {arguments.kernel}, prior {arguments.prior}"] = result
        path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0

"""Pictures of what the methods of a quality table make of the slice where LRformer does worst, and of a usual one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..fidelity.figures import Panel, save_panels
from ..quality import OURS, Answer, JudgedSlice, score

INPUT_NAMES = ("input", "Cubic B-spline")


def quality_picture(
    answers: dict[str, Answer], slices: list[JudgedSlice], window: tuple[float, float], title: str, path: Path
) -> None:
    """Two rows, LRformer's worst slice and its median one: input, best peer, LRformer, reference, LRformer's error.

    Args:
        answers: as in ``quality.compare``, with LRformer's.
        slices: what was judged, in the same order.
        window: what black and white mean.
        title: of the picture.
        path: PNG to write.
    """
    psnr = {
        name: [score(image, one, window)["psnr_db"] for image, one in zip(answer.images, slices, strict=True)]
        for name, answer in answers.items()
    }
    order = np.argsort(psnr[OURS])
    rows = []
    for label, place in (("worst slice", order[0]), ("median slice", order[len(order) // 2])):
        peers = [name for name in answers if name not in (*INPUT_NAMES, OURS)]
        best = max(peers, key=lambda name: psnr[name][place])  # noqa: B023 - used within the turn
        first = next(name for name in INPUT_NAMES if name in answers)
        reference = slices[place].reference
        error = answers[OURS].images[place] - reference
        reach = (window[1] - window[0]) / 5
        rows.append(
            [
                Panel(name, answers[name].images[place], window, caption=f"{psnr[name][place]:.2f} dB")
                for name in (first, best, OURS)
            ]
            + [
                Panel("reference", reference, window, caption=f"{label}: {slices[place].name}"),
                Panel("LRformer - reference", error, (-reach, reach), colours="RdBu_r", caption=f"+- {reach:g}"),
            ]
        )
    save_panels(rows, title, path)

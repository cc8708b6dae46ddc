"""The tables of restoration quality in the benchmark's document."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..quality import OURS, bootstrap_interval


def quality_lines(result: dict, pictures: str) -> Iterator[str]:
    """Markdown of what ``evaluate_ct`` or ``evaluate_mr`` found; ``pictures`` is the folder relative to docs/."""
    low, high = result["window"]
    yield (
        f"{len(result['slices'])} slices, {result['degradation']}. Inside the body, window [{low:g}, {high:g}] "
        f"{result['unit']}; means over slices, 95 % bootstrap intervals; the gain is LRformer's over that row, slice "
        "by slice. HaarPSI: 1 is equal. Seconds: wall clock, median of a slice"
        + (", LRformer with prior and all." if OURS in result["methods"] else ".")
    )
    yield ""
    yield "| method | PSNR / dB | SSIM | RMSE | HaarPSI | LRformer's gain / dB | s | setting |"
    yield "|---|---|---|---|---|---|---|---|"
    for method, row in result["methods"].items():
        low, high = row["psnr_interval_db"]
        gain = "-"
        if "lrformer_gain_db" in row:
            lowest, highest = row["lrformer_gain_interval_db"]
            gain = f"{row['lrformer_gain_db']:+.2f} [{lowest:+.2f}, {highest:+.2f}]"
        seconds = f"{row['seconds']:.1f}" if "seconds" in row else "-"
        name = f"**{method}**" if method == OURS else method
        yield (
            f"| {name} | {row['psnr_db']:.2f} [{low:.2f}, {high:.2f}] | {row['ssim']:.3f} | {row['rmse']:.4g} "
            f"| {row['haarpsi']:.3f} | {gain} | {seconds} | {row['setting']} |"
        )
    yield ""
    ours = result["methods"][OURS]["per_slice_psnr_db"]
    worst = min(range(len(ours)), key=ours.__getitem__)
    yield f"LRformer's worst slice: {result['slices'][worst]}, {ours[worst]:.2f} dB."
    yield ""
    if clean := result.get("clean_input"):
        lowest, highest = clean["psnr_interval_db"]
        yield (
            f"{clean['slices']} clean slices restored: {clean['mean_psnr_db']:.2f} dB [{lowest:.2f}, {highest:.2f}] "
            f"against themselves, the worst {clean['worst_psnr_db']:.2f} dB."
        )
        yield ""
    if found := result.get("found_in_kspace"):
        yield "Found in k-space, before the network, of so many slices with the artifact; in so many without it:"
        yield ""
        yield "| artifact | slices with it | found | found where it is not |"
        yield "|---|---|---|---|"
        for kind, row in found.items():
            yield f"| {kind} | {row['slices']} | {row['found']} | {row['false']} |"
        yield ""
    for name in result.get("pictures", ()):
        yield f"![{name.removesuffix('.png')}]({pictures}/{name})"
        yield ""


def full_dose_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of what restoring does to slices that were not degraded."""
    yield (
        "Slices as they are, restored: what changes is the scan's own noise or detail. RMSE against the slice itself, "
        "inside the body and the window."
    )
    yield ""
    yield "| slice | RMSE / HU | SSIM | noise SD before / HU | after |"
    yield "|---|---|---|---|---|"
    for row in result["slices"]:
        yield (
            f"| {row['name']} | {row['rmse']:.2f} | {row['ssim']:.3f} | {row['noise_before']:.1f} "
            f"| {row['noise_after']:.1f} |"
        )
    yield ""
    yield f"Mean RMSE {result['mean_rmse']:.2f} HU."
    yield ""


def budget_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of networks trained for the same time."""
    first = result["rows"][0]
    yield (
        f"Each row trained from scratch for {first['budget_seconds'] / 60:g} minutes of processor time on the same "
        f"{result['training_pairs']} pairs and patches, without noise of foreign spectra; six test slices at a quarter "
        "dose, the network's own answers. "
        "Far from converged: the rows say what a short training makes of each choice. Difference: from the first row, "
        "slice by slice, with its bootstrap 95 % interval; another seed of the same network says what chance alone "
        "does. Inside the label: mean of the labelled liver slices. GMACs, peak memory and seconds: of one 512 x 512 "
        "slice."
    )
    yield ""
    yield from _budget_table(result["rows"])


def context_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of networks with and without neighbouring slices."""
    first = result["rows"][0]
    yield (
        f"Networks trained from scratch for {first['budget_seconds'] / 60:g} minutes of processor time each on the "
        f"{result['training_pairs']} pairs that are not of {result['held_out']}, {result['with_neighbours']} of them "
        "with neighbours, as in the ablations, and judged on "
        f"{len(result['judged'])} slices of that scan (three of 0.8 mm averaged, neighbours 2.4 mm away) at a quarter "
        "dose. Inside the label: mean of the labelled liver slices, 1 mm apart. Withheld: the same weights, the slice "
        "itself in the place of its neighbours, as it is for a single slice."
    )
    yield ""
    yield from _budget_table(result["rows"])


def _budget_table(rows: list[dict]) -> Iterator[str]:
    first = rows[0]
    yield (
        "| network | PSNR / dB | difference / dB | SSIM | inside the label / dB | steps | parameters / M | GMACs "
        "| peak MiB | CPU s a slice |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        low, high = row["psnr_interval_db"]
        gains = np.subtract(row["per_slice_psnr_db"], first["per_slice_psnr_db"])
        least, most = bootstrap_interval(list(gains))
        difference = "-" if row is first else f"{gains.mean():+.3f} [{least:+.2f}, {most:+.2f}]"
        inside = f"{row['psnr_inside_label_db']:.3f}" if row["psnr_inside_label_db"] is not None else "-"
        yield (
            f"| {row['name']} | {row['psnr_db']:.3f} [{low:.2f}, {high:.2f}] | {difference} | {row['ssim']:.4f} "
            f"| {inside} | {row['steps']} | {row['parameters'] / 1e6:.2f} | {row['macs'] / 1e9:.1f} "
            f"| {row['peak_bytes'] / 2**20:.0f} | {row['seconds']:.2f} |"
        )
    yield ""


def shipped_prior_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of the shipped weights under other priors."""
    yield (
        "The shipped ct-denoise weights, six test slices at a quarter dose, given other priors when they restore; the "
        "network's own answers, without the low frequencies that the engine keeps. "
        "Self-ensemble: the mean over the slice and its three mirror images."
    )
    yield ""
    yield "| prior | PSNR / dB | SSIM | inside the label / dB |"
    yield "|---|---|---|---|"
    for row in result["rows"]:
        inside = f"{row['psnr_inside_label_db']:.3f}" if row["psnr_inside_label_db"] is not None else "-"
        yield f"| {row['name']} | {row['psnr_db']:.3f} | {row['ssim']:.4f} | {inside} |"
    yield ""


def prior_information_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of what the prior knows beyond the degraded slice."""
    yield (
        "A network sees the degraded slice; a prior helps by what it knows beyond that. Share of the variance of the "
        "clean slice's edges (logarithm of the gradient magnitude, inside the body) that is explained by the degraded "
        "slice's own gradients, by the prior alone, and what the prior adds to the slice. RLPP is C and D of T = 4 "
        "under the box of the body."
    )
    yield ""
    yield "| task | prior | slices | degraded slice | prior alone | prior adds |"
    yield "|---|---|---|---|---|---|"
    for row in result["rows"]:
        name = "RLPP (C and D)" if row["prior"] == "C and D" else row["prior"]
        yield (
            f"| {row['task']} | {name} | {row['slices']} | {100 * row['own']:.1f} % | {100 * row['alone']:.1f} % "
            f"| {100 * row['added']:.2f} % |"
        )
    yield ""

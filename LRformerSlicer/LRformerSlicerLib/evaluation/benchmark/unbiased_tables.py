"""The sections of the benchmark's document that judge ct-denoise without bias."""

from __future__ import annotations

from collections.abc import Iterator

from ..quality import OURS


def unbiased_lines(result: dict, _: str) -> Iterator[str]:
    """Markdown of ``evaluate_recorrupted`` and, under "neighbours", ``evaluate_neighbours``."""
    yield (
        "The parts above judge against the scan as it came, noise and all. Input and reference share that noise there, "
        "so whoever keeps it is rewarded, and whoever takes it away is punished: figures there fall where these rise. "
        "Here the reference's noise is independent of the input's, and decisions are made by these figures. Input: "
        "scan plus noise of the SD, by place, and texture of its own; reference: scan less the same noise "
        "(Recorrupted-to-Recorrupted, Pang et al., CVPR 2021). Error: RMS in HU in soft tissue, the reference's noise "
        "taken out; "
        f"filters at their best setting on train/ by the same measure; LRformer with prior {result['prior']}."
    )
    yield ""
    methods = [name for name in result["slices"][0]["error"] if name != OURS]
    yield f"| slice | its noise / HU | {' | '.join(methods)} | **{OURS}** |"
    yield "|---" * (3 + len(methods)) + "|"
    for row in result["slices"]:
        cells = " | ".join(f"{row['error'][name]:.1f}" for name in methods)
        yield f"| {row['name']} | {row['noise_sd']:.1f} | {cells} | **{row['error'][OURS]:.1f}** |"
    yield ""
    yield "LRformer's mean squared error is smaller, slice by slice (mean over slices, 95 % bootstrap interval):"
    yield ""
    yield "| than that of | dB | setting |"
    yield "|---|---|---|"
    for name in methods:
        low, high = result["gain_interval_db"][name]
        setting = result["settings"].get(name, "")
        yield f"| {name} | {result['gain_db'][name]:+.2f} [{low:+.2f}, {high:+.2f}] | {setting} |"
    yield ""
    if neighbours := result.get("neighbours"):
        yield (
            f"Reference made of the slices before and behind ({neighbours['slice']}, 1 mm apart): RMS difference in HU "
            "in soft tissue, the reference's own noise in it. The mean of two slices is smoother than a slice, which "
            "favours smooth methods."
        )
        yield ""
        names = list(next(iter(neighbours["doses"].values())))
        yield f"| dose | {' | '.join(names)} |"
        yield "|---" * (1 + len(names)) + "|"
        for dose, row in neighbours["doses"].items():
            yield f"| {dose} | {' | '.join(f'{row[name]:.1f}' for name in names)} |"
        yield ""


def noise_as_it_is_lines(result: dict, pictures: str) -> Iterator[str]:
    """Markdown of ``evaluate_noise_as_it_is``; ``pictures`` is the folder relative to docs/."""
    low, high = result["mean_reduction_interval"]
    yield (
        "Every CT scan of test/ and test_only/ as its scanner made it, nothing added. SD in flat soft tissue: 15th "
        "percentile of the SDs of 7 x 7 pixels where the local mean is 20 to 140 HU. At edges: Spearman correlation of "
        "what was taken away with the edges, and in brackets what noise of the same spectrum and level gives. "
        f"LRformer at full strength, prior {result['prior']}."
    )
    yield ""
    yield "| slice | before / HU | after / HU | change | at edges (chance) |"
    yield "|---|---|---|---|---|"
    for row in result["slices"]:
        change = 100 * (row["after"] / row["before"] - 1)
        yield (
            f"| {row['name']} | {row['before']:.1f} | {row['after']:.1f} | {change:+.0f} % "
            f"| {row['at_edges']:.2f} ({row['at_edges_noise']:.2f}) |"
        )
    yield ""
    yield f"Mean over slices: {-100 * result['mean_reduction']:+.0f} % [{-100 * high:+.0f} %, {-100 * low:+.0f} %]."
    yield ""
    for name in result.get("pictures", ()):
        yield f"![{name.removesuffix('.png')}]({pictures}/{name})"
        yield ""

"""The section on real noise of the benchmark's document."""

from __future__ import annotations

from collections.abc import Iterator

from ..quality import OURS


def real_noise_lines(result: dict, pictures: str = "pictures") -> Iterator[str]:
    """Markdown of what :func:`.real_noise.evaluate_real_noise` found; ``pictures`` is the folder relative to docs/."""
    yield "### Real noise, no reference"
    yield ""
    yield (
        f"Scans restored as they are, prior {result['prior']}. Noise: SD about a plane in five flat patches a slice, "
        "chosen in the input blurred over its noise; ratio after/before with the 95 % bootstrap interval over patches. "
        "Anatomy in the residual: at edges, Spearman correlation of the residual's local SD (over that around) with "
        "the restored slice's gradient, and that SD at the steepest tenth of the body over its flatter half; lost "
        "detail, the share of the detail at these edges that was taken away (below 0: sharpened). In brackets the same "
        "for noise of the residual's spectrum and level at random places: chance."
    )
    yield ""
    for scan in result["scans"]:
        yield f"**{scan['scan']}** ({scan['about']}), {scan['task']}"
        yield ""
        if scan["skipped"]:
            yield f"Left out: {scan['skipped']}"
            yield ""
            continue
        yield f"{len(scan['slices'])} slices, {scan['patches']} patches, {scan['unit']}."
        yield ""
        anatomy = "at edges (chance) | edges / flat (chance) | lost detail (chance)"
        yield f"| method | noise SD before | after | ratio | {anatomy} |"
        yield "|---|---|---|---|---|---|---|"
        for method, row in scan["methods"].items():
            low, high = row["noise_ratio_interval"]
            yield (
                f"| {f'**{method}**' if method == OURS else method} "
                f"| {row['noise_before']:.3g} | {row['noise_after']:.3g} "
                f"| {row['noise_ratio']:.2f} [{low:.2f}, {high:.2f}] "
                f"| {row['at_edges']:.2f} ({row['at_edges_noise']:.2f}) "
                f"| {row['edge_ratio']:.2f} ({row['edge_ratio_noise']:.2f}) "
                f"| {row['lost_detail']:.2f} ({row['lost_detail_noise']:.2f}) |"
            )
        yield ""
        for name in scan["pictures"]:
            yield f"![{name.removesuffix('.png')}]({pictures}/{name})"
            yield ""

"""The lesion section of the benchmark's document."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..quality import OURS
from .lesion_study import CLEAN

BAR_FROM_MM = 5.0


def lesion_lines(result: dict, pictures: str = "pictures") -> Iterator[str]:
    """Markdown of what :func:`.lesions.evaluate_lesions` found; ``pictures`` is the folder relative to docs/."""
    unit = "HU" if result["unit"] == "HU" else "shares of the foreground's range"
    yield f"### Inserted lesions: {result['task']}, {result['degradation']}"
    yield ""
    yield (
        f"{result['lesions']} discs of 3, 5, 8 and 10 mm and {_list(result['contrasts'])} {unit} in "
        f"{len(result['slices'])} slices, at the flattest places of the body, edges blurred as the scan's sharpest "
        f"ones (SD {min(result['blur_mm']):g} to {max(result['blur_mm']):g} mm). The prior sees the lesion: "
        f"{result['prior']}. Recovery: what the lesion adds to the slice, core minus ring, over what it truly adds; "
        "95 % bootstrap intervals over lesions. CNR: core minus ring over the ring's SD in the one image. NPW: matched "
        "filter without pre-whitening. CHO: six Laguerre-Gauss channels, pre-whitened. Both at 1 false positive in 100 "
        f"lesion-free places ({_sizes(result, CLEAN)[0]['free_places']} places, the same images without lesions)."
    )
    yield ""
    yield "| method | recovery at >= 5 mm | lowest, highest of a kind | CNR | seen by NPW | seen by CHO | setting |"
    yield "|---|---|---|---|---|---|---|"
    for method, found in result["methods"].items():
        yield _summary_row(method, found["kinds"], result["settings"].get(method, ""))
    yield ""
    yield from _kind_table(result, unit)
    yield from _size_table(result, unit)
    yield from _lost_table(result)
    for name in result["pictures"]:
        yield f"![{name.removesuffix('.png')}]({pictures}/{name})"
        yield ""
    yield from _labelled_table(result["labelled"], unit)


def _summary_row(method: str, kinds: list[dict], setting: str) -> str:
    large = [row for row in kinds if row["diameter_mm"] >= BAR_FROM_MM]
    recovery = _mean(large, lambda row: row["recovery"])
    lowest, highest = min(row["recovery"] for row in large), max(row["recovery"] for row in large)
    return (
        f"| {_bold(method)} | {recovery:.3f} | {lowest:.2f}, {highest:.2f} "
        f"| {_mean(kinds, lambda row: row['cnr']):.2f} "
        f"| {_percent(_mean(kinds, lambda row: row['NPW']['detected']))} "
        f"| {_percent(_mean(kinds, lambda row: row['CHO']['detected']))} | {setting} |"
    )


def _kind_table(result: dict, unit: str) -> Iterator[str]:
    methods = [method for method in result["methods"] if method != CLEAN]
    yield f"By kind (contrast in {unit}): recovery [95 %] of {OURS}, then the share seen by CHO."
    yield ""
    yield f"| contrast | mm | lesions | recovery | {' | '.join([CLEAN, *methods])} |"
    yield "|---" * (5 + len(methods)) + "|"
    rows = {name: result["methods"][name]["kinds"] for name in [CLEAN, *methods]}
    for place in sorted(range(len(rows[OURS])), key=lambda index: rows[OURS][index]["contrast"]):
        ours = rows[OURS][place]
        low, high = ours["recovery_interval"]
        seen = " | ".join(_percent(rows[name][place]["CHO"]["detected"]) for name in [CLEAN, *methods])
        yield (
            f"| {ours['contrast']:g} | {ours['diameter_mm']:g} | {ours['lesions']} "
            f"| {ours['recovery']:.2f} [{low:.2f}, {high:.2f}] | {seen} |"
        )
    yield ""


def _size_table(result: dict, unit: str) -> Iterator[str]:
    diameters = [row["diameter_mm"] for row in _sizes(result, CLEAN)]
    with_edges = [row["diameter_mm"] for row in _sizes(result, CLEAN) if row["edge_width_mm"] is not None]
    yield (
        f"Edge width (10-90 %), and the contrast ({unit}) that one lesion-free place in 100 seems to have. False: "
        "lesion-free places above it that are below it in the clean reference."
    )
    yield ""
    edges = " | ".join(f"edge {diameter:g} mm" for diameter in with_edges)
    bars = " | ".join(f"CHO threshold, {diameter:g} mm" for diameter in diameters)
    yield f"| method | {edges} | {bars} | false (NPW, CHO) |"
    yield "|---" * (2 + len(with_edges) + len(diameters)) + "|"
    for method in result["methods"]:
        sizes = _sizes(result, method)
        widths = " | ".join(_width(row["edge_width_mm"]) for row in sizes if row["diameter_mm"] in with_edges)
        bars = " | ".join(f"{row['CHO']['threshold']:.3g}" for row in sizes)
        false = ", ".join(str(sum(row[observer]["false"] for row in sizes)) for observer in ("NPW", "CHO"))
        yield f"| {_bold(method)} | {widths} | {bars} | {false} |"
    yield ""


def _lost_table(result: dict) -> Iterator[str]:
    yield (
        f"Lesions that one image shows and the other does not, of {result['lesions']}; after the stroke, those among "
        "them that the clean reference shows, too (the others may have been chance):"
    )
    yield ""
    yield f"| compared with | seen there, lost by {OURS}: NPW; CHO | seen by {OURS}, lost there: NPW; CHO |"
    yield "|---|---|---|"
    for other in result["methods"]:
        if other != OURS:
            yield f"| {other} | {_lost(result, OURS, other)} | {_lost(result, other, OURS)} |"
    yield ""


def _lost(result: dict, here: str, there: str) -> str:
    kinds = result["methods"][here]["kinds"]
    cells = []
    for observer in ("NPW", "CHO"):
        lost = [row[observer]["lost_against"][there] for row in kinds]
        cells.append(f"{sum(one['all'] for one in lost)} / {sum(one['seen_clean'] for one in lost)}")
    return "; ".join(cells)


def _labelled_table(found: dict, unit: str) -> Iterator[str]:
    yield f"### Labelled: {found['structure']} of {found['scan']}, {found['slices']} slices"
    yield ""
    yield (
        f"Contrast: structure minus ring (2 to 6 mm outside it{', soft tissue alone' if unit == 'HU' else ''}), in "
        f"{unit}; {found['reference_contrast']:.3g} in the reference, CNR {found['reference_cnr']:.2f}, SD inside "
        f"{found['reference_noise_sd']:.3g}. Recovery: sum of contrasts over the reference's. The reference's own "
        "noise is part of the RMSE."
    )
    yield ""
    yield "| method | contrast | recovery | CNR | RMSE inside | SD inside |"
    yield "|---|---|---|---|---|---|"
    for method, row in found["methods"].items():
        yield (
            f"| {_bold(method)} | {row['contrast']:.3g} | {row['recovery']:.3f} | {row['cnr']:.2f} | {row['rmse']:.3g} "
            f"| {row['noise_sd']:.3g} |"
        )
    yield ""


def _sizes(result: dict, method: str) -> list[dict]:
    return result["methods"][method]["sizes"]


def _mean(rows: list[dict], read) -> float:
    """Over lesions, not over kinds: kinds differ in number where places are few."""
    return float(np.average([read(row) for row in rows], weights=[row["lesions"] for row in rows]))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _width(width: float | None) -> str:
    return "-" if width is None else f"{width:.1f}"


def _bold(method: str) -> str:
    return f"**{method}**" if method == OURS else method


def _list(values: list[float]) -> str:
    *first, last = (f"{value:g}" for value in values)
    return f"{', '.join(first)} and {last}"

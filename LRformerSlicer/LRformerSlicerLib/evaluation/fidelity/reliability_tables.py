"""The reliability section of the benchmark's document."""

from __future__ import annotations

from collections.abc import Iterator

LARGEST_AUSE_SHARE, SMALLEST_SPEARMAN = 0.5, 0.4


def reliability_lines(result: dict, pictures: str = "pictures") -> Iterator[str]:
    """Markdown of what :func:`.reliability.evaluate_reliability` found; ``pictures`` is relative to docs/."""
    yield f"### Does the uncertainty mean something? {result['task']}, {result['degradation']}"
    yield ""
    yield (
        f"{len(result['slices'])} test slices, prior {result['prior']}; inside the body, values not clipped; ranks "
        "within each slice, means over slices with 95 % bootstrap intervals. AUSE: area between a map's sparsification "
        "curve and that of the errors themselves, as a share of a constant map's area (1 = knows nothing, 0 = knows "
        "all). Single pixels: |restored - reference|, mostly chance, the noise of the reference among it. Local: RMS "
        "error in a Gaussian neighbourhood of SD 2.5 mm, what a map can know. Passes: of the network, beyond the "
        "restoration's own."
    )
    yield ""
    yield (
        "| map | passes | Spearman, pixels | AUSE share, pixels | Spearman, local | AUSE share, local | "
        f"local: Spearman >= {SMALLEST_SPEARMAN:g} and AUSE <= {LARGEST_AUSE_SHARE:g} |"
    )
    yield "|---|---|---|---|---|---|---|"
    for name, found in result["maps"].items():
        yield _map_row(name, found, len(result["slices"]))
    yield ""
    yield from _verdict(result["maps"])
    yield from _models(result)
    for name in result["pictures"]:
        yield f"![{name.removesuffix('.png')}]({pictures}/{name})"
        yield ""


def _map_row(name: str, found: dict, slices: int) -> str:
    cells = []
    for kind in ("pixel", "local"):
        for figure in ("spearman", "ause_share"):
            low, high = found[kind][f"{figure}_interval"]
            cells.append(f"{found[kind][figure]:.2f} [{low:.2f}, {high:.2f}]")
    note = "" if found["slices"] == slices else f" ({found['slices']} slices)"
    return f"| {name}{note} | {found['passes']} | {' | '.join(cells)} | {'yes' if _reaches(found['local']) else 'no'} |"


def _reaches(figures: dict) -> bool:
    return figures["spearman"] >= SMALLEST_SPEARMAN and figures["ause_share"] <= LARGEST_AUSE_SHARE


def _verdict(maps: dict[str, dict]) -> Iterator[str]:
    [ceiling] = [found for name, found in maps.items() if name.startswith("ceiling")]
    real = {name: found for name, found in maps.items() if not name.startswith("ceiling")}
    best = max(real, key=lambda name: real[name]["local"]["spearman"])
    pixels = [name for name, found in real.items() if _reaches(found["pixel"])]
    if pixels:
        yield f"Pixel by pixel the bar is reached by: {', '.join(pixels)}."
    else:
        yield (
            "Pixel by pixel no map reaches the bar. Knowing the true local error everywhere would give a Spearman "
            f"correlation of {ceiling['pixel']['spearman']:.2f} and an AUSE share of "
            f"{ceiling['pixel']['ause_share']:.2f} there: what is left is the chance of the single pixel."
        )
    found = real[best]["local"]
    yield (
        f"Of the maps, the best at the local error is: {best} (Spearman {found['spearman']:.2f}, AUSE share "
        f"{found['ause_share']:.2f})."
    )
    yield ""


def _models(result: dict) -> Iterator[str]:
    ct = result["unit"] == "HU"
    yield (
        f"The expected error is a product of powers, fitted on {len(result['train_slices'])} train slices "
        f"({'doses 0.1 to 0.5, all kernels' if ct else 'degraded likewise'}), in normalised intensity "
        f"({'HU / 1000' if ct else result['unit']}):"
    )
    yield ""
    for name, model in result["expected_error"].items():
        powers = " * ".join(f"{feature}^{exponent:.2f}" for feature, exponent in model["exponents"].items())
        yield f"- {name}: {model['factor']:.3g} * {powers}"
    yield ""
    yield "Do intervals of so many expected errors hold as often as stated? Factors from train, shares from test."
    yield ""
    yield "| map | stated | factor | found | slices from .. to | thirds with small, middle, large expected error |"
    yield "|---|---|---|---|---|---|"
    for name, rows in result["coverage"].items():
        for stated, row in rows.items():
            factor = result["expected_error"][name]["interval_factors"][stated]
            thirds = ", ".join(_percent(share) for share in row["thirds"])
            yield (
                f"| {name} | {_percent(float(stated))} | {factor:.2f} | {_percent(row['found'])} "
                f"| {_percent(row['lowest_slice'])} .. {_percent(row['highest_slice'])} | {thirds} |"
            )
    yield ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

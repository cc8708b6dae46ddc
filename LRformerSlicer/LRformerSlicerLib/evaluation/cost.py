"""What things cost: multiply-accumulates, seconds and peak memory, each measured on the machine at hand."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

TURNS = 6


@dataclass(frozen=True)
class Cost:
    """Of one call.

    Attributes:
        macs: multiply-accumulates of matrix products, convolutions, attention and Fourier transforms, by torch's
            FlopCounterMode.
        attention_macs: those of the attention kernels alone.
        seconds: the fastest of several calls.
        peak_bytes: most memory held above what was held before the call.
    """

    macs: int
    attention_macs: int
    seconds: float
    peak_bytes: int


def _real_transform_flops(shape: list[int], axes: list[int]) -> int:
    """2.5 n log2(n) operations for each real Fourier transform of n points, half of a complex one's 5 n log2(n)."""
    return round(2.5 * math.prod(shape) * math.log2(math.prod(shape[axis] for axis in axes)))


def _real_to_complex_flops(shape: tuple, axes: list, *_: object, **__: object) -> int:
    return _real_transform_flops(list(shape), axes)


def _complex_to_real_flops(shape: tuple, axes: list, _normalise: int, last_side: int, **__: object) -> int:
    whole = list(shape)
    whole[axes[-1]] = last_side
    return _real_transform_flops(whole, axes)


def _cpu_attention_flops(query: tuple, key: tuple, value: tuple, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


# torch counts its CUDA attention kernels but not the fused one it uses on a CPU, and no Fourier transforms.
_UNCOUNTED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _cpu_attention_flops,
    torch.ops.aten._fft_r2c: _real_to_complex_flops,
    torch.ops.aten._fft_c2r: _complex_to_real_flops,
}


def count_macs(call: Callable[[], object]) -> tuple[int, int]:
    """Multiply-accumulates of a call: all, and those of scaled dot-product attention."""
    counter = FlopCounterMode(display=False, custom_mapping=_UNCOUNTED)
    with counter:
        call()
    by_operator = counter.get_flop_counts().get("Global", {})  # absent where nothing is counted
    attention = sum(flops for operator, flops in by_operator.items() if "scaled_dot_product" in str(operator))
    return sum(by_operator.values()) // 2, attention // 2


def _peak_bytes_cpu(call: Callable[[], object]) -> int:
    """Peak of torch's CPU allocations during a call, from the profiler's allocation events in order of time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    changes = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Most memory that torch holds during a call above what it held before."""
    gc.collect()
    if device.type != "cuda":
        return _peak_bytes_cpu(call)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return torch.cuda.max_memory_allocated(device) - before


def fastest_seconds(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The fastest of ``repeats`` calls after one to warm up: the one least disturbed by the rest of the machine."""
    times = []
    for repeat in range(repeats + 1):
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if repeat:
            times.append(time.perf_counter() - started)
    return min(times)


def measure(call: Callable[[], object], device: torch.device, repeats: int = 5) -> Cost:
    """Cost of a call that runs on ``device``; gradients off."""
    with torch.inference_mode():
        macs, attention_macs = count_macs(call)
        seconds = fastest_seconds(call, device, repeats)
        return Cost(macs, attention_macs, seconds, peak_bytes(call, device))


def attention_costs(
    channels: int, prior_channels: int, heads: int, device: torch.device
) -> dict[int, tuple[Cost, Cost]]:
    """GFCA and naive cross-attention on all windows of a 256 x 256 token map, by tokens a window.

    Both include all projections; GFCA includes the transforms of image and prior and back.
    """
    from ..network.attention import GuidedFrequencyCrossAttention, NaiveCrossAttention

    costs = {}
    for side in (8, 16, 32, 64):
        count = 256 * 256 // side**2
        image, prior = (torch.randn(count, side, side, width, device=device) for width in (channels, prior_channels))
        calls = {}
        for kind in (GuidedFrequencyCrossAttention, NaiveCrossAttention):
            module = kind(channels, prior_channels, heads).to(device).eval()
            calls[kind] = lambda m=module, i=image, p=prior: m(i, m.represent(p))
        costs[side**2] = tuple(_measure_in_turns(calls, device).values())
    return costs


def _measure_in_turns(calls: dict[object, Callable[[], object]], device: torch.device) -> dict[object, Cost]:
    """Costs of calls that are to be compared: timed in turns, so that other work on the machine disturbs them alike."""
    costs = {name: measure(call, device, repeats=1) for name, call in calls.items()}
    with torch.inference_mode():
        for _ in range(TURNS):
            for name, call in calls.items():
                seconds = min(costs[name].seconds, fastest_seconds(call, device, repeats=1))
                costs[name] = replace(costs[name], seconds=seconds)
    return costs


def network_costs(size: int, device: torch.device, **changes: object) -> dict[str, Cost]:
    """LRformer and its naive twin on one size x size slice; ``changes`` to the architecture apply to both."""
    from ..network.lrformer import LRformerArchitecture

    architecture = LRformerArchitecture(**changes)
    image = torch.rand(1, 1 + 2 * architecture.context, size, size, device=device)
    prior, calls = torch.rand(1, 2, size, size, device=device), {}
    for attention in ("gfca", "naive"):
        network = replace(architecture, attention=attention).build().to(device).eval()
        calls[attention] = lambda n=network: n(image, prior)
    return _measure_in_turns(calls, device)


def prior_seconds(backbone: object, samples: tuple[int, ...], repeats: int = 3) -> dict[int, float]:
    """Seconds of RLPP for one 512 x 512 slice by number of passes T."""
    import numpy as np

    from ..prior.rlpp import ReliablePriorProducer

    slices = np.random.default_rng(0).random((1, 512, 512), dtype=np.float32)
    boxes = np.array([[60.0, 90.0, 450.0, 430.0]])
    seconds = {}
    for count in samples:
        producer = ReliablePriorProducer(backbone, samples=count)
        seconds[count] = fastest_seconds(lambda p=producer: p.produce(slices, boxes), backbone.device, repeats)
    return seconds

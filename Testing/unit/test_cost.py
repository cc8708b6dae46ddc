"""The saving of GFCA in multiply-accumulates, and that the benchmark counts and measures what it says."""

import pytest
import torch

from LRformerSlicerLib.evaluation.cost import count_macs, measure, network_costs
from LRformerSlicerLib.network.attention import GuidedFrequencyCrossAttention, NaiveCrossAttention
from LRformerSlicerLib.network.lrformer import LRformer, LRformerArchitecture

USUAL = LRformerArchitecture()
CHANNELS = USUAL.channels


def operator_macs(kind, side):
    module = kind(CHANNELS, USUAL.prior_channels, USUAL.heads).eval()
    image, prior = (torch.randn(1, side, side, width) for width in (CHANNELS, USUAL.prior_channels))
    with torch.inference_mode():
        return count_macs(lambda: module(image, module.represent(prior)))


@pytest.mark.parametrize("side", [8, 16, 32, 64])
def test_gfca_saves_half_of_the_attention(side):
    tokens = side**2
    all_ours, attention_ours = operator_macs(GuidedFrequencyCrossAttention, side)
    all_naive, attention_naive = operator_macs(NaiveCrossAttention, side)
    assert attention_naive == 2 * tokens**2 * CHANNELS
    pairs = tokens // 2 - 2
    masked = 2  # keys that fill the processor's vectors: work done, and so counted
    assert attention_ours == 2 * ((pairs + 4) ** 2 + pairs * (pairs + masked)) * CHANNELS
    assert attention_ours <= 0.52 * attention_naive
    if tokens >= 1024:
        assert all_ours <= 0.60 * all_naive


def test_counts_of_a_known_product():
    left, right = torch.randn(3, 4), torch.randn(4, 5)
    assert count_macs(lambda: left @ right) == (3 * 4 * 5, 0)


def test_fourier_transforms_are_counted():
    """2.5 n log2(n) real operations there and as many back, two operations to a multiply-accumulate."""
    window = torch.randn(3, 16, 32)
    expected = 3 * 2.5 * 512 * 9 / 2
    assert count_macs(lambda: torch.fft.rfft2(window)) == (expected, 0)
    spectrum = torch.fft.rfft2(window)
    assert count_macs(lambda: torch.fft.irfft2(spectrum, (16, 32))) == (expected, 0)


def test_the_network_costs_less_than_its_naive_twin():
    macs = {}
    for attention in ("gfca", "naive"):
        network = LRformer(LRformerArchitecture(groups=1, blocks=2, attention=attention)).eval()
        with torch.inference_mode():
            macs[attention], _ = count_macs(lambda n=network: n(torch.rand(1, 1, 64, 64), torch.rand(1, 2, 64, 64)))
    assert macs["gfca"] < macs["naive"]


def test_a_network_with_neighbours_costs_its_first_convolution_more():
    small = {"channels": 12, "prior_channels": 12, "heads": 6, "groups": 1, "blocks": 1, "window": 8}
    alone, beside = (
        network_costs(32, torch.device("cpu"), context=context, **small)["gfca"].macs for context in (0, 1)
    )
    # Two further slices and their details, folded 2 x 2, to 12 channels by 3 x 3 kernels on 16 x 16 tokens.
    assert beside - alone == 2 * 2 * 4 * 12 * 9 * 16 * 16


def test_measured_peak_is_that_of_the_tensors_made():
    def call():
        kept = torch.ones(1 << 20)  # 4 MiB
        return (kept + 1).sum()  # and 4 MiB more

    cost = measure(call, torch.device("cpu"), repeats=1)
    assert 8 * 2**20 <= cost.peak_bytes <= 8.5 * 2**20
    assert 0 < cost.seconds < 5

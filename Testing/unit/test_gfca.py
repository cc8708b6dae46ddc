"""GFCA against the formulas of the paper, written out plainly on torch's own rfft2."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from LRformerSlicerLib.network.attention import GuidedFrequencyCrossAttention
from LRformerSlicerLib.network.spectrum import (
    fourier_basis,
    join_spectrum,
    pair_count,
    split_spectrum,
    token_counts,
)

SIZES = [(2, 2), (2, 6), (4, 4), (6, 8), (8, 6), (10, 4), (16, 16)]


def non_redundant_places(height, width):
    """Frequencies of rfft2's half plane, each mirror pair once, then the four that are their own mirror image."""
    seen, pairs, own = set(), [], []
    for column in range(width // 2 + 1):
        for row in range(height):
            mirror = ((-row) % height, (-column) % width)
            if mirror == (row, column):
                own.append((row, column))
            elif (row, column) not in seen:
                pairs.append((row, column))
                seen.update({(row, column), mirror})
    return pairs, own


def reference_halves(window):
    """Orthonormally scaled real and imaginary parts by plain loops over rfft2's values: two lists of (B, C)."""
    _, height, width, _ = window.shape
    spectrum = torch.fft.rfft2(window, dim=(1, 2), norm="ortho")
    pairs, own = non_redundant_places(height, width)
    real = [math.sqrt(2) * spectrum[:, row, column].real for row, column in pairs]
    real += [spectrum[:, row, column].real for row, column in own]
    imaginary = [math.sqrt(2) * spectrum[:, row, column].imag for row, column in pairs]
    return torch.stack(real, 1), torch.stack(imaginary, 1) if imaginary else real[0].new_zeros(len(window), 0, 1)


def reference_place(height, width):
    """The frequency embedding's input in the order of :func:`non_redundant_places`, matched by frequency."""
    pairs, own = non_redundant_places(height, width)
    features = []
    for row, column in pairs + own:
        vertical = (row - height if row > height / 2 else row) / height
        horizontal = column / width
        radius = 2 * math.hypot(vertical, horizontal)
        angle = math.atan2(vertical, horizontal)
        features.append(
            [math.cos(math.pi * order * radius) for order in range(5)]
            + [radius * math.cos(2 * angle), radius * math.sin(2 * angle)]
        )
    features = torch.tensor(features, dtype=torch.float64)
    return features, features[: len(pairs)]


def reference_attention(query, key, value, heads):
    """softmax(Q K^T / sqrt(d)) V, head by head."""
    answers = []
    for q, k, v in zip(query.chunk(heads, -1), key.chunk(heads, -1), value.chunk(heads, -1), strict=True):
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        answers.append(torch.softmax(scores, dim=-1) @ v)
    return torch.cat(answers, -1)


def reference_gfca(module, image, prior):
    """The formulas of PAPER.md on the non-redundant coefficients, and the full complex spectrum rebuilt."""
    batch, height, width, channels = image.shape
    query_map, value_map = module.query_value.weight.chunk(2)
    attended = []
    places = reference_place(height, width)
    for part, prior_part, place in zip(reference_halves(image), reference_halves(prior), places, strict=True):
        query = part @ query_map.T + place @ module.query_place.weight.T
        key = prior_part @ module.key.weight.T + place @ module.key_place.weight.T
        attended.append(reference_attention(query, key, part @ value_map.T, module.heads))
    symmetric, antisymmetric = attended
    pairs, own = non_redundant_places(height, width)
    t = torch.sigmoid(module.theta)
    full = torch.zeros(batch, height, width, channels, dtype=torch.complex128)
    for index, (row, column) in enumerate(pairs):
        a_r, a_i = symmetric[:, index], antisymmetric[:, index]
        value = torch.complex(t * a_r + (1 - t) * a_i, t * a_i + (1 - t) * a_r) / math.sqrt(2)
        full[:, row, column] = value
        full[:, -row % height, -column % width] = value.conj()
    for index, (row, column) in enumerate(own):
        full[:, row, column] = symmetric[:, len(pairs) + index].to(torch.complex128)
    rebuilt = torch.fft.ifft2(full, dim=(1, 2), norm="ortho")
    assert rebuilt.imag.abs().max() < 1e-12
    return rebuilt.real @ module.output.weight.T


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_basis_is_orthonormal(height, width):
    basis = fourier_basis(height, width)
    assert basis.shape == (height * width, height * width)
    torch.testing.assert_close(basis @ basis.T, torch.eye(height * width, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_basis_is_made_of_cosines_and_sines(height, width):
    """Not by any Fourier transform: every row is a wave of the frequency that its place in the order says."""
    pairs = [(row, column) for row in range(height) for column in range(1, width // 2)]
    pairs += [(row, column) for row in range(1, height // 2) for column in (0, width // 2)]
    own = [(row, column) for row in (0, height // 2) for column in (0, width // 2)]
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij"
    )
    phases = [2 * math.pi * (row * rows / height + column * columns / width).flatten() for row, column in pairs + own]
    waves = [math.sqrt(2) * torch.cos(phase) for phase in phases[: len(pairs)]]
    waves += [torch.cos(phase) for phase in phases[len(pairs) :]]
    waves += [-math.sqrt(2) * torch.sin(phase) for phase in phases[: len(pairs)]]
    expected = torch.stack(waves) / math.sqrt(height * width)
    torch.testing.assert_close(fourier_basis(height, width), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_token_counts_have_nothing_redundant(height, width):
    tokens = split_spectrum(torch.randn(1, height, width, 1))
    assert tokens.shape[1] == height * width
    assert pair_count(height, width) == height * width // 2 - 2


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_halves_are_symmetric_and_antisymmetric(height, width):
    """Mirroring a window about its origin keeps the first half and turns the sign of the second."""
    window = torch.randn(2, height, width, 3, dtype=torch.float64)
    mirrored = torch.roll(window.flip(1, 2), (1, 1), dims=(1, 2))
    signs = torch.ones(height * width, 1, dtype=torch.float64)
    signs[pair_count(height, width) + 4 :] = -1
    torch.testing.assert_close(split_spectrum(mirrored), signs * split_spectrum(window), rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    height=st.sampled_from([2, 4, 6, 8, 12]), width=st.sampled_from([2, 4, 6, 10, 16]), seed=st.integers(0, 2**31 - 1)
)
def test_join_inverts_split(height, width, seed):
    window = torch.randn(2, height, width, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    parts = split_spectrum(window).split(token_counts(height, width), dim=1)
    torch.testing.assert_close(join_spectrum(*parts, height, width), window, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (6, 8), (8, 6), (10, 4), (16, 16)])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_gfca_equals_the_papers_formulas(height, width, heads):
    torch.manual_seed(height * 100 + width * 10 + heads)
    module = GuidedFrequencyCrossAttention(6, 4, heads).double()
    with torch.no_grad():
        module.theta.fill_(0.4)
    image = torch.randn(3, height, width, 6, dtype=torch.float64)
    prior = torch.randn(3, height, width, 4, dtype=torch.float64)
    ours = module(image, module.represent(prior))
    expected = reference_gfca(module, image, prior)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-9)


def test_gradients_of_gfca():
    torch.manual_seed(5)
    module = GuidedFrequencyCrossAttention(4, 3, 2).double()
    image = torch.randn(1, 4, 6, 4, dtype=torch.float64, requires_grad=True)
    prior = torch.randn(1, 4, 6, 3, dtype=torch.float64, requires_grad=True)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def run(image, prior, *values):
        tokens = module.represent(prior)
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (image, tokens))

    inputs = (image, prior, *(parameter.detach().clone().requires_grad_(True) for parameter in parameters))
    assert torch.autograd.gradcheck(run, inputs)


def test_mixup_matters_and_leaves_self_conjugate_tokens_alone():
    torch.manual_seed(6)
    module = GuidedFrequencyCrossAttention(4, 4, 1).double()
    image, prior = torch.randn(2, 1, 8, 8, 4, dtype=torch.float64)
    with torch.no_grad():
        module.output.weight.copy_(torch.eye(4))
        spectra = []
        for theta in (-3.0, 3.0):
            module.theta.fill_(theta)
            spectra.append(split_spectrum(module(image, module.represent(prior))))
    pairs = pair_count(8, 8)
    assert (spectra[0][:, :pairs] - spectra[1][:, :pairs]).abs().max() > 1e-3
    torch.testing.assert_close(spectra[0][:, pairs : pairs + 4], spectra[1][:, pairs : pairs + 4], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(3, 4), (4, 5), (1, 2)])
def test_odd_windows_are_refused(height, width):
    with pytest.raises(ValueError, match="even sides"):
        split_spectrum(torch.zeros(1, height, width, 1))

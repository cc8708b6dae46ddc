"""Lines of k-space that were not measured are told from those that were, and follow from where the body ends."""

import numpy as np
import pytest

from LRformerSlicerLib.degradation.mr.kspace import frequencies, to_image, to_kspace
from LRformerSlicerLib.degradation.mr.undersampling import measured_lines, undersampled
from LRformerSlicerLib.restoration.kspace import correction as corrections
from LRformerSlicerLib.restoration.kspace.correction import without_kspace_artifacts
from LRformerSlicerLib.restoration.kspace.missing_lines import LineLevels, explanations
from LRformerSlicerLib.restoration.kspace.weighted_lines import half_spectrum_length, unweighted, weighted
from unit.kspace_phantom import restored_by_the_engine, sharp_head

SHAPE = (192, 160)


def missing(acceleration: float, seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A head, what is seen of it, and the weight of each line of the real image's spectrum."""
    clean = sharp_head(SHAPE)
    measured = measured_lines(SHAPE[0], acceleration, 0.2, np.random.default_rng(seed))
    seen = np.abs(to_image(undersampled(to_kspace(clean), measured))).astype(np.float32)
    there = np.fft.ifftshift(measured).astype(float)
    lines = np.arange(half_spectrum_length(SHAPE[0]))
    return clean, seen, (there[lines] + there[-lines]) / 2


@pytest.mark.parametrize("acceleration", [1.3, 1.6, 2.2])
def test_the_lines_are_told_apart_by_their_energy(acceleration):
    _, seen, weights = missing(acceleration)
    likeliest = explanations(seen)[0]
    assert likeliest.evidence > 25
    assert np.mean(np.abs(likeliest.weights - weights) < 0.25) > 0.9


def test_across_the_lines_nothing_is_missing():
    _, seen, _ = missing(1.6)
    assert all(levels.evidence < 25 for levels in explanations(seen.T))


def test_where_the_body_ends_tells_what_was_not_measured():
    clean, _, weights = missing(1.8)
    body = clean > 100
    inside = (clean * body / 500.0).astype(np.float32)
    seen = weighted(inside, weights.astype(np.float32))
    filled = unweighted(seen, body, weights, 1e-4, 200)
    assert np.linalg.norm(filled - inside) < 0.6 * np.linalg.norm((seen - inside)[body])


def test_weights_of_one_and_no_smoothness_change_nothing():
    clean = sharp_head(SHAPE) / 500.0
    body = clean > 0.2
    same = unweighted(clean, body, np.ones(half_spectrum_length(SHAPE[0])), 1e-7, 10)
    np.testing.assert_allclose(same[body], clean[body], atol=1e-4)
    assert not same[~body].any()


@pytest.mark.parametrize("turned", [False, True])
def test_aliasing_goes(turned):
    clean, seen, weights = missing(1.5)
    correction = without_kspace_artifacts(seen.T if turned else seen)
    mended = correction.pixels.T if turned else correction.pixels
    inside = clean > 100
    before, after = (np.sqrt(np.mean((image - clean)[inside] ** 2)) for image in (seen, mended))
    assert after < 0.7 * before
    assert correction.missing_lines == pytest.approx(2 * np.sum(1 - weights), rel=0.3)


@pytest.mark.parametrize("name", ["as it is", "noisy", "zero-filled", "filtered", "truncated"])
def test_slices_with_all_their_lines_keep_every_bit(name):
    clean = sharp_head(SHAPE, seed=2)
    if name == "noisy":
        clean = clean + np.random.default_rng(2).normal(0, 30, SHAPE)
    spectrum = to_kspace(clean)
    line = np.abs(frequencies(SHAPE[0]))[:, None] / SHAPE[0]
    if name == "zero-filled":
        spectrum = np.pad(spectrum, [(64, 64), (0, 0)])
    if name == "filtered":
        spectrum = spectrum / (1.0 + np.exp((line - 0.35) / 0.02))
    if name == "truncated":
        spectrum = np.where(line < 0.3, spectrum, 0.0)
    clean = np.abs(to_image(spectrum)).astype(np.float32)
    correction = without_kspace_artifacts(clean)
    assert not correction.missing_lines and not correction.ghosts
    np.testing.assert_array_equal(correction.pixels, clean)


def test_an_explanation_that_fits_the_image_badly_is_not_used(monkeypatch):
    """However likely the energies make it: every other line missing of a slice that has them all."""
    clean = sharp_head(SHAPE).astype(np.float32)

    def every_other(pixels):
        weights = np.ones(half_spectrum_length(len(pixels)))
        weights[1::2] = 0.0
        return [LineLevels(weights, 1000.0)]

    monkeypatch.setattr(corrections, "explanations", every_other)
    correction = without_kspace_artifacts(clean)
    assert not correction.missing_lines
    np.testing.assert_array_equal(correction.pixels, clean)


def test_the_engine_fills_them_in_and_says_so(checkpoints):
    clean, seen, _ = missing(1.5)
    report = restored_by_the_engine([seen, clean], checkpoints).report
    assert report["lines_filled"] > 20 and report["slices_with_ghosts"] == 0
    assert any("not been measured" in line and "1 of 2 slices" in line for line in report["warnings"])


def test_rows_that_are_all_alike_lack_nothing():
    alike = np.zeros((103, 97), dtype=np.float32)
    alike[:, 16:60] = 300.0
    assert not explanations(alike)
    np.testing.assert_array_equal(without_kspace_artifacts(alike).pixels, alike)

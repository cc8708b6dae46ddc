"""Priors of which it is known what they know: of edges that noise hides, of the slice itself, of nothing."""

import numpy as np
import pytest
from scipy import ndimage

from LRformerSlicerLib.evaluation.benchmark.prior_information import information


@pytest.fixture(scope="module")
def slices():
    """Cells of different grey with faint edges, and the same under noise that hides them; all of it body."""
    random = np.random.default_rng(0)
    cells = random.uniform(0, 1, (12, 12)).repeat(16, 0).repeat(16, 1)
    clean = 100.0 * ndimage.gaussian_filter(cells, 1.0)
    return clean, clean + random.normal(0, 80.0, clean.shape), np.ones(clean.shape, dtype=bool)


def test_a_prior_that_knows_the_hidden_edges_adds_them(slices):
    clean, degraded, body = slices
    found = information(degraded, clean, (clean / 100.0)[None], body)
    assert found.own < 0.4 and found.alone > 0.5 and found.added > 0.4


def test_a_prior_made_of_the_slice_explains_but_adds_nothing(slices):
    """Where the slice shows its edges, a copy of it is as good as the slice and no better with it."""
    clean, _, body = slices
    slightly = clean + np.random.default_rng(1).normal(0, 0.5, clean.shape)
    found = information(slightly, clean, (slightly / 100.0)[None], body)
    assert found.own > 0.6 and found.alone > 0.4 and found.added < 0.12


def test_a_random_prior_knows_nothing(slices):
    clean, degraded, body = slices
    blobs = ndimage.gaussian_filter(np.random.default_rng(2).uniform(0, 1, clean.shape), 8.0)[None]
    found = information(degraded, clean, blobs, body)
    assert abs(found.alone) < 0.03 and abs(found.added) < 0.03


def test_a_constant_prior_adds_exactly_nothing(slices):
    clean, degraded, body = slices
    found = information(degraded, clean, np.ones((2, *clean.shape)), body)
    assert found.alone == pytest.approx(0.0, abs=1e-9) and found.added == pytest.approx(0.0, abs=1e-9)


def test_where_there_is_next_to_no_body_nothing_is_said(slices):
    clean, degraded, body = slices
    corner = np.zeros_like(body)
    corner[:40, :40] = True
    assert information(degraded, clean, np.ones((2, *clean.shape)), corner) is None

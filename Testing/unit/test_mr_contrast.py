"""Other contrasts of a training scan: tissues change their brightness, air and edges stay."""

import numpy as np
import pytest

from LRformerSlicerLib.training.mr_contrast import HIGHEST, STEEPEST, random_contrast

BRIGHT = 800.0


@pytest.fixture(params=range(20))
def contrast(request):
    return random_contrast(BRIGHT, np.random.default_rng(request.param))


def test_air_stays_dark_and_nothing_leaves_the_range(contrast):
    values = contrast(np.linspace(0, 5 * BRIGHT, 2000, dtype=np.float32))
    assert values[0] == 0 and values.dtype == np.float32
    assert values.min() >= 0 and values.max() <= HIGHEST * BRIGHT


def test_noise_is_not_made_a_structure(contrast):
    values = np.linspace(0, 2 * BRIGHT, 4000, dtype=np.float32)
    slopes = np.abs(np.diff(contrast(values))) / np.diff(values)
    # Between knots a monotone cubic is steeper than the line between them, yet less than twice.
    assert slopes.max() < 2 * STEEPEST


def test_what_was_flat_stays_flat(contrast):
    assert np.ptp(contrast(np.full((4, 4), 0.6 * BRIGHT, dtype=np.float32))) == 0


def test_tissues_change_places():
    """Fluid brighter than white matter, as in T2, comes as well as darker, as in T1."""
    fluid, white = np.float32(0.25 * BRIGHT), np.float32(0.9 * BRIGHT)
    curves = [random_contrast(BRIGHT, np.random.default_rng(seed)) for seed in range(60)]
    brighter = np.mean([curve(fluid) > curve(white) for curve in curves])
    assert 0.1 < brighter < 0.6

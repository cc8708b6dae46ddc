"""Other contrasts of a training scan: tissues change their brightness, air and edges stay."""

import numpy as np
import pytest

from LRformerSlicerLib.training.clean_slices import CleanSlice
from LRformerSlicerLib.training.mr_contrast import HIGHEST, STEEPEST, random_contrast
from LRformerSlicerLib.training.mr_resolution import OTHER_CONTRAST_SHARE, ResolutionTask

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
    # Fritsch and Carlson (SIAM J. Numer. Anal. 17, 1980): a monotone cubic is at most three times as steep as the line
    # between its knots.
    assert slopes.max() < 3 * STEEPEST
    rise = np.ptp(contrast(values)) / BRIGHT
    assert rise > 0.05, "tissues stay apart"


def test_tissues_change_places():
    """Fluid brighter than white matter, as in T2, comes as well as darker, as in T1."""
    fluid, white = np.float32(0.25 * BRIGHT), np.float32(0.9 * BRIGHT)
    curves = [random_contrast(BRIGHT, np.random.default_rng(seed)) for seed in range(60)]
    brighter = np.mean([curve(fluid) > curve(white) for curve in curves])
    assert 0.1 < brighter < 0.6


def test_most_further_realisations_of_a_slice_have_another_contrast():
    """The order of two tissues by brightness, fluid and white matter, is the scan's own or another one."""
    y, x = np.mgrid[:128, :128]
    head = np.hypot(y - 64, x - 64) < 50
    fluid = np.hypot(y - 64, x - 64) < 20
    pixels = np.where(fluid, 200, np.where(head, 700, 0)).astype(np.int16)
    clean = CleanSlice("a-k000", pixels, 1.0, (1.0, 1.0), False, [pixels] * 2)
    task, said, seen = ResolutionTask("mr-sr2"), [], []
    for realisation in range(24):
        made = task.degrade(clean, realisation)
        scale = made.clean.shape[0] / 128
        ratio = made.clean[int(64 * scale), int(64 * scale)] / made.clean[int(64 * scale), int(28 * scale)]
        said.append(made.recipe["other_contrast"])
        seen.append(abs(ratio - 200 / 700) > 0.03)
    assert not said[0] and not seen[0], "the first realisation is the scan's own"
    assert np.mean(said[1:]) == pytest.approx(OTHER_CONTRAST_SHARE, abs=0.25)
    assert np.mean(np.equal(said, seen)) > 0.9

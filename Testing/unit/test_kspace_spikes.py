"""Stripes of k-space spikes are taken out before the network sees a slice, and said."""

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.degradation.mr.spikes import Spike, with_spikes
from LRformerSlicerLib.restoration.kspace.spikes import without_spikes
from unit.kspace_phantom import head, restored_by_the_engine


def struck(clean: np.ndarray, *spikes: Spike) -> np.ndarray:
    """As a scanner would show it: the magnitude."""
    spectrum = np.fft.fftshift(np.fft.fft2(clean, norm="ortho"))
    return np.abs(np.fft.ifft2(np.fft.ifftshift(with_spikes(spectrum, list(spikes), 500.0)), norm="ortho"))


@pytest.mark.parametrize("share", [0.03, 0.1])
@pytest.mark.parametrize("frequency", [(20, 31), (-60, 5), (0, 40)])
def test_the_stripes_go_and_the_slice_stays(share, frequency):
    clean = head()
    striped = struck(clean, Spike(frequency, share, 0.7))
    restored, count = without_spikes(striped)
    inside = clean > 200
    errors = [np.sqrt(np.mean((image - clean)[inside] ** 2)) for image in (striped, restored)]
    assert count == 1 and errors[1] < 0.35 * errors[0]


def test_several_spikes_at_once():
    clean = head()
    striped = struck(clean, Spike((20, 31), 0.08, 0.0), Spike((-44, 12), 0.05, 1.0), Spike((3, -50), 0.06, 2.0))
    restored, count = without_spikes(striped)
    assert count >= 3
    assert np.abs(restored - clean)[clean > 200].mean() < 0.25 * np.abs(striped - clean)[clean > 200].mean()


@pytest.mark.parametrize("name", ["as it is", "noisy", "zero-filled", "cut off by the border", "empty", "even"])
def test_slices_without_spikes_keep_every_bit(name):
    clean = head(1)
    if name == "noisy":
        clean = clean + np.random.default_rng(2).normal(0, 40, clean.shape)
    if name == "zero-filled":  # to twice the samples: at the border of what was measured k-space falls to nothing
        spectrum = np.fft.fftshift(np.fft.fft2(clean))
        filled = np.pad(spectrum, [(80, 80), (72, 72)])
        clean = np.rint(np.abs(np.fft.ifft2(np.fft.ifftshift(filled))) * 4)
    if name == "cut off by the border":
        clean = head(1, cut=True)
    if name in ("empty", "even"):
        clean = np.full((64, 64), 0.0 if name == "empty" else 300.0)
    same, count = without_spikes(clean)
    assert count == 0
    np.testing.assert_array_equal(same, clean.astype(np.float32))


def test_the_engine_takes_them_out_and_says_so(checkpoints):
    clean = head()
    striped = struck(clean, Spike((20, 31), 0.08, 0.7))
    result = restored_by_the_engine([striped, clean], checkpoints)
    restored = sitk.GetArrayFromImage(result.restored)
    inside = clean > 200
    assert np.abs(restored[0] - clean)[inside].mean() < 0.6 * np.abs(striped - clean)[inside].mean()
    assert result.report["spikes_removed"] == 1
    assert any("spikes" in line and "1 of 2 slices" in line for line in result.report["warnings"])
    unstruck = restored_by_the_engine([clean], checkpoints)
    assert unstruck.report["spikes_removed"] == 0 and not unstruck.report["warnings"]

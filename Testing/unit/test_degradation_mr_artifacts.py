"""MR artifacts against what k-space physics demands."""

import json

import numpy as np
import pytest

from LRformerSlicerLib.degradation.mr.bias_field import bias_field, random_coefficients
from LRformerSlicerLib.degradation.mr.ghosting import Pulsation, pulsating
from LRformerSlicerLib.degradation.mr.kspace import to_image, to_kspace
from LRformerSlicerLib.degradation.mr.mixture import CLEAN_SHARE, ArtifactMixture, random_mixture
from LRformerSlicerLib.degradation.mr.motion import RigidPose, moved_spectrum, random_poses, spectrum_in_motion
from LRformerSlicerLib.degradation.mr.noise import rician_magnitude
from LRformerSlicerLib.degradation.mr.spikes import Spike, with_spikes
from LRformerSlicerLib.degradation.mr.undersampling import measured_lines, undersampled


def blob(rows, columns, centre, width=5.0):
    y, x = np.mgrid[:rows, :columns]
    return 100.0 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * width**2))


def head(rows=128, columns=112):
    y, x = np.mgrid[:rows, :columns]
    slice_values = np.zeros((rows, columns), dtype=np.float32)
    slice_values[((y - rows / 2) / (0.36 * rows)) ** 2 + ((x - columns / 2) / (0.36 * columns)) ** 2 < 1] = 500.0
    slice_values[((y - 50) / 10) ** 2 + ((x - 60) / 7) ** 2 < 1] = 180.0
    return slice_values


def test_energy_is_the_same_in_image_and_kspace():
    image = np.random.default_rng(0).normal(size=(31, 40))
    assert np.sum(np.abs(to_kspace(image)) ** 2) == pytest.approx(np.sum(image**2))
    np.testing.assert_allclose(to_image(to_kspace(image)).real, image, atol=1e-12)


def test_a_shift_between_lines_is_a_shift_of_the_object():
    """The whole of k-space with the phase ramp of a shift is the object at its new place, by whole and half pixels."""
    start = blob(96, 80, (40.0, 35.0))
    for shift in ((7.0, 0.0), (0.0, -5.0), (2.5, 3.5)):
        moved = to_image(moved_spectrum(start, RigidPose(0, 0.0, shift)))
        np.testing.assert_allclose(moved.real, blob(96, 80, (40.0 + shift[0], 35.0 + shift[1])), atol=0.05)
        np.testing.assert_allclose(moved.imag, 0.0, atol=0.05)


def test_a_rotation_turns_about_the_middle():
    start = blob(97, 97, (48.0, 68.0))
    turned = to_image(moved_spectrum(start, RigidPose(0, 90.0, (0.0, 0.0)))).real
    row, column = np.unravel_index(turned.argmax(), turned.shape)
    assert abs(row - 48) == 20 and column == 48


def test_only_the_lines_after_the_movement_and_outside_the_centre_change():
    image = head()
    pose = RigidPose(40, 2.0, (3.0, -1.0))
    difference = np.abs(spectrum_in_motion(image, [pose]) - to_kspace(image)).sum(axis=1)
    centre = np.abs(np.arange(128) - 64) <= 5
    assert np.all(difference[:40] == 0) and np.all(difference[centre] == 0)
    assert np.all(difference[40:][~centre[40:]] > 0)


@pytest.mark.parametrize("seed", range(40))
def test_the_image_shows_the_pose_of_the_centre_of_kspace(seed):
    """From the movement before the centre to the one after it nothing moves; outside, the patient lies elsewhere."""
    poses = random_poses(128, 1.0, np.random.default_rng(seed))
    assert poses[0].first_line == 0 and 3 <= len(poses) <= 5
    ends = [*(pose.first_line for pose in poses[1:]), 128]
    still = [pose.rotation_degrees == 0 and pose.shift_pixels == (0.0, 0.0) for pose in poses]
    assert still == [pose.first_line <= 64 < end for pose, end in zip(poses, ends, strict=True)]
    image = head()
    difference = np.abs(spectrum_in_motion(image, poses) - to_kspace(image)).sum(axis=1)
    unmoved = difference < 1e-6 * np.abs(to_kspace(image)).sum(axis=1).max()
    place = still.index(True)
    wanted = np.zeros(128, dtype=bool)
    wanted[poses[place].first_line : ends[place]] = True
    np.testing.assert_array_equal(unmoved, wanted | (np.abs(np.arange(128) - 64) <= 5))


def test_the_coil_does_not_move_with_the_patient():
    """A shift under a gain: the object elsewhere, times the gain that is there."""
    gain = 1.0 + np.linspace(0.0, 1.0, 96)[:, None] * np.ones((1, 80))
    start, pose = blob(96, 80, (40.0, 35.0)), RigidPose(0, 0.0, (10.0, 0.0))
    spectrum = spectrum_in_motion(start, [pose], gain)
    there = to_kspace(gain * blob(96, 80, (50.0, 35.0)))
    far = np.abs(np.arange(96) - 48) > 10
    np.testing.assert_allclose(spectrum[far], there[far], atol=0.05)


@pytest.mark.parametrize("period", [4.0, 8.0, 6.4])
def test_ghosts_lie_a_field_of_view_over_the_period_away_with_half_the_depth(period):
    start = blob(128, 64, (64.0, 32.0), width=2.0)
    ghosted = np.abs(to_image(pulsating(to_kspace(start), Pulsation(0.3, period, 0.7))))
    for row in (64 - 128 / period, 64 + 128 / period):
        assert abs(ghosted[:, 32][int(row) - 4 : int(row) + 5].argmax() - 4) <= 1
        assert ghosted[round(row), 32] == pytest.approx(0.3 / 2 * 100.0, rel=0.02)
    assert ghosted[64, 32] == pytest.approx(100.0, rel=0.01)
    assert ghosted[round(64 + 64 / period), 32] < 0.5, "nothing between object and ghost"


def test_a_spike_is_a_plane_wave_of_the_stated_height_and_direction():
    image = head(64, 48).astype(np.float64)
    wave = to_image(with_spikes(to_kspace(image), [Spike((5, -9), 0.1, 0.4)], bright=500.0)) - image
    y, x = np.mgrid[:64, :48]
    # Frequencies count from the image's first pixel.
    expected = 50.0 * np.exp(1j * (0.4 + 2 * np.pi * (5 * y / 64 - 9 * x / 48)))
    np.testing.assert_allclose(wave, expected, atol=1e-6)


def test_lines_left_out_are_zero_and_the_rest_is_kept():
    random = np.random.default_rng(1)
    for acceleration in (1.0, 1.5, 2.5):
        measured = measured_lines(120, acceleration, 0.2, random)
        assert measured.sum() == round(120 / acceleration)
        assert measured[60 - 12 : 60 + 13].all(), "the centre is sampled fully"
        spectrum = to_kspace(head(120, 96))
        kept = undersampled(spectrum, measured)
        assert np.all(kept[~measured] == 0) and np.array_equal(kept[measured], spectrum[measured])
        again = to_kspace(to_image(kept))
        np.testing.assert_allclose(again[~measured], 0, atol=1e-6)
    with pytest.raises(ValueError, match="at least 1"):
        measured_lines(120, 0.5, 0.2, random)


def test_the_bias_field_is_smooth_and_keeps_the_brightness():
    body = head() > 0
    for seed in range(5):
        gain = bias_field(body, random_coefficients(np.random.default_rng(seed)), 0.3)
        assert np.exp(np.log(gain[body]).mean()) == pytest.approx(1.0)
        assert np.abs(np.log(gain[body])).max() == pytest.approx(0.3)
        inside = np.log(gain[40:88, 35:77])
        for axis in (0, 1):
            fourth = np.abs(np.diff(inside, 4, axis=axis)).max()
            assert fourth < 1e-12 < np.abs(np.diff(inside, 1, axis=axis)).max(), "a polynomial of the third order"


def test_noise_is_rician_in_tissue_and_air():
    """In air the mean is sd sqrt(pi / 2); in bright tissue the mean square is that of the signal plus 2 sd squared."""
    flat = np.zeros((400, 400))
    flat[:200] = 300.0
    noisy = rician_magnitude(flat.astype(complex), 20.0, seed=4)
    assert noisy[200:].mean() == pytest.approx(20.0 * np.sqrt(np.pi / 2), rel=0.01)
    assert (noisy[:200].astype(np.float64) ** 2).mean() == pytest.approx(300.0**2 + 2 * 20.0**2, rel=0.005)
    assert noisy[:200].std() == pytest.approx(20.0, rel=0.02)


def test_a_clean_mixture_leaves_every_bit_and_others_do_not():
    image = head()
    np.testing.assert_array_equal(ArtifactMixture(image.shape).apply(image, 3), image)
    for seed in range(6):
        mixture = random_mixture(image.shape, np.random.default_rng(seed), may_be_clean=False)
        degraded = mixture.apply(image, 3)
        assert degraded.shape == image.shape and degraded.dtype == np.float32 and degraded.min() >= 0
        assert np.abs(degraded - image).max() > 1.0
        np.testing.assert_array_equal(mixture.apply(image, 3), degraded)
        plain = json.loads(json.dumps(mixture.as_dict()))
        assert len(plain["poses"]) == len(mixture.poses) and plain["noise_share"] == mixture.noise_share


def test_one_mixture_in_ten_is_clean_and_every_artifact_comes_along():
    random = np.random.default_rng(0)
    mixtures = [random_mixture((64, 48), random) for _ in range(1500)]
    assert np.mean([one.is_clean for one in mixtures]) == pytest.approx(CLEAN_SHARE, abs=0.025)
    for artifact in ("poses", "pulsation", "bias", "spikes", "noise_share"):
        assert 0.1 < np.mean([bool(getattr(one, artifact)) for one in mixtures]) < 0.7
    assert 0.1 < np.mean([one.measured is not None for one in mixtures]) < 0.4
    assert 0.3 < np.mean([one.phase_along_columns for one in mixtures]) < 0.7


def test_the_phase_encoding_axis_decides_where_ghosts_go():
    image = blob(96, 96, (48.0, 48.0), width=3.0).astype(np.float32)
    ghosts = Pulsation(0.4, 4.0, 0.0)
    down = ArtifactMixture((96, 96), pulsation=ghosts).apply(image, 0)
    right = ArtifactMixture((96, 96), phase_along_columns=True, pulsation=ghosts).apply(image, 0)
    assert down[72, 48] == pytest.approx(20.0, rel=0.05) and down[48, 72] < 0.1
    assert right[48, 72] == pytest.approx(20.0, rel=0.05) and right[72, 48] < 0.1
    with pytest.raises(ValueError, match="for slices of"):
        ArtifactMixture((96, 96)).apply(image[:50], 0)

"""Metal, padding, dead and hot voxels: they come out unchanged, and what lies beside them is none the worse."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.padding import find_padding_values
from LRformerSlicerLib.restoration.shown_slices import ShownSlices
from LRformerSlicerLib.restoration.volume import check_volume

PIXEL_MM = 0.8
PLAIN = {"prior": "none", "device": "cpu"}


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    """With the shipped weights: what untrained ones make of extremes says nothing of the product."""
    return Restorer()


def image_of(array: np.ndarray, thickness_mm: float = 2.5) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((PIXEL_MM, PIXEL_MM, thickness_mm))
    return image


def abdomen(dtype: type = np.int16, slices: int = 2) -> np.ndarray:
    """An ellipse of 40 HU with noise of 25 HU, lung and bone in it, in air; (slices, 80, 96)."""
    row, column = np.mgrid[:80, :96]
    plane = np.full((80, 96), -1000.0)
    plane[((row - 40) / 33) ** 2 + ((column - 48) / 42) ** 2 < 1] = 40
    plane[((row - 30) / 10) ** 2 + ((column - 66) / 9) ** 2 < 1] = -820
    plane[(row - 60) ** 2 + (column - 50) ** 2 < 30] = 600
    return np.rint(plane + np.random.default_rng(11).normal(0, 25, (slices, 80, 96))).astype(dtype)


def head(dtype: type = np.int16, slices: int = 2, noise: float = 12.0) -> np.ndarray:
    """A head of 500 with a darker and a brighter part, on Rician background, 0 to about 900; (slices, 80, 96)."""
    row, column = np.mgrid[:80, :96]
    plane = np.zeros((80, 96))
    plane[((row - 40) / 33) ** 2 + ((column - 48) / 38) ** 2 < 1] = 500
    plane[((row - 40) / 12) ** 2 + ((column - 48) / 7) ** 2 < 1] = 220
    plane[((row - 24) / 7) ** 2 + ((column - 62) / 9) ** 2 < 1] = 820
    plane = gaussian_filter(plane, 0.8)
    real, imaginary = np.random.default_rng(12).normal(0, noise, (2, slices, 80, 96))
    return np.rint(np.hypot(plane + real, imaginary)).astype(dtype)


def restored(restorer: Restorer, array: np.ndarray, task: str, modality: str | None = None, **options) -> np.ndarray:
    options = RestorationOptions(task=task, **{**PLAIN, **options})
    result = restorer.restore(image_of(array), options, modality=modality or ("CT" if task.startswith("ct") else "MR"))
    return sitk.GetArrayFromImage(result.restored)


def with_metal(peak_hu: float) -> np.ndarray:
    shape = np.zeros((80, 96))
    shape[44:56, 20:32] = 1.0
    return abdomen(np.int32) + np.rint(peak_hu * gaussian_filter(shape, 1.0)).astype(np.int32)


@pytest.mark.parametrize("peak_hu", [3000, 5000, 8000, 16000, 30000])
def test_tissue_beside_metal_is_that_beside_metal_at_the_end_of_the_scale(restorer, peak_hu):
    """At most 5 HU within 4 mm is asked for; the very same numbers are what the engine should give."""
    scan = with_metal(peak_hu)
    bright, at_the_end = (restored(restorer, one, "ct-denoise") for one in (scan, scan.clip(None, 3071)))
    metal = scan > 3071
    assert np.array_equal(bright[metal], scan[metal])
    near = ~metal & (distance_transform_edt(~(scan > 1500), sampling=(2.5, PIXEL_MM, PIXEL_MM)) <= 4.0)
    assert near.sum() > 100
    assert np.abs(bright - at_the_end)[near].max() <= 5
    assert np.array_equal(bright[~metal], at_the_end[~metal])
    assert not np.array_equal(bright[near], scan[near]), "tissue beside metal is still restored"


def test_prior_statistics_and_expected_error_do_not_know_how_bright_metal_is(restorer):
    reports, maps = [], []
    for scan in (with_metal(16000), with_metal(16000).clip(None, 3071)):
        options = RestorationOptions(task="ct-denoise", device="cpu", samples=1, expected_error=True)
        result = restorer.restore(image_of(scan[:1]), options, modality="CT")
        reports.append((result.report["noise_sd"], result.report["prior"]["prompts"]["boxes_by_slice"]))
        maps.append([sitk.GetArrayFromImage(one) for one in (result.prior, result.uncertainty, result.expected_error)])
    assert reports[0] == reports[1]
    for one, other in zip(*maps, strict=True):
        assert np.array_equal(one, other)


def test_ct_below_the_scale_is_shown_as_air_and_kept(restorer):
    scan = abdomen()
    scan[:, 36:44, 44:52] = -1000
    deep = scan.copy()
    deep[:, 40, 46:50] = [-1025, -1500, -9000, -32768]
    at_the_end = restored(restorer, deep.clip(-1024, None), "ct-denoise")
    answer = restored(restorer, deep, "ct-denoise")
    assert np.array_equal(answer[deep < -1024], deep[deep < -1024])
    assert np.array_equal(answer[deep >= -1024], at_the_end[deep >= -1024])


def frame(shape: tuple[int, ...], width: int) -> np.ndarray:
    padding = np.ones(shape, dtype=bool)
    padding[:, width:-width, width:-width] = False
    return padding


def circle(shape: tuple[int, ...], radius: float) -> np.ndarray:
    row, column = np.mgrid[: shape[1], : shape[2]]
    return np.broadcast_to(np.hypot(row - shape[1] / 2, column - shape[2] / 2) > radius, shape)


def block(shape: tuple[int, ...]) -> np.ndarray:
    padding = np.zeros(shape, dtype=bool)
    padding[:, 50:56, 30:38] = True
    return padding


PLACES = {
    "frame of 1": lambda shape: frame(shape, 1),
    "frame of 8": lambda shape: frame(shape, 8),
    "frame across the body": lambda shape: frame(shape, 16),
    "field of view": lambda shape: circle(shape, 38.0),
    "inside": block,
}


@pytest.mark.parametrize(
    ("place", "value", "task"),
    [
        *((place, 65535, "mr-artifact") for place in PLACES),
        *(("frame of 8", value, "mr-artifact") for value in (0, -2000, -1024, 7936)),
        ("field of view", -1024, "mr-sr2"),
        ("inside", 7936, "mr-sr2"),
        ("field of view", 0, "mr-sr2"),
    ],
)
def test_padding_of_mr_comes_out_unchanged_and_does_not_spread(restorer, place, value, task):
    scan = head(np.int32)
    padding = PLACES[place](scan.shape)
    padded = np.where(padding, value, scan)
    answer, plain = restored(restorer, padded, task), restored(restorer, scan, task)
    if task == "mr-sr2":
        padding = padding.repeat(2, 1).repeat(2, 2)
    assert (answer[padding] == value).all()
    # Two pixels from the padding anatomy is as without it; what lies behind it nobody can know.
    beside = ~binary_dilation(padding, np.ones((1, 5, 5), dtype=bool), iterations=2 if task == "mr-sr2" else 1)
    assert answer[~padding].max() <= 1100 and answer[~padding].min() >= 0
    assert np.abs(answer - plain)[beside].mean() < 8 and np.percentile(np.abs(answer - plain)[beside], 99) < 60


@pytest.mark.parametrize(
    ("place", "value"),
    [*((place, -2000) for place in PLACES), *(("frame across the body", value) for value in (0, 65535, -3024, 32767))],
)
def test_padding_of_ct_comes_out_unchanged_and_does_not_spread(restorer, place, value):
    scan = abdomen(np.int32)
    padding = PLACES[place](scan.shape)
    padded = np.where(padding, value, scan)
    answer, plain = restored(restorer, padded, "ct-denoise"), restored(restorer, scan, "ct-denoise")
    assert (answer[padding] == value).all()
    beside = ~binary_dilation(padding, np.ones((1, 5, 5), dtype=bool))
    assert np.abs(answer - plain)[beside].mean() < 4 and np.percentile(np.abs(answer - plain)[beside], 99) < 60


@pytest.mark.parametrize(("dtype", "value"), [(np.int16, 32767), (np.uint16, 5000), (np.float32, 1900)])
def test_a_hot_voxel_stays_alone(restorer, dtype, value):
    scan = head(dtype)
    hot = scan.copy()
    hot[0, 40, 30] = hot[1, 20, 50] = value
    for task in ("mr-artifact", "mr-sr2"):
        answer, plain = restored(restorer, hot, task), restored(restorer, scan, task)
        factor = 2 if task == "mr-sr2" else 1
        lone = (hot != scan).repeat(factor, 1).repeat(factor, 2)
        assert (answer[lone] == value).all()
        assert np.abs(answer.astype(float) - plain)[~lone].max() < 40


def test_statistics_leave_padding_out(restorer):
    scan = head(np.int32)
    padded = np.where(frame(scan.shape, 12), 65535, scan)
    reports = [
        restorer.restore(image_of(one), RestorationOptions(task="mr-artifact", **PLAIN), modality="MR").report
        for one in (scan, padded)
    ]
    assert reports[1]["intensity"]["unit"] == pytest.approx(reports[0]["intensity"]["unit"], rel=0.05)
    assert reports[1]["noise_sd"]["before"] == pytest.approx(reports[0]["noise_sd"]["before"], rel=0.1)


def test_stated_padding_is_kept_and_left_out_even_where_it_is_not_flat(restorer):
    scan = head(np.int32)
    stated = np.random.default_rng(3).random(scan.shape) < 0.02
    padded = np.where(stated, -7, scan)
    volume = check_volume(image_of(padded), padding=stated)
    answer = restorer.restore(volume, RestorationOptions(task="mr-artifact", **PLAIN), modality="MR")
    values = sitk.GetArrayFromImage(answer.restored)
    assert (values[stated] == -7).all() and values[~stated].min() >= 0


def test_a_slice_of_nothing_but_padding_comes_out_as_it_went_in(restorer):
    scan = head(np.int32, slices=3)
    scan[2] = -1024
    assert (restored(restorer, scan, "mr-artifact")[2] == -1024).all()
    scan = np.where(np.arange(3)[:, None, None] == 1, -2000, abdomen(np.int16, 3))
    assert (restored(restorer, scan, "ct-denoise")[1] == -2000).all()


@given(
    value=st.sampled_from([-32768, -4096, -3024, -2000, -1024, 4095, 7936, 32767, 65535]),
    width=st.integers(1, 20),
    seed=st.integers(0, 1000),
    is_corner=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_any_frame_or_corner_of_one_extreme_value_is_found(value, width, seed, is_corner):
    scan = np.random.default_rng(seed).gamma(4, 60, (3, 64, 64)).astype(np.int32)
    padding = frame(scan.shape, width)
    if is_corner:
        padding = np.zeros_like(padding)
        padding[:, : 10 + width, : 10 + width] = True
    padded = np.where(padding, value, scan)
    assert find_padding_values(padded, padded.reshape(-1), "MR") == (float(value),)
    shown = ShownSlices(check_volume(image_of(padded)), "MR")
    for index, one in enumerate(padding):
        assert np.array_equal(shown[index].kept, one)
        assert np.array_equal(shown[index].pixels[~one], scan[index][~one])
        assert shown[index].pixels.max() <= scan.max() and shown[index].pixels.min() >= 0


def test_nothing_of_a_scan_without_padding_is_kept():
    for array, modality in ((abdomen(), "CT"), (head(), "MR"), (with_metal(2500), "CT")):
        shown = ShownSlices(check_volume(image_of(array)), modality)
        assert shown.padding_values == () and shown[0].padding is None
        assert shown[0].kept is None or np.array_equal(shown[0].kept, (array[0] < -1024) | (array[0] >= 3071))


def test_flat_metal_inside_is_no_padding():
    scan = with_metal(16000).clip(None, 3071)
    assert ShownSlices(check_volume(image_of(scan)), "CT").padding_values == ()


def test_no_voxel_of_a_real_scan_is_hidden(shared_data):
    """Replacing tissue by its neighbours would be the opposite of a restoration."""
    from LRformerSlicerLib.prior.foreground import body_mask
    from LRformerSlicerLib.restoration.intensity import mr_intensity
    from LRformerSlicerLib.restoration.volume_io import read_volume

    for path in sorted((shared_data / "test").glob("mr_*.nii.gz")):
        if "label" in path.name or "kspace" in path.name:
            continue
        volume = check_volume(read_volume(path))
        shown = ShownSlices(volume, "MR")
        chosen = np.unique(np.linspace(0, len(shown) - 1, 5).astype(int))
        pixels = [shown[index].pixels for index in chosen]
        shown.leave_out_no_tissue(mr_intensity(np.concatenate([one[body_mask(one, "MR")] for one in pixels])))
        for index in chosen:
            assert np.array_equal(shown[index].pixels, volume.slices[index]), path.name

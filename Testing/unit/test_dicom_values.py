"""Voxel values from DICOM: rescale of each slice, Hounsfield units, padding, photometric interpretation, frames."""

from __future__ import annotations

import numpy as np
import pydicom.data
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.restoration.dicom_output import write_derived_series
from LRformerSlicerLib.restoration.scan import read_scan
from unit import dicom_phantom as phantom
from unit.test_dicom_series import HEIGHTS, Read, refusal

REPORT = {
    "task": "ct-denoise",
    "strength": 1.0,
    "model": {"name": "a model", "sha256": "ab" * 32},
    "prior": {"backbone": "none"},
}


def test_a_first_slice_without_offset_wraps_nothing(tmp_path):
    volume = phantom.ct_slices()
    volume[0] = np.maximum(volume[0], 0)
    for index, height in enumerate(HEIGHTS):
        intercept = 0 if index == 0 else -1024 - index
        stored = (volume[index] - intercept).astype(np.uint16)
        one = phantom.image(stored, (-9.0, -7.0, height), index + 1, intercept=intercept)
        phantom.store(tmp_path / f"{index}.dcm", one)
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume) and read.values.dtype == np.int16


def test_signed_and_unsigned_slices_of_one_series(tmp_path):
    volume = phantom.ct_slices()
    for index, height in enumerate(HEIGHTS):
        kind, intercept = ((np.int16, 0), (np.uint16, -1024))[index % 2]
        one = phantom.image((volume[index] - intercept).astype(kind), (-9.0, -7.0, height), index + 1,
                            intercept=intercept)  # fmt: skip
        phantom.store(tmp_path / f"{index}.dcm", one)
    assert np.array_equal(Read(tmp_path).values, volume)


def test_large_values_are_int32_and_fractions_float(tmp_path):
    stored = phantom.mr_slices().astype(np.uint16) * 60
    for name, slope, kind in (("whole", "1000", np.int32), ("fraction", "0.125", np.float32)):
        for index, height in enumerate(HEIGHTS):
            one = phantom.image(stored[index], (0, 0, height), index + 1, "MR", slope=slope, intercept="-3")
            phantom.store(tmp_path / name / f"{index}.dcm", one)
        values = Read(tmp_path / name).values
        assert values.dtype == kind and np.array_equal(values, stored.astype(float) * float(slope) - 3)


def test_mr_with_a_slope_a_slice_is_not_cut_to_integers(tmp_path):
    volume = phantom.mr_slices()
    for index, height in enumerate(HEIGHTS):
        slope = 0.37 * (index + 1)
        one = phantom.image(np.rint(volume[index] / slope).astype(np.uint16), (0, 0, height), index + 1, "MR",
                            slope=f"{slope:.6g}", intercept=0)  # fmt: skip
        phantom.store(tmp_path / f"{index}.dcm", one)
    values = Read(tmp_path).values
    for index in range(6):
        assert np.abs(values[index] - volume[index]).max() <= 0.37 * (index + 1) / 2 + 1e-3


class TestHounsfieldUnits:
    """CT whose values are none, or may be none."""

    def test_without_rescale(self, tmp_path):
        phantom.write_ct(tmp_path, HEIGHTS, RescaleSlope=None, RescaleIntercept=None)
        assert "no RescaleSlope and RescaleIntercept" in refusal(tmp_path)

    def test_without_rescale_but_with_air(self, tmp_path):
        volume = phantom.ct_slices()
        for index, height in enumerate(HEIGHTS):
            one = phantom.image(volume[index].astype(np.int16), (0, 0, height), index + 1, slope=None)
            phantom.store(tmp_path / f"{index}.dcm", one)
        read = Read(tmp_path)
        assert np.array_equal(read.values, volume)
        assert len(read.told) == 1 and "their values are taken for Hounsfield units" in read.told[0]

    def test_rescale_in_some_slices_only(self, tmp_path):
        phantom.write_ct(tmp_path, HEIGHTS)
        one = phantom.ct_image(phantom.ct_slices()[0], (-9.0, -7.0, 15.0), 7, RescaleSlope=None)
        phantom.store(tmp_path / "x.dcm", one)
        assert '"x.dcm" has no RescaleSlope' in refusal(tmp_path)

    @pytest.mark.parametrize("kind", ["MGML", "Z_EFF", "ED", "PCT"])
    def test_maps_by_their_rescale_type(self, tmp_path, kind):
        phantom.write_ct(tmp_path, HEIGHTS, RescaleType=kind)
        assert f"its values are {kind} and no Hounsfield units" in refusal(tmp_path)

    @pytest.mark.parametrize("kind", ["EFF_ATOMIC_NUM", "MAT_SPECIFIC", "ELECTRON_DENSITY"])
    def test_maps_by_their_image_type(self, tmp_path, kind):
        phantom.write_ct(tmp_path, HEIGHTS, ImageType=["DERIVED", "PRIMARY", "AXIAL", kind])
        assert "not in Hounsfield units" in refusal(tmp_path)

    def test_an_unspecified_rescale_type(self, tmp_path):
        volume = phantom.write_ct(tmp_path / "air", HEIGHTS, RescaleType="US")
        phantom.write_ct(tmp_path / "map", HEIGHTS, np.abs(volume) / 20, RescaleType="US")
        assert Read(tmp_path / "air").told == []
        assert "their values are taken for them" in Read(tmp_path / "map").told[0]


class TestDarkForBright:
    """MONOCHROME1: read so that bright is bright, and written as MONOCHROME2."""

    def derived(self, tmp_path, folder):
        volume, _ = read_scan(folder)
        (tmp_path / "out").mkdir()
        write_derived_series(tmp_path / "out", volume.image, tuple(sorted(folder.iterdir())), REPORT)
        return [pydicom.dcmread(file) for file in sorted((tmp_path / "out").iterdir())]

    @pytest.mark.parametrize("turned", [False, True])
    def test_ct_keeps_its_hounsfield_units(self, tmp_path, turned):
        volume = phantom.ct_slices()
        for index, height in enumerate(HEIGHTS):
            stored = volume[index] + 1024
            stored = (4095 - stored if turned else stored).astype(np.uint16)
            one = phantom.image(stored, (-9.0, -7.0, height), index + 1, PhotometricInterpretation="MONOCHROME1",
                                BitsStored=12, HighBit=11, WindowCenter=40, WindowWidth=400)  # fmt: skip
            phantom.store(tmp_path / "in" / f"{index}.dcm", one)
        read = Read(tmp_path / "in")
        assert np.array_equal(read.values, volume) and "MONOCHROME1" in read.told[0]
        for index, header in enumerate(self.derived(tmp_path, tmp_path / "in")):
            assert header.PhotometricInterpretation == "MONOCHROME2" and "WindowCenter" not in header
            values = header.pixel_array * float(header.RescaleSlope) + float(header.RescaleIntercept)
            assert np.array_equal(values, volume[index])

    def test_mr_is_bright_where_it_is_shown_bright(self, tmp_path):
        volume = phantom.mr_slices()
        for index, height in enumerate(HEIGHTS):
            one = phantom.mr_image(4095 - volume[index], (-9.0, -7.0, height), index + 1, BitsStored=12, HighBit=11,
                                   PhotometricInterpretation="MONOCHROME1")  # fmt: skip
            phantom.store(tmp_path / "in" / f"{index}.dcm", one)
        assert np.array_equal(Read(tmp_path / "in").values, volume)
        for index, header in enumerate(self.derived(tmp_path, tmp_path / "in")):
            assert header.PhotometricInterpretation == "MONOCHROME2"
            assert np.array_equal(header.pixel_array, volume[index])


class TestPadding:
    """PixelPaddingValue and PixelPaddingRangeLimit as a mask."""

    def test_the_stated_value_is_a_mask(self, tmp_path):
        volume = phantom.ct_slices()
        where = np.zeros(volume.shape, dtype=bool)
        where[:, :, :2] = where[2, 5] = True
        for index, height in enumerate(HEIGHTS):
            stored = np.where(where[index], -2000, volume[index]).astype(np.int16)
            one = phantom.image(stored, (0, 0, height), index + 1, intercept=0)
            # As unsigned, which it is not: some writers do so.
            one.add_new("PixelPaddingValue", "US", 65536 - 2000)
            phantom.store(tmp_path / f"{index}.dcm", one)
        assert np.array_equal(Read(tmp_path).padding, where)
        scan, _ = read_scan(tmp_path)
        assert np.array_equal(scan.padding, scan.plane.view(where)) and scan.slice_axis == 2

    def test_a_range_and_another_rescale_a_slice(self, tmp_path):
        volume = phantom.mr_slices() + 10
        where = np.zeros(volume.shape, dtype=bool)
        where[:, :3] = True
        for index, height in enumerate(HEIGHTS):
            stored = np.where(where[index], np.arange(phantom.COLUMNS) % 4, volume[index]).astype(np.uint16)
            one = phantom.image(stored, (0, 0, height), index + 1, "MR", slope=f"{0.5 + index}", intercept=7)
            one.add_new("PixelPaddingValue", "US", 0)
            one.add_new("PixelPaddingRangeLimit", "US", 3)
            phantom.store(tmp_path / f"{index}.dcm", one)
        assert np.array_equal(Read(tmp_path).padding, where)


class TestFrames:
    """Enhanced multi-frame images: every frame in its place, with its own rescale."""

    def test_shuffled_frames_with_a_slope_each(self, tmp_path):
        volume, order = phantom.mr_slices(), [3, 0, 5, 1, 4, 2]
        slopes = [0.25 * (place + 1) for place in range(6)]
        heights = [4.0 * index - 10 for index in range(6)]
        file = phantom.store(tmp_path / "enhanced.dcm", phantom.enhanced_mr(volume, heights, order, slopes))
        for path in (file, tmp_path):
            read = Read(path)
            assert read.image.GetSpacing() == (0.9, 0.9, 4.0) and read.image.GetOrigin() == (-9.0, -7.0, -10.0)
            for place, k in enumerate(order):
                assert np.array_equal(read.values[k], np.rint(volume[k] / slopes[place]) * slopes[place])

    def test_echoes_in_one_file_are_split(self, tmp_path):
        volume = phantom.mr_slices(3)
        both = np.concatenate([volume, volume // 2])
        changes = [{"MREchoSequence": {"EffectiveEchoTime": time}} for time in (5.0, 90.0) for _ in range(3)]
        one = phantom.enhanced_mr(both, [0.0, 4.0, 8.0] * 2, list(range(6)), frame_changes=changes)
        phantom.store(tmp_path / "enhanced.dcm", one)
        for name, values in (("5", volume), ("90", volume // 2)):
            assert np.array_equal(Read(tmp_path, f"6-Test-effective-echo-time-{name}").values, values)

    def test_frames_without_places_are_refused(self, tmp_path):
        one = phantom.enhanced_mr(phantom.mr_slices(), HEIGHTS, list(range(6)))
        for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            delattr(one, name)
        phantom.store(tmp_path / "enhanced.dcm", one)
        assert "holds 6 frames and does not say where they lie" in refusal(tmp_path / "enhanced.dcm")

    def test_fewer_frames_than_the_header_says(self, tmp_path):
        one = phantom.enhanced_mr(phantom.mr_slices(), HEIGHTS, list(range(6)))
        one.add_new("PixelData", "OW", one.PixelData[: -2 * phantom.ROWS * phantom.COLUMNS])
        phantom.store(tmp_path / "enhanced.dcm", one)
        assert '"enhanced.dcm" is damaged' in refusal(tmp_path)


@pytest.mark.parametrize(
    ("compressed", "plain"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("693_J2KR.dcm", "693_UNCR.dcm"),
        ("MR2_J2KR.dcm", "MR2_UNCR.dcm"),
    ],
)
def test_compressed_images_are_those_that_were_compressed(compressed, plain):
    read = [Read(_real(name)) for name in (compressed, plain)]
    assert np.array_equal(read[0].values, read[1].values)
    header = pydicom.dcmread(_real(plain))
    stored = header.pixel_array * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
    assert np.allclose(read[1].values[0], stored, rtol=1e-6)


def _real(name: str):
    from pathlib import Path

    return Path(pydicom.data.get_testdata_file(name, download=False))


def test_non_square_pixels_keep_the_stored_plane(tmp_path):
    phantom.write_ct(tmp_path, [1.5 * index for index in range(6)], PixelSpacing=[1.5, 0.75])
    scan, _ = read_scan(tmp_path)
    assert scan.image.GetSpacing() == (0.75, 1.5, 1.5) and scan.plane.across_axis == 2
    assert sitk.GetArrayViewFromImage(scan.image).shape == scan.slices.shape


def test_overlays_in_the_unused_bits_are_no_values(tmp_path):
    volume = phantom.mr_slices()
    for index, height in enumerate(HEIGHTS):
        stored = volume[index].astype(np.uint16)
        one = phantom.mr_image(stored | np.uint16(0x8000), (0, 0, height), index + 1, BitsStored=12, HighBit=11)
        phantom.store(tmp_path / f"{index}.dcm", one)
    assert np.array_equal(Read(tmp_path).values, volume)


def test_mr_that_is_rescaled_in_some_slices_only_is_refused(tmp_path):
    for index, height in enumerate(HEIGHTS):
        changes = {"slope": 2, "intercept": 0} if index else {}
        phantom.store(
            tmp_path / f"{index}.dcm", phantom.mr_image(phantom.mr_slices()[index], (0, 0, height), index, **changes)
        )
    assert '"0.dcm" has no RescaleSlope' in refusal(tmp_path)

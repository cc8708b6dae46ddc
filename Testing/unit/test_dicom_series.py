"""Which volumes a set of DICOM files holds: what is split, left out and refused, and where every slice lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.dicom_input import find_series, load, read_dicom
from LRformerSlicerLib.restoration.folder import find_volumes
from unit import dicom_phantom as phantom

HEIGHTS = [0.0, 2.5, 5.0, 7.5, 10.0, 12.5]


class Read:
    """A path read with its warnings: values, image and what was told."""

    def __init__(self, path: Path, series: str | None = None) -> None:
        self.told: list[str] = []
        volume = read_dicom(path, self.told.append, series)
        self.image, self.padding = volume.image, volume.padding
        self.values = sitk.GetArrayFromImage(volume.image)


def refusal(path: Path, series: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        read_dicom(path, lambda sentence: None, series)
    message = caught.value.message
    assert message.endswith(".") and "\n" not in message
    return message


def in_places(path: Path) -> list[tuple[tuple[float, ...], np.ndarray]]:
    """Each slice of the one volume in a folder with the position of its source, whatever grid they make."""
    (series,) = find_series(path)
    values = sitk.GetArrayFromImage(load(series, keeps_places=True).image)
    return [(plane.position, pixels) for plane, pixels in zip(series.planes, values, strict=True)]


def test_a_regular_series_says_nothing(tmp_path):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume) and read.told == [] and read.values.dtype == np.int16
    assert read.image.GetSpacing() == (0.8, 0.8, 2.5) and read.image.GetOrigin() == (-9.0, -7.0, 0.0)


@pytest.mark.parametrize("lost", [[2], [2, 3], [4]])
def test_missing_slices_are_told_and_bend_no_grid(tmp_path, lost):
    volume = phantom.write_ct(tmp_path, [2.5 * index for index in range(10)])
    for index in lost:
        (tmp_path / f"{index:03d}.dcm").unlink()
    message = refusal(tmp_path)
    count = "1 slice is" if len(lost) == 1 else "2 slices are"
    assert f'{count} missing between "{lost[0] - 1:03d}.dcm" and "{lost[-1] + 1:03d}.dcm"' in message
    assert "--format dicom" in message
    for (position, pixels), index in zip(in_places(tmp_path), [k for k in range(10) if k not in lost], strict=True):
        assert position == (-9.0, -7.0, 2.5 * index) and np.array_equal(pixels, volume[index])


def test_unequal_steps_are_refused_for_a_grid(tmp_path):
    phantom.write_ct(tmp_path, [0.0, 2.5, 5.0, 10.0, 15.0, 20.0])
    assert "its slices are 2.5 to 5 mm apart" in refusal(tmp_path)


@pytest.mark.parametrize("degrees", [0.2, 5.0, 20.0])
def test_a_tilted_gantry_is_refused_for_a_grid(tmp_path, degrees):
    angle = np.deg2rad(degrees)
    heights = [5.0 * index for index in range(8)]
    phantom.write_ct(tmp_path, heights, ImageOrientationPatient=[1, 0, 0, 0, np.cos(angle), -np.sin(angle)])
    assert f"tilted by {degrees:g} degrees" in refusal(tmp_path)
    assert [position for position, _ in in_places(tmp_path)] == [(-9.0, -7.0, height) for height in heights]


def test_slices_shifted_against_each_other_are_refused_for_a_grid(tmp_path):
    phantom.write_ct(tmp_path, HEIGHTS)
    moved = pydicom.dcmread(tmp_path / "003.dcm")
    moved.ImagePositionPatient = [-9.0, -4.0, 7.5]
    moved.save_as(tmp_path / "003.dcm")
    assert "shifted against each other by up to 3 mm" in refusal(tmp_path)


def test_rounded_positions_are_a_grid(tmp_path):
    heights = [round(0.625 * index, 1) for index in range(40)]
    phantom.write_ct(tmp_path, heights)
    image = Read(tmp_path).image
    for index, height in enumerate(heights):
        assert abs(image.TransformIndexToPhysicalPoint((0, 0, index))[2] - height) <= 0.06


def test_identical_copies_are_left_out_and_named(tmp_path):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    for name in ("001", "004"):
        shutil.copy(tmp_path / f"{name}.dcm", tmp_path / f"{name} (1).dcm")
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume)
    assert read.told == ['Left out: "001 (1).dcm", "004 (1).dcm" of 6-Test (identical copies).']


def test_copies_under_new_uids_are_left_out(tmp_path):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    copy = phantom.ct_image(volume[2], (-9.0, -7.0, 5.0), 3, SOPInstanceUID=f"{phantom.ROOT}.8")
    phantom.store(tmp_path / "copy.dcm", copy)
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume) and "(identical copies)" in read.told[0]


def test_two_images_with_one_uid_are_refused(tmp_path):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    phantom.store(tmp_path / "other.dcm", phantom.ct_image(volume[2] + 5, (-9.0, -7.0, 5.0), 3))
    assert "different images with one SOP instance UID" in refusal(tmp_path)


@pytest.mark.parametrize(("number", "z"), [(0, -100.0), (99, 6.0)])
def test_a_scout_in_the_series_is_left_out(tmp_path, number, z):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    for name, image_type in (("scout", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), ("coronal", None)):
        changes = {"ImageType": image_type} if image_type else {}
        scout = phantom.ct_image(volume[1], (-9.0, 0.0, z), number, ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
                                 SOPInstanceUID=f"{phantom.ROOT}.8.{len(name)}", **changes)  # fmt: skip
        phantom.store(tmp_path / f"{name}.dcm", scout)
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume)
    assert np.allclose(read.image.GetDirection(), np.eye(3).ravel())
    assert 'Left out: "scout.dcm" of 6-Test (a localizer).' in read.told
    assert any('"coronal.dcm" of 6-Test (one image of another orientation)' in one for one in read.told)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PixelSpacing": [0.4, 0.4]}, "(one image of another pixel spacing)"),
        ({"Rows": 10}, "(one image of another matrix)"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "(a colour image (RGB))"),
        ({"FrameOfReferenceUID": "1.2.3"}, "(one image of another frame of reference)"),
    ],
)
def test_an_image_of_another_kind_is_left_out(tmp_path, changes, named):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    phantom.store(tmp_path / "odd.dcm", phantom.ct_image(volume[0], (-9.0, -7.0, 15.0), 7, **changes))
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume)
    assert any('"odd.dcm"' in one and named in one for one in read.told), read.told


def test_two_patients_under_one_uid_are_refused_without_their_names(tmp_path):
    volume = phantom.ct_slices(4)
    for patient, offset in (("ANNA", 0.0), ("BERT", 1.25)):
        for index in range(4):
            one = phantom.ct_image(volume[index], (-9.0, -7.0, 2.5 * index + offset), index + 1, PatientName=patient,
                                   PatientID=patient)  # fmt: skip
            phantom.store(tmp_path / f"{patient[0]}{index}.dcm", one)
    message = refusal(tmp_path)
    assert "holds images of 2 patients under one UID" in message and "ANNA" not in message


def test_the_same_series_of_two_patients_in_two_folders_is_two_volumes(tmp_path):
    for patient in ("a", "b"):
        phantom.write_ct(tmp_path / patient, HEIGHTS, PatientID=patient)
    volumes, left_out = find_volumes(tmp_path)
    assert [volume.name for volume in volumes] == ["a", "b"] and left_out == []


def test_a_series_in_two_studies_is_refused(tmp_path):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    phantom.store(tmp_path / "x.dcm", phantom.ct_image(volume[0], (-9.0, -7.0, 15.0), 7, StudyInstanceUID="1.2.3"))
    assert "holds images of 2 studies" in refusal(tmp_path)


def write_parts(folder: Path, parts: list[dict[str, object]], interleaved: bool = True, **constant: object) -> list:
    """MR volumes at the same places in one series, each with changes of its own; gives their values."""
    volumes = [phantom.mr_slices(4, seed=place + 1) for place in range(len(parts))]
    for index in range(4):
        for place, changes in enumerate(parts):
            number = index * len(parts) + place + 1 if interleaved else place * 4 + index + 1
            one = phantom.mr_image(volumes[place][index], (-9.0, -7.0, 4.0 * index), number, **constant, **changes)
            phantom.store(folder / f"{number:03d}.dcm", one)
    return volumes


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ([{"EchoNumbers": 1}, {"EchoNumbers": 2}], ["6-Test-echo-1", "6-Test-echo-2"]),
        ([{"EchoTime": 5.0}, {"EchoTime": 90.0}], ["6-Test-echo-time-5", "6-Test-echo-time-90"]),
        (
            [{"ImageType": ["ORIGINAL", "PRIMARY", kind]} for kind in ("M", "P")],
            ["6-Test-M", "6-Test-P"],
        ),
        (
            [{"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}],
            ["6-Test-temporal-position-1", "6-Test-temporal-position-2"],
        ),
        ([{"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}], ["6-Test-b-0", "6-Test-b-1000"]),
        ([{"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}], ["6-Test-kernel-B30f", "6-Test-kernel-B70f"]),
        (
            [{"SequenceName": "*ep_b0"}, {"SequenceName": "*ep_b1000"}],
            ["6-Test-sequence-ep_b0", "6-Test-sequence-ep_b1000"],
        ),
        ([{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}], ["6-Test-acquisition-1", "6-Test-acquisition-2"]),
        ([{"TriggerTime": 0.0}, {"TriggerTime": 40.0}], ["6-Test-trigger-time-0.0", "6-Test-trigger-time-40.0"]),
        (
            [{"AcquisitionTime": "101500"}, {"AcquisitionTime": "101530"}],
            ["6-Test-acquisition-time-101500", "6-Test-acquisition-time-101530"],
        ),
    ],
)
def test_volumes_in_one_series_are_told_apart(tmp_path, parts, names):
    volumes = write_parts(tmp_path, parts)
    read = Read(tmp_path)
    assert len(read.told) == 1 and "holds 2 DICOM series or parts of one" in read.told[0]
    found, _ = find_volumes(tmp_path)
    assert [volume.place.name for volume in found] == names
    for name, volume in zip(names, volumes, strict=True):
        assert np.array_equal(Read(tmp_path, name).values, volume), name
    assert np.array_equal(read.values, volumes[0])


def test_phases_whose_times_differ_from_place_to_place_go_by_their_order(tmp_path):
    volumes = [phantom.mr_slices(4, seed=place + 1) for place in range(3)]
    for index in range(4):
        for phase in range(3):
            number = index * 3 + phase + 1
            one = phantom.mr_image(volumes[phase][index], (-9.0, -7.0, 4.0 * index), number,
                                   TriggerTime=30.0 * phase + index)  # fmt: skip
            phantom.store(tmp_path / f"{number:03d}.dcm", one)
    for phase in range(3):
        assert np.array_equal(Read(tmp_path, f"6-Test-trigger-time-{phase + 1}").values, volumes[phase])


def test_volumes_numbered_one_after_another_are_told_apart(tmp_path):
    volumes = write_parts(tmp_path, [{}, {}], interleaved=False)
    assert np.array_equal(Read(tmp_path, "6-Test-volume-2").values, volumes[1])


def test_volumes_that_nothing_tells_apart_are_refused(tmp_path):
    write_parts(tmp_path, [{}, {}])
    assert "holds 8 images at 4 places" in refusal(tmp_path)


def test_two_stacks_between_each_other_go_by_acquisition(tmp_path):
    volumes = [phantom.ct_slices(4, seed) for seed in (1, 2)]
    for acquisition, offset in ((1, 0.0), (2, 0.7)):
        for index in range(4):
            number = acquisition * 10 + index
            one = phantom.ct_image(volumes[acquisition - 1][index], (-9.0, -7.0, 2.5 * index + offset), number,
                                   AcquisitionNumber=acquisition)  # fmt: skip
            phantom.store(tmp_path / f"{number}.dcm", one)
    assert np.array_equal(Read(tmp_path, "6-Test-acquisition-2").values, volumes[1])


def test_slices_with_an_acquisition_number_each_are_one_volume(tmp_path):
    volume = phantom.ct_slices(6)
    for index, height in enumerate(HEIGHTS):
        one = phantom.ct_image(volume[index], (-9.0, -7.0, height), index + 1, AcquisitionNumber=index + 1)
        phantom.store(tmp_path / f"{index}.dcm", one)
    assert np.array_equal(Read(tmp_path).values, volume)


def test_a_name_that_no_series_has_is_refused(tmp_path):
    write_parts(tmp_path, [{"EchoNumbers": 1}, {"EchoNumbers": 2}])
    assert 'no volume called "9": let --series be one of 6-Test-echo-1, 6-Test-echo-2' in refusal(tmp_path, "9")
    assert 'more than one volume called "6"' in refusal(tmp_path, "6")


@pytest.mark.parametrize("missing", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_a_series_that_does_not_say_where_it_lies_is_refused(tmp_path, missing):
    phantom.write_ct(tmp_path, HEIGHTS, **{missing: None})
    assert f"({missing})" in refusal(tmp_path)


@pytest.mark.parametrize("mosaic", ["MOSAIC", "VFRAME"])
def test_mosaics_are_refused(tmp_path, mosaic):
    phantom.write_ct(tmp_path, HEIGHTS, ImageType=["ORIGINAL", "PRIMARY", "M", mosaic])
    assert "is a mosaic of many slices" in refusal(tmp_path)


def test_a_file_cut_short_is_refused(tmp_path):
    phantom.write_ct(tmp_path, HEIGHTS)
    whole = (tmp_path / "003.dcm").read_bytes()
    for length in (len(whole) - 1, len(whole) - 300, 900):
        (tmp_path / "003.dcm").write_bytes(whole[:length])
        assert '"003.dcm" is damaged' in refusal(tmp_path), length


def test_pet_beside_ct_is_left_out_although_it_is_larger(tmp_path):
    volume = phantom.write_ct(tmp_path / "ct", HEIGHTS)
    for index in range(9):
        one = phantom.ct_image(volume[0], (0, 0, index), index, modality="PT", series=7)
        phantom.store(tmp_path / "pt" / f"{index}.dcm", one)
    read = Read(tmp_path)
    assert np.array_equal(read.values, volume) and read.told == ["Left out: 7-Test is of modality PT."]


def test_a_series_spread_over_folders_links_and_names_without_suffix(tmp_path):
    volume = phantom.write_ct(tmp_path / "flat", HEIGHTS)
    for index, name in enumerate(("A", "B", "A", "B", "C", "C")):
        blob = tmp_path / "blobs" / f".{index}"  # hidden: only the links are files of the study
        blob.parent.mkdir(exist_ok=True)
        (tmp_path / "flat" / f"{index:03d}.dcm").rename(blob)
        (tmp_path / "study" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "study" / name / f"IMG{index}").symlink_to(blob)
    (tmp_path / "linked").symlink_to(tmp_path / "study")
    for path in (tmp_path / "study", tmp_path / "linked", tmp_path):
        assert np.array_equal(Read(path).values, volume), path
    volumes, _ = find_volumes(tmp_path / "study")
    assert [volume.name for volume in volumes] == ["study"]


def test_a_dicomdir_stands_for_its_folder_and_an_img_may_be_dicom(tmp_path):
    from pydicom.fileset import FileSet

    volume = phantom.write_ct(tmp_path / "source", HEIGHTS, StudyDate="20200101", StudyTime="101010", StudyID="1")
    files = FileSet()
    for path in sorted((tmp_path / "source").iterdir()):
        files.add(path)
    files.write(tmp_path / "disc")
    assert np.array_equal(Read(tmp_path / "disc" / "DICOMDIR").values, volume)
    for path in (tmp_path / "source").iterdir():
        path.rename(path.with_suffix(".img"))
    assert np.array_equal(Read(tmp_path / "source").values, volume)


def test_nothing_but_archives(tmp_path):
    (tmp_path / "scans.zip").write_bytes(b"PK\3\4")
    assert "zip archives: unpack them first" in refusal(tmp_path)


def test_reconstructions_of_another_thickness_are_told_apart(tmp_path):
    thin, thick = phantom.ct_slices(9, 1), phantom.ct_slices(5, 2)
    for index in range(9):
        one = phantom.ct_image(thin[index], (-9.0, -7.0, 1.25 * index), index + 1, SliceThickness=1.25)
        phantom.store(tmp_path / f"a{index}.dcm", one)
    for index in range(5):
        one = phantom.ct_image(thick[index], (-9.0, -7.0, 2.5 * index), index + 20, SliceThickness=5)
        phantom.store(tmp_path / f"b{index}.dcm", one)
    for name, volume in (("1.25", thin), ("5", thick)):
        (label,) = (one.label for one in find_series(tmp_path) if f"thickness-{name}" in one.label)
        assert np.array_equal(Read(tmp_path, label).values, volume)


def test_two_regions_of_the_body_are_two_volumes_and_no_gap(tmp_path):
    for acquisition, start in ((1, 0.0), (2, 400.0)):
        for index in range(4):
            one = phantom.ct_image(phantom.ct_slices()[index], (0, 0, start + 2.5 * index), 10 * acquisition + index,
                                   AcquisitionNumber=acquisition)  # fmt: skip
            phantom.store(tmp_path / f"{acquisition}-{index}.dcm", one)
    assert [one.label for one in find_series(tmp_path)] == ["6-Test-acquisition-1", "6-Test-acquisition-2"]
    assert Read(tmp_path, "6-Test-acquisition-2").image.GetOrigin() == (0.0, 0.0, 400.0)


def test_images_of_which_no_two_go_together_are_refused(tmp_path):
    for index, height in enumerate(HEIGHTS):
        one = phantom.ct_image(phantom.ct_slices()[index], (0, 0, height), index, FrameOfReferenceUID=f"1.2.{index}")
        phantom.store(tmp_path / f"{index}.dcm", one)
    assert "no two make a volume (they differ in frame of reference)" in refusal(tmp_path)


def test_a_part_that_cannot_be_sorted_takes_no_other_with_it(tmp_path):
    volume = phantom.write_ct(tmp_path, HEIGHTS)
    for index in range(2):
        changes = {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "SOPInstanceUID": f"{phantom.ROOT}.8.{index}"}
        scout = phantom.ct_image(volume[index], (-9.0, 0.0, 0.0), 0, InstanceNumber=None, **changes)
        phantom.store(tmp_path / f"scout{index}.dcm", scout)
    assert np.array_equal(Read(tmp_path).values, volume)
    assert "holds 2 images at 1 places" in refusal(tmp_path, "6-Test-coronal")


@pytest.mark.parametrize("content", [b"", b"not DICOM at all"])
def test_a_file_that_is_only_named_dicom_is_told(tmp_path, content):
    phantom.write_ct(tmp_path, HEIGHTS)
    (tmp_path / "999.dcm").write_bytes(content)
    assert 'Left out: "999.dcm" is no DICOM file, although it is named like one.' in Read(tmp_path).told


def test_b_values_and_directions_of_siemens(tmp_path):
    volumes = [phantom.mr_slices(4, seed) for seed in (1, 2, 3)]
    for index in range(4):
        for place, (b_value, direction) in enumerate((("0", ""), ("1000", "1\\0\\0"), ("1000", "0\\1\\0"))):
            number = 3 * index + place
            one = phantom.mr_image(volumes[place][index], (-9.0, -7.0, 4.0 * index), number)
            block = one.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            block.add_new(0x0C, "IS", b_value)
            if direction:
                block.add_new(0x0E, "FD", [float(part) for part in direction.split("\\")])
            phantom.store(tmp_path / f"{number}.dcm", one, pydicom.uid.ImplicitVRLittleEndian)
    for name, volume in zip(
        ("b-0", "b-1000-diffusion-direction-1.0-0.0-0.0", "b-1000-diffusion-direction-0.0-1.0-0.0"),
        volumes,
        strict=True,
    ):
        assert np.array_equal(Read(tmp_path, f"6-Test-{name}").values, volume)

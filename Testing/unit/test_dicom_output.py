"""Restored volumes as derived DICOM series, read back: voxels, geometry, patient, references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.dicom_input import find_series, read_series
from LRformerSlicerLib.restoration.dicom_output import check_source, write_derived_series
from LRformerSlicerLib.restoration.dicom_voxels import to_stored
from unit import dicom_phantom as phantom

pydicom = pytest.importorskip("pydicom")

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def read(files: tuple[Path, ...]) -> sitk.Image:
    """The volume in the files of one series."""
    return read_series(files).image


REPORT = {
    "task": "ct-denoise",
    "strength": 1.0,
    "model": {"name": "a model", "sha256": "ab" * 32},
    "prior": {"backbone": "lite-medsam", "sha256": "cd" * 32},
}


def write_source(
    folder: Path,
    image: sitk.Image,
    modality: str = "CT",
    stored_type: type = np.int16,
    slope: float = 1,
    intercept: float = 0,
    **changes: object,
) -> tuple[Path, ...]:
    """A series as a scanner writes it, stored as (value - intercept) / slope; its files in the order of the slices."""
    folder.mkdir()
    files = []
    array, direction = sitk.GetArrayFromImage(image), image.GetDirection()
    for index, pixels in enumerate(array):
        one = pydicom.Dataset()
        one.SOPClassUID = {"CT": CT, "MR": MR}[modality]
        one.SOPInstanceUID = f"1.2.826.0.1.3680043.2.1125.7.{index + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.826.0.1.3680043.2.1125.5", "1.2.826.0.1.3680043.2.1125.6"
        one.FrameOfReferenceUID = "1.2.826.0.1.3680043.2.1125.4"
        one.SpecificCharacterSet, one.PatientName, one.PatientID = "ISO_IR 192", "Müller^Jörg", "P-17"
        one.PatientBirthDate, one.PatientSex, one.StudyDate, one.StudyID = "19500101", "M", "20200304", "S1"
        one.Modality, one.SeriesNumber, one.SeriesDescription = modality, 3, "Thorax 1.0"
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.InstanceNumber, one.KVP, one.SliceThickness = index + 1, "120", image.GetSpacing()[2]
        place = image.TransformIndexToPhysicalPoint((0, 0, index))
        one.ImagePositionPatient = [f"{coordinate:.9g}" for coordinate in place]
        one.ImageOrientationPatient = [f"{direction[axis]:.9g}" for axis in (0, 3, 6, 1, 4, 7)]
        one.PixelSpacing = [f"{image.GetSpacing()[1]:.9g}", f"{image.GetSpacing()[0]:.9g}"]
        one.WindowCenter, one.WindowWidth, one.RescaleSlope, one.RescaleIntercept = 40, 400, slope, intercept
        limits = np.iinfo(stored_type)
        stored = np.rint((pixels - intercept) / slope).clip(limits.min, limits.max).astype(stored_type)
        one.Rows, one.Columns = stored.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.PixelRepresentation = int(np.issubdtype(stored_type, np.signedinteger))
        one.add_new(0x00280120, "SS" if one.PixelRepresentation else "US", 0)
        one.PixelData = stored.tobytes()
        one.private_block(0x0009, "A SCANNER", create=True).add_new(1, "LO", "what only the scanner knows")
        one.add_new(0x60003000, "OW", b"\0\0")
        for name, value in changes.items():
            setattr(one, name, value)
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        # Backwards, so that names do not give the order of the slices.
        files.append(folder / f"{len(array) - index:03d}.dcm")
        one.save_as(files[-1], enforce_file_format=True)
    return tuple(files)


def derive(tmp_path: Path, files: tuple[Path, ...], restored: sitk.Image, name: str = "derived") -> list:
    """Write the series; its headers in the order of the slices."""
    folder = tmp_path / name
    folder.mkdir()
    write_derived_series(folder, restored, files, REPORT)
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def as_type(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result


@pytest.mark.parametrize(
    ("modality", "stored_type", "slope", "intercept"),
    [
        ("CT", np.int16, 1, 0),
        ("CT", np.int16, 1, -1024),
        ("CT", np.uint16, 1, -1024),
        ("CT", np.uint16, 2, -8192),
        ("MR", np.uint16, 1, 0),
        ("MR", np.int16, 1, 0),
        ("MR", np.uint16, 0.25, 0),
        ("MR", np.uint16, 0.123457, -3.5),
    ],
)
def test_voxels_and_geometry_come_back(tmp_path, ct_image, mr_image, modality, stored_type, slope, intercept):
    files = write_source(
        tmp_path / "source", {"CT": ct_image, "MR": mr_image}[modality], modality, stored_type, slope, intercept
    )
    source = read(files)
    # As a restoration leaves it: the source's type and range, other values; a pattern that no flip survives.
    array = sitk.GetArrayFromImage(source)
    change = np.arange(array.size).reshape(array.shape) % 7 - 3
    array = np.maximum(array + change, array.min()).astype(array.dtype)
    restored = as_type(source, array)
    headers = derive(tmp_path, files, restored)
    back = read(find_series(tmp_path / "derived")[0].files)
    half_a_step = float(headers[0].get("RescaleSlope", 1)) / 2 if array.dtype.kind == "f" else 0
    assert np.abs(sitk.GetArrayFromImage(back).astype(float) - array).max() <= half_a_step * 1.001
    assert back.GetSize() == source.GetSize()
    for method in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(back, method)() == getattr(source, method)(), method
    assert all("PixelPaddingRangeLimit" not in header for header in headers)


def test_a_mr_volume_of_whole_numbers_needs_no_rescale(tmp_path, mr_image):
    files = write_source(tmp_path / "source", mr_image, "MR")
    header = derive(tmp_path, files, read(files))[0]
    assert "RescaleSlope" not in header and header.PixelRepresentation == 1


def test_it_says_what_it_is_derived_from_and_by_what(tmp_path, ct_image):
    files = write_source(tmp_path / "source", ct_image, "CT", np.uint16, 1, -1024)
    headers = derive(tmp_path, files, read(files))
    sources = [pydicom.dcmread(file) for file in files]
    assert len(headers) == len(sources) == ct_image.GetSize()[2]
    for header, source in zip(headers, sources, strict=True):
        for keyword in (
            "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyID",
            "FrameOfReferenceUID", "SOPClassUID", "KVP", "ImagePositionPatient", "ImageOrientationPatient",
            "PixelSpacing", "InstanceNumber", "WindowCenter", "WindowWidth", "SpecificCharacterSet",
        ):  # fmt: skip
            assert header[keyword].value == source[keyword].value, keyword
        assert header.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        assert header.SeriesDescription == "Thorax 1.0 LRformer ct-denoise" and header.SeriesNumber == 1003
        assert "a model SHA256 " + "ab" * 32 in header.DerivationDescription
        assert "lite-medsam SHA256 " + "cd" * 32 in header.DerivationDescription
        reference = header.SourceImageSequence[0]
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == CT
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert header.ContributingEquipmentSequence[0].ManufacturerModelName == "LRformerSlicer"
        assert header.PixelPaddingValue == -1024  # 0 stored, as HU
        assert not [element for element in header if element.tag.is_private or element.tag.group == 0x6000]
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
        assert header.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    uids = {header.SOPInstanceUID for header in headers}
    assert len(uids) == len(headers) and not uids & {source.SOPInstanceUID for source in sources}
    assert len({header.SeriesInstanceUID for header in headers}) == 1
    assert headers[0].SeriesInstanceUID != sources[0].SeriesInstanceUID
    assert all(pydicom.uid.UID(uid).is_valid for uid in (*uids, headers[0].SeriesInstanceUID))


def test_the_same_voxels_have_the_same_uids_and_others_have_others(tmp_path, ct_image, file_hash):
    files = write_source(tmp_path / "source", ct_image)
    source = read(files)
    other = sitk.GetArrayFromImage(source)
    other[0, 0, 0] += 1
    first, second, third = (
        derive(tmp_path, files, image, name)
        for name, image in (("a", source), ("b", source), ("c", as_type(source, other)))
    )
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b")
    assert not {one.SOPInstanceUID for one in first} & {one.SOPInstanceUID for one in third}
    assert first[0].SeriesInstanceUID == second[0].SeriesInstanceUID != third[0].SeriesInstanceUID


def test_finer_pixels_cover_the_same_extent(tmp_path, mr_image):
    from LRformerSlicerLib.restoration.slicing import SlicePlane
    from LRformerSlicerLib.restoration.super_resolution import place_on_grid

    files = write_source(tmp_path / "source", mr_image, "MR")
    source = read(files)
    fine = sitk.GetImageFromArray(sitk.GetArrayFromImage(source).repeat(2, 1).repeat(2, 2))
    place_on_grid(fine, source, SlicePlane.of(source), 2)
    header = derive(tmp_path, files, fine)[0]
    assert (header.Rows, header.Columns) == (144, 128)
    back = read(find_series(tmp_path / "derived")[0].files)
    assert back.GetSize() == fine.GetSize()
    assert np.allclose(back.GetSpacing(), fine.GetSpacing()) and np.allclose(back.GetOrigin(), fine.GetOrigin())
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(fine))


def test_what_no_series_can_be_derived_from_is_refused(tmp_path, ct_image):
    files = write_source(tmp_path / "source", ct_image)
    for changes in ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1"}, {"NumberOfFrames": 2}):
        header = pydicom.dcmread(files[0])
        for name, value in changes.items():
            setattr(header, name, value)
        header.save_as(tmp_path / "other.dcm")
        with pytest.raises(UserError, match="no single-frame CT or MR image"):
            write_derived_series(tmp_path, read(files), (tmp_path / "other.dcm",), REPORT)


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(np.float64, (3, 4), elements=st.floats(-1e9, 1e9) | st.just(np.nan) | st.integers(-40000, 70000)),
    st.sampled_from([np.int16, np.uint16, np.int32, np.float32, np.float64]),
)
def test_any_finite_values_come_back_within_half_a_step(numbers, voxel_type):
    if np.issubdtype(voxel_type, np.integer):
        limits = np.iinfo(voxel_type)
        numbers = np.nan_to_num(numbers).clip(limits.min, limits.max)
    values = numbers.astype(voxel_type)
    if not np.isfinite(values).all():
        with pytest.raises(UserError, match="not numbers"):
            to_stored(values)
        return
    stored = to_stored(values)
    assert len(stored.slope) <= 16 and len(stored.intercept) <= 16
    back = stored.stored.astype(np.float64) * float(stored.slope) + float(stored.intercept)
    if stored.is_exact:
        assert np.array_equal(back, values)
    else:
        assert np.abs(back - values).max() <= float(stored.slope) * 0.5001
    if values.dtype.itemsize == 2:
        assert stored.is_exact


def test_a_folder_of_dicom_series_from_the_command_line(lrformer, tmp_path, ct_image, mr_image, checkpoints):
    study = tmp_path / "study"
    study.mkdir()
    write_source(study / "thorax", ct_image, "CT", np.uint16, 1, -1024)
    write_source(study / "scout", ct_image[:, :, :1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    out = tmp_path / "out"
    code, printed, complaint = lrformer(
        "restore", study, out, "--model", checkpoints["ct-denoise"], "--prior", "none", "--device", "cpu"
    )
    assert code == 0, printed + complaint
    assert "Left out: scout: 3-Thorax-1.0 is a localizer." in printed
    assert sorted(path.name for path in out.iterdir()) == ["lrformer-folder.json", "thorax"]
    series = find_series(out / "thorax")[0]
    assert series.files[0].name == "restored-0001.dcm"
    back = read(series.files)
    code, _, _ = lrformer("restore", study / "thorax", tmp_path / "alone.nrrd", "--model", checkpoints["ct-denoise"],
                          "--prior", "none", "--device", "cpu")  # fmt: skip
    alone = sitk.ReadImage(str(tmp_path / "alone.nrrd"))
    assert code == 0 and np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(alone))
    assert np.allclose(back.GetOrigin(), alone.GetOrigin()) and np.allclose(back.GetDirection(), alone.GetDirection())


class TestSources:
    """What no series is derived from is told before the work; all others keep what they must say."""

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"SOPInstanceUID": None}, "has no SOPInstanceUID"),
            ({"StudyInstanceUID": None}, "has no StudyInstanceUID"),
            ({"SeriesInstanceUID": None}, "has no SeriesInstanceUID"),
            ({"SeriesNumber": "three"}, "has a SeriesNumber that is no number"),
            ({"SeriesNumber": str(2**31 - 1)}, "has a SeriesNumber that is no number"),
        ],
    )
    def test_refused_in_a_sentence(self, tmp_path, changes, sentence):
        one = phantom.ct_image(phantom.ct_slices()[0], (0, 0, 0), 1)
        with pydicom.config.disable_value_validation():
            for keyword, value in changes.items():
                if value is None:
                    delattr(one, keyword)
                else:
                    one.add_new(keyword, "LO", value)
            file = phantom.store(tmp_path / "x.dcm", one)
        with pytest.raises(UserError, match=sentence):
            check_source((file,))

    def test_odd_texts_of_the_source_stay_as_they_are(self, tmp_path, recwarn):
        one = phantom.ct_image(phantom.ct_slices()[0], (0, 0, 0), 1)
        with pydicom.config.disable_value_validation():
            one.SpecificCharacterSet = "ISO_IR 999"
            one.PatientName, one.SeriesDescription = "A" * 100, "long " * 40
            one.add_new("PatientComments", "LT", b"M\xfcller")
            file = phantom.store(tmp_path / "x.dcm", one)
        recwarn.clear()
        check_source((file,))
        (tmp_path / "out").mkdir()
        report = {**REPORT, "model": {"name": "Ü\\" * 2000, "sha256": "ab" * 32}}
        write_derived_series(tmp_path / "out", read((file,)), (file,), report)
        assert [str(one.message) for one in recwarn] == []
        derived = (tmp_path / "out" / "restored-0001.dcm").read_bytes()
        assert b"M\xfcller" in derived and b"A" * 100 in derived
        with pydicom.config.disable_value_validation():
            header = pydicom.dcmread(tmp_path / "out" / "restored-0001.dcm")
        assert len(header.DerivationDescription) == 1024
        assert header.DerivationDescription.endswith("Research use, not for diagnosis.")
        assert "SHA256 " + "ab" * 32 in header.DerivationDescription
        assert header.SeriesDescription.endswith("LRformer ct-denoise") and len(header.SeriesDescription) <= 64

    def test_a_tilted_series_with_a_gap_keeps_each_place(self, tmp_path, lrformer, checkpoints):
        heights = [0.0, 2.5, 5.0, 7.5, 12.5, 15.0, 17.5, 20.0]
        tilt = [1, 0, 0, 0, 0.9848078, -0.1736482]
        volume = phantom.write_ct(tmp_path / "in", heights, ImageOrientationPatient=tilt)
        options = ("--model", checkpoints["ct-denoise"], "--prior", "none", "--device", "cpu")
        code, _, complaint = lrformer("restore", tmp_path / "in", tmp_path / "out.nii.gz", *options)
        assert code == 2 and "make no regular grid (1 slice is missing between" in complaint
        code, printed, _ = lrformer("restore", tmp_path / "in", tmp_path / "out", *options, "--roi", "0,1,0,1,0,1")
        assert code == 1 and "leave --roi out" in printed
        code, printed, complaint = lrformer("restore", tmp_path / "in", tmp_path / "out", *options)
        assert code == 0, printed + complaint
        assert "tilted by 10 degrees" in complaint
        written = sorted((tmp_path / "out").glob("restored-*.dcm"))
        assert len(written) == len(heights)
        for index, (source, path) in enumerate(zip(sorted((tmp_path / "in").iterdir()), written, strict=True)):
            one, before = pydicom.dcmread(path), pydicom.dcmread(source)
            assert one.ImagePositionPatient == before.ImagePositionPatient
            assert one.ImageOrientationPatient == before.ImageOrientationPatient
            assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
            values = one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)
            assert np.corrcoef(values.ravel(), volume[index].ravel())[0, 1] > 0.99

    def test_finer_pixels_of_a_tilted_series_lie_over_the_same_extent(self, tmp_path):
        heights = [0.0, 2.5, 5.0]
        phantom.write_ct(tmp_path / "in", heights, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], PixelSpacing=[1.5, 0.8])
        files = tuple(sorted((tmp_path / "in").iterdir()))
        fine = sitk.GetImageFromArray(np.zeros((3, 2 * phantom.ROWS, 2 * phantom.COLUMNS), np.int16))
        header = derive(tmp_path, files, fine)[1]
        assert header.PixelSpacing == [0.75, 0.4]
        # A quarter of the old pixel towards the corner: 0.2 mm along a row (P), 0.375 mm along a column (-S).
        assert np.allclose(header.ImagePositionPatient, [-9.0, -7.0 - 0.2, 2.5 + 0.375])


def test_volumes_of_one_enhanced_file_are_restored_each(tmp_path, lrformer, checkpoints):
    volume = phantom.mr_slices(2)
    both = np.concatenate([volume, volume[::-1]])
    changes = [{"MREchoSequence": {"EffectiveEchoTime": time}} for time in (5.0, 5.0, 90.0, 90.0)]
    one = phantom.enhanced_mr(both, [0.0, 4.0] * 2, [0, 1, 2, 3], frame_changes=changes)
    file = phantom.store(tmp_path / "in" / "enhanced.dcm", one)
    options = ("--model", checkpoints["mr-artifact"], "--prior", "none", "--device", "cpu", "--strength", "0")
    code, printed, _ = lrformer("restore", tmp_path / "in", tmp_path / "same", *options)
    assert code == 1 and "is no single-frame CT or MR image" in printed
    code, printed, complaint = lrformer("restore", file, tmp_path / "out", *options, "--format", "nii.gz")
    assert code == 0, printed + complaint
    for name, values in (("5", volume), ("90", volume[::-1])):
        path = tmp_path / "out" / "enhanced" / f"6-Test-effective-echo-time-{name}.nii.gz"
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), values)

"""lrformer check: what is told of a file or folder, and that nothing is restored or written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
import SimpleITK as sitk

from unit import dicom_phantom as phantom

HEIGHTS = [0.0, 2.5, 5.0, 7.5, 10.0, 12.5]


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_everything(tmp_path, lrformer, ct_image):
    phantom.write_ct(tmp_path / "ct", HEIGHTS)
    phantom.write_ct(tmp_path / "scout", [0.0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], series=9)
    phantom.write_ct(tmp_path / "gap", [0.0, 2.5, 5.0, 7.5, 10.0, 15.0], series=7)
    phantom.write_ct(tmp_path / "pet", [0.0], modality="PT", series=8)
    phantom.write_ct(tmp_path / "nowhere", HEIGHTS, ImagePositionPatient=None, series=10)
    enhanced = phantom.enhanced_mr(phantom.mr_slices(), HEIGHTS, list(range(6)), series=11)
    phantom.store(tmp_path / "enhanced" / "mr.dcm", enhanced)
    sitk.WriteImage(ct_image, str(tmp_path / "scan.nii.gz"))
    (tmp_path / "more.zip").write_bytes(b"PK")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "ct" / "001.dcm").read_bytes()[:150])
    before = bytes_in(tmp_path)
    code, printed, complaint = lrformer("check", tmp_path)
    assert code == 0 and bytes_in(tmp_path) == before
    for line in (
        "scan.nii.gz: CT, 80 x 72 x 4 voxels of 0.8 x 0.8 x 2.5 mm; task ct-denoise, slices along k (",
        "Left out: scout: 9-Test is a localizer.",
        "gap: CT, 24 x 20 x 6 voxels of 0.8 x 0.8 x 2.5 mm, 7-Test, 6 files; task ct-denoise, slices along k (the "
        "modality is stated as CT), into a folder with --format dicom only.",
        "Left out: pet: 8-Test is of modality PT.",
        'Refused: nowhere: "000.dcm" does not say where it lies (ImagePositionPatient): export the series again.',
        "enhanced: MR, 24 x 20 x 6 voxels of 0.9 x 0.9 x 2.5 mm",
        "into files only: no DICOM series can be derived from it.",
        "Left out: more.zip is an archive: unpack it first.",
        f'Left out: {tmp_path.name}: "cut.dcm" ',
        "4 of 5 volumes can be restored.",
    ):
        assert line in printed, (line, printed)
    assert 'gap: Of 7-Test, 1 slice is missing between "004.dcm" and "005.dcm"' in complaint


def test_nothing_that_can_be_restored(tmp_path, lrformer):
    phantom.write_ct(tmp_path / "pet", HEIGHTS, modality="PT")
    code, printed, _ = lrformer("check", tmp_path)
    assert code == 2 and "Left out: pet: 6-Test is of modality PT." in printed
    assert "0 of 0 volumes can be restored." in printed
    code, _, complaint = lrformer("check", tmp_path / "none")
    assert code == 2 and "There is no file" in complaint


def test_one_series_of_several_as_events(tmp_path, lrformer):
    phantom.write_ct(tmp_path / "a", HEIGHTS)
    phantom.write_ct(tmp_path / "b", HEIGHTS, series=7)
    code, printed, _ = lrformer("check", tmp_path, "--series", "7", "--progress", "json")
    report = json.loads(printed.splitlines()[-1])["report"]
    assert code == 0 and list(report["volumes"]) == ["b"]
    code, _, complaint = lrformer("check", tmp_path, "--series", "8")
    assert code == 2 and 'No DICOM series is called "8"' in complaint and "a (6-Test), b (7-Test)" in complaint


def real_files() -> list[Path]:
    """The DICOM files that pydicom and pydicom-data carry, whatever they are."""
    import data_store

    folders = [Path(pydicom.data.__file__).parent / "test_files", Path(data_store.__file__).parent / "data"]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix == ".dcm")


def test_real_files_of_every_kind_end_in_a_sentence(tmp_path, lrformer):
    files = real_files()
    assert len(files) > 100
    codes = {}
    for file in files:
        code, printed, complaint = lrformer("check", file)
        assert "Traceback" not in printed + complaint and (printed + complaint).strip(), file
        codes[file.name] = code
    restored = {name for name, code in codes.items() if code == 0}
    assert {"CT_small.dcm", "MR_small_RLE.dcm", "693_J2KR.dcm", "eCT_Supplemental.dcm", "MR2_J2KI.dcm"} <= restored
    assert not restored & {"MR_truncated.dcm", "emri_small.dcm", "color-pl.dcm", "rtplan.dcm", "liver.dcm"}


@pytest.mark.parametrize(
    "damage",
    [
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"SamplesPerPixel": 0},
        {"Rows": 0},
        {"Rows": 65535},
        {"BitsAllocated": 12},
        {"HighBit": 31},
        {"PixelSpacing": [0, 0]},
        {"PixelSpacing": "a\\b"},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImagePositionPatient": [0, 0, "nan"]},
        {"ImagePositionPatient": [0, 0]},
        {"RescaleSlope": 0},
        {"RescaleSlope": "much"},
        {"NumberOfFrames": 3},
        {"NumberOfFrames": "-1"},
    ],
)
def test_one_bad_file_beside_good_ones(tmp_path, lrformer, damage):
    phantom.write_ct(tmp_path / "good", HEIGHTS)
    one = phantom.ct_image(phantom.ct_slices()[0], (0, 0, 0), 1, series=7)
    with pydicom.config.disable_value_validation():
        for keyword, value in damage.items():
            kind = "LO" if isinstance(value, str) else one[keyword].VR if keyword in one else "IS"
            one.add_new(keyword, kind, value)  # text of a kind that this element never has
        phantom.store(tmp_path / "bad" / "x.dcm", one)
    code, printed, complaint = lrformer("check", tmp_path)
    assert code == 0 and "Traceback" not in printed + complaint
    assert "good: CT" in printed and "1 of " in printed
    assert "Refused: bad: " in printed or "Left out: bad: " in printed
    code, printed, complaint = lrformer("check", tmp_path / "bad" / "x.dcm")
    assert code == 2 and np.char.count(printed, "\n") == 2, printed

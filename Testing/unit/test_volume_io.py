"""Files: read what SimpleITK reads, write all or nothing."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.volume_io import (
    OutputFiles,
    check_outputs,
    read_volume,
    small_like,
    write_all,
    write_volume,
)


@pytest.mark.parametrize(
    "name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.mhd", "a.nhdr", "Ärzte Übung/ß b c.nii.gz"]
)
def test_written_volumes_come_back_with_their_geometry(tmp_path, ct_image, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write_volume(ct_image, path)
    back = read_volume(path)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(ct_image))
    assert back.GetPixelID() == ct_image.GetPixelID()
    assert np.allclose(back.GetDirection(), ct_image.GetDirection(), atol=1e-6)
    assert np.allclose(back.GetOrigin(), ct_image.GetOrigin(), atol=1e-4)
    assert not [one for one in path.parent.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img", "a.nrrd", "a.mha"])
@pytest.mark.parametrize("pixel_type", [np.float32, np.float64])
def test_non_finite_voxels_are_read_as_what_they_are(tmp_path, ct_image, name, pixel_type):
    values = sitk.GetArrayFromImage(ct_image).astype(pixel_type)
    values[0, 3, 5], values[2, 70, 79], values[3, 71, 79] = np.nan, np.inf, -np.inf
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(ct_image)
    sitk.WriteImage(image, str(tmp_path / name))
    back = read_volume(tmp_path / name)
    assert np.array_equal(sitk.GetArrayFromImage(back), values, equal_nan=True)
    assert np.allclose(back.GetOrigin(), image.GetOrigin(), atol=1e-4)


def write_dicom_series(image: sitk.Image, folder: Path, modality: str, series: int = 1) -> None:
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = image.GetDirection()
    for index in range(image.GetSize()[2]):
        one = image[:, :, index]
        one = sitk.JoinSeries(one)
        place = image.TransformIndexToPhysicalPoint((0, 0, index))
        for key, value in {
            "0008|0060": modality,
            "0020|000d": "1.2.826.0.1.3680043.2.1125.1",
            "0020|000e": f"1.2.826.0.1.3680043.2.1125.1.{series}",
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.1.{series}.{index + 1}",
            "0020|0032": "\\".join(f"{x:.6f}" for x in place),
            "0020|0037": "\\".join(f"{direction[i]:.9f}" for i in (0, 3, 6, 1, 4, 7)),
            "0020|0013": str(index + 1),
            "0028|1052": "0",
            "0028|1053": "1",
        }.items():
            one.SetMetaData(key, value)
        one.SetSpacing(image.GetSpacing())
        writer.SetFileName(str(folder / f"{image.GetSize()[2] - index:03d}.dcm"))
        writer.Execute(one)


def test_dicom_folder_with_its_modality(tmp_path, ct_image):
    write_dicom_series(ct_image, tmp_path / "series", "CT")
    image = read_volume(tmp_path / "series")
    assert image.GetSize() == ct_image.GetSize()
    assert image.GetMetaData("0008|0060") == "CT"
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(ct_image))
    assert np.allclose(image.GetDirection(), ct_image.GetDirection(), atol=1e-5)


def test_the_larger_of_two_dicom_series_is_taken_and_named(tmp_path, ct_image):
    write_dicom_series(ct_image, tmp_path / "series", "CT")
    write_dicom_series(ct_image[:, :, :2], tmp_path / "scout", "CT", series=2)
    for file in (tmp_path / "scout").iterdir():
        file.rename(tmp_path / "series" / f"scout-{file.name}")
    warnings = []
    assert read_volume(tmp_path / "series", warnings.append).GetSize() == ct_image.GetSize()
    assert len(warnings) == 1 and "holds 2 DICOM series" in warnings[0]
    assert f"{ct_image.GetSize()[2]} files" in warnings[0] and "scout" not in warnings[0]


def test_folder_without_dicom_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no DICOM series"):
        read_volume(tmp_path)


def test_nothing_appears_before_commit_and_nothing_stays_after_an_error(tmp_path, ct_image):
    path = tmp_path / "out.nii.gz"
    path.write_text("what was there before")
    with pytest.raises(ZeroDivisionError), OutputFiles() as outputs:
        outputs.add_image(ct_image, path)
        outputs.add_text("{}", tmp_path / "report.json")
        assert path.read_text() == "what was there before" and not (tmp_path / "report.json").exists()
        raise ZeroDivisionError
    assert [one.name for one in tmp_path.iterdir()] == ["out.nii.gz"]
    assert path.read_text() == "what was there before"


def test_all_or_none(tmp_path, ct_image):
    with pytest.raises(UserError, match="no folder"):
        write_all({tmp_path / "a.nrrd": ct_image, tmp_path / "missing" / "b.nrrd": ct_image})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "out.nrrd", "out.mha", "out.mhd", "out.hdr"])
def test_full_disk_leaves_no_partial_file(tmp_path, name):
    """A file size limit in a child process: writes fail part-way just as on a full disk."""
    script = f"""
import resource, sys, numpy as np, SimpleITK as sitk
from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.volume_io import write_volume
image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 30000, (16, 256, 256)).astype(np.int16))
resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))
try:
    write_volume(image, {str(tmp_path / name)!r})
except UserError as error:
    print(error)
    sys.exit(2)
"""
    signal_ignored = signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    assert signal_ignored, "Python ignores SIGXFSZ, and so does its child"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 2, done.stderr
    assert "is full" in done.stdout and done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz", "out.nrrd", "out.mha"])
def test_really_full_disk(tmp_path, ct_image, name):
    small = tmp_path / "small"
    small.mkdir()
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True
        ).returncode
    ):
        pytest.skip("this user may not mount a small disk")
    try:
        big = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 30000, (8, 128, 128)).astype(np.int16))
        with pytest.raises(UserError, match="is full"):
            write_volume(big, small / name)
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_free_space_is_looked_at_before_the_work(tmp_path, ct_image):
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(UserError, match="is full"):
        check_outputs([], [(tmp_path / "out.nrrd", small_like(ct_image))], [], image_bytes=2 * free)


@pytest.mark.parametrize(
    ("name", "pixel_type"), [("out.png", sitk.sitkUInt8), ("out.dcm", sitk.sitkFloat32), ("out.xyz", sitk.sitkInt16)]
)
def test_formats_that_lose_something_are_refused(tmp_path, name, pixel_type):
    image = sitk.Image([8, 8, 8], pixel_type)
    with pytest.raises(UserError, match=f'file type of "{name}" cannot hold a 3-D image'):
        check_outputs([], [(tmp_path / name, small_like(image))], [])
    assert not list(tmp_path.iterdir())

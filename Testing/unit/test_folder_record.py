"""Which volumes a folder holds, where their results go, and when one counts as finished."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.folder import check_outputs_differ, find_volumes
from LRformerSlicerLib.restoration.folder_record import FolderRecord, source_state

OPTIONS = {"task": "auto", "strength": 1.0, "roi_lps_mm": None}


@pytest.fixture
def scan(tmp_path) -> Path:
    path = tmp_path / "scan.nrrd"
    path.write_bytes(b"a scan")
    return path


@pytest.fixture
def out(tmp_path, scan) -> Path:
    """A folder where `scan` was restored."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "scan.nrrd").write_bytes(b"restored")
    entry = {
        "outcome": "restored",
        "files": {"scan.nrrd": 8},
        "source": source_state((scan,)),
        "options": OPTIONS,
    }
    FolderRecord(folder).note("scan.nrrd", entry)
    return folder


def is_finished(out: Path, scan: Path, options: dict = OPTIONS) -> bool:
    return FolderRecord(out).is_finished("scan.nrrd", source_state((scan,)), options)


def test_what_was_restored_with_the_same_options_is_finished(out, scan):
    assert is_finished(out, scan)


def test_other_options_are_another_restoration(out, scan):
    assert not is_finished(out, scan, {**OPTIONS, "strength": 0.5})


def test_a_changed_input_is_another_volume(out, scan):
    scan.write_bytes(b"b scan")
    os.utime(scan, ns=(1, 1))
    assert not is_finished(out, scan)


def test_changed_voxels_behind_an_unchanged_header_are_another_volume(tmp_path, ct_image):
    sitk.WriteImage(ct_image, str(tmp_path / "scan.mhd"))
    before = source_state((tmp_path / "scan.mhd",))
    assert before["files"] == 2 and source_state((tmp_path / "scan.mhd",)) == before
    os.utime(tmp_path / "scan.raw", ns=(1, 1))
    assert source_state((tmp_path / "scan.mhd",)) != before


@pytest.mark.parametrize("content", [b"rest", b"", None])
def test_a_result_that_is_cut_or_gone_is_not_finished(out, scan, content):
    result = out / "scan.nrrd"
    result.unlink() if content is None else result.write_bytes(content)
    assert not is_finished(out, scan)


def test_a_result_without_an_entry_is_not_finished(out, scan):
    (out / "lrformer-folder.json").unlink()
    assert not is_finished(out, scan)


def test_a_failed_volume_is_not_finished(out, scan):
    record = FolderRecord(out)
    record.note("scan.nrrd", {**record.entries["scan.nrrd"], "outcome": "failed"})
    assert not is_finished(out, scan)


@pytest.mark.parametrize(
    "text", ["", "{", '{"layout": 1}', '{"layout": 9, "volumes": {}}', "[]", '{"layout":1,"volumes":[]}']
)
def test_a_damaged_record_is_said_and_counts_for_nothing(out, scan, text):
    (out / "lrformer-folder.json").write_text(text)
    assert FolderRecord(out).was_damaged and not is_finished(out, scan)


@pytest.mark.parametrize(
    "change",
    [
        {"files": ["scan.nrrd"]},
        {"files": {"scan.nrrd": "8"}},
        {"files": {"../scan.nrrd": 6}},
        {"files": {"/etc/passwd": 6}},
        {"files": {"C:/scan.nrrd": 6}},
        {"seconds": "long"},
        {"seconds": float("nan")},
        {"warnings": "none"},
        {"warnings": [5]},
        {"model_file": 5},
        {"task": None},
        {"sentence": ["failed"]},
        {"outcome": "finished"},
        {"outcome": ["restored"]},
    ],
)
def test_an_entry_of_other_types_counts_for_nothing_and_the_others_stay(out, scan, change):
    path = out / "lrformer-folder.json"
    content = json.loads(path.read_text())
    content["volumes"]["other.nrrd"] = {**content["volumes"]["scan.nrrd"], **change}
    path.write_text(json.dumps(content))
    record = FolderRecord(out)
    assert record.was_damaged and list(record.entries) == ["scan.nrrd"] and is_finished(out, scan)
    assert record.written == {"scan.nrrd"}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"layout": 1, "volumes": {}, "written": {}}', "\ud800", "1e999"])
def test_a_hostile_record_is_damaged(out, text):
    (out / "lrformer-folder.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert FolderRecord(out).was_damaged


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names on Windows")
def test_a_record_that_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "lrformer-folder.json")
    with pytest.raises(UserError, match="is not a file"):
        FolderRecord(tmp_path)


def test_only_what_was_written_or_begun_is_ours(out):
    (out / "foreign.nrrd").write_bytes(b"somebody's")
    record = FolderRecord(out)
    assert record.is_ours(out / "scan.nrrd") and record.is_ours(out / "new.nrrd")
    assert not record.is_ours(out / "foreign.nrrd")
    record.begin([out / "begun.nrrd", out / "never.nrrd"])
    (out / "begun.nrrd").write_bytes(b"ours, although the run was killed")
    again = FolderRecord(out)
    assert again.is_ours(out / "begun.nrrd") and again.written == {"begun.nrrd", "scan.nrrd"}


def test_the_volumes_of_a_folder(tmp_path):
    folder = tmp_path / "scans"
    for name in (
        "b.nrrd", "A.NII.GZ", "sub/c.mhd", "sub/c.raw", "sub/d.hdr", "sub/d.img", ".hidden.nrrd", ".cache/e.nrrd",
        "out/f.nrrd", "readme.txt", "no extension", ".nii",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    volumes, left_out = find_volumes(folder, without=folder / "out")
    assert [volume.name for volume in volumes] == ["A.NII.GZ", "b.nrrd", "sub/c.mhd", "sub/d.hdr"] and left_out == []
    out = tmp_path / "out"
    assert [volume.output(out, "same") for volume in volumes] == [out / volume.name for volume in volumes]
    assert volumes[0].output(out, "nrrd") == out / "A.nrrd"
    check_outputs_differ(volumes, out, "nrrd")
    (folder / "B.nii").write_bytes(b"")
    with pytest.raises(UserError, match="would both be written"):
        check_outputs_differ(find_volumes(folder, without=out)[0], out, "mha")

"""What a run writes: never over what it reads or what is not its own, regular files only, together or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.output_files import OutputFiles, make_temporary_folder, remove_temporary_folders
from LRformerSlicerLib.restoration.output_plan import OutputPlan, check_outputs, small_like, written_with
from LRformerSlicerLib.restoration.volume_io import write_volume

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
needs_pipes = pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names on Windows")


@pytest.fixture
def refused(lrformer, tmp_path, file_hash, checkpoints):
    """`lrformer restore` with these words ends with this sentence, and every file is as it was."""

    def check(sentence: str, *words: object) -> None:
        before = {path: file_hash(path) for path in tmp_path.rglob("*") if path.is_file()}
        options = ["--model", checkpoints["ct-denoise"], "--prior", "none", "--device", "cpu"]
        code, printed, complaint = lrformer("restore", *options, *words)
        assert code == 2 and sentence in complaint, (code, printed, complaint)
        assert complaint.count("\n") == 1 and complaint.endswith(".\n")
        assert {path: file_hash(path) for path in tmp_path.rglob("*") if path.is_file()} == before

    return check


def save(image: sitk.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


class TestOneVolume:
    """A single restoration."""

    def test_a_companion_of_the_output_is_the_voxels_of_the_input(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "a.nhdr")
        refused("is also an input", tmp_path / "a.nhdr", tmp_path / "a.mhd")

    def test_a_companion_belongs_to_another_image(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in.nrrd")
        save(ct_image, tmp_path / "a.nhdr")
        refused("would replace a file", tmp_path / "in.nrrd", tmp_path / "a.mhd")

    def test_an_own_companion_is_replaced(self, lrformer, tmp_path, ct_image, checkpoints):
        save(ct_image, tmp_path / "in.nrrd")
        for _ in range(2):
            code, _, complaint = lrformer("restore", tmp_path / "in.nrrd", tmp_path / "a.mhd", "--model",
                                          checkpoints["ct-denoise"], "--prior", "none")  # fmt: skip
            assert code == 0, complaint
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mhd", "a.raw", "in.nrrd"]

    def test_two_outputs_share_a_companion(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in.nrrd")
        refused("is also another output", tmp_path / "in.nrrd", tmp_path / "a.mhd", "--difference-out",
                tmp_path / "a.nhdr")  # fmt: skip
        refused("is also another output", tmp_path / "in.nrrd", tmp_path / "a.nrrd", "--report", tmp_path / "A.NRRD")

    def test_a_file_of_the_input_folder(self, refused, tmp_path, ct_image):
        """Also one that is no part of the series that is restored."""
        from unit.test_volume_io import write_dicom_series

        write_dicom_series(ct_image, tmp_path / "series", "CT")
        (tmp_path / "series" / "plan.nrrd").write_bytes(b"a plan")
        refused("is also an input", tmp_path / "series", tmp_path / "series" / "plan.nrrd")

    def test_a_card_of_the_model(self, refused, tmp_path, ct_image, checkpoints):
        save(ct_image, tmp_path / "in.nrrd")
        model = tmp_path / "m.safetensors"
        shutil.copy(checkpoints["ct-denoise"], model)
        shutil.copy(checkpoints["ct-denoise"].with_suffix(".json"), model.with_suffix(".json"))
        refused("is also an input", tmp_path / "in.nrrd", tmp_path / "out.nrrd", "--model", model, "--report",
                model.with_suffix(".json"))  # fmt: skip

    @needs_pipes
    def test_devices_pipes_and_folders(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in.nrrd")
        os.mkfifo(tmp_path / "pipe.json")
        (tmp_path / "folder.json").mkdir()
        (tmp_path / "link.json").symlink_to("/dev/full")
        for name, words in (("pipe", "is a device or a pipe"), ("link", "is a device or a pipe"),
                            ("folder", "is a folder")):  # fmt: skip
            refused(words, tmp_path / "in.nrrd", tmp_path / "out.nrrd", "--report", tmp_path / f"{name}.json")
        refused("is a device or a pipe", tmp_path / "in.nrrd", tmp_path / "out.nrrd", "--report", "/dev/full")
        assert Path("/dev/full").is_char_device()

    def test_names_that_are_too_long(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in.nrrd")
        refused("too long", tmp_path / "in.nrrd", tmp_path / f"{'x' * 300}.nrrd")
        refused("too long", tmp_path / "in.nrrd", tmp_path / "o.nrrd", "--report", tmp_path / f"{'x' * 300}.json")
        refused("too long", tmp_path / f"{'x' * 300}.nrrd", tmp_path / "out.nrrd")


@needs_pipes
def test_a_folder_in_the_place_of_a_file_takes_the_others_back(tmp_path, ct_image):
    """Nothing tells `commit` of a folder or a device that came after the checks but a look at the very end."""
    (tmp_path / "old.nrrd").write_bytes(b"old")
    for make in (Path.mkdir, os.mkfifo):
        with pytest.raises(UserError, match="is a (folder|device)"), OutputFiles() as outputs:
            outputs.add_image(ct_image, tmp_path / "old.nrrd")
            outputs.add_image(ct_image, tmp_path / "new.nrrd")
            outputs.add_text("{}", tmp_path / "report.json")
            make(tmp_path / "report.json")
            outputs.commit()
        assert (tmp_path / "old.nrrd").read_bytes() == b"old" and not (tmp_path / "new.nrrd").exists()
        remove = Path.rmdir if (tmp_path / "report.json").is_dir() else Path.unlink
        remove(tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["old.nrrd"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_move_that_fails_takes_back_what_was_moved(tmp_path, ct_image, monkeypatch, has_links):
    (tmp_path / "old.nrrd").write_bytes(b"old")
    (tmp_path / "third.json").write_bytes(b"third")
    replace = os.replace

    def fail_at_last(source, target):
        if Path(target).name == "third.json" and Path(source).read_bytes() == b"{}":
            raise OSError(5, "Input/output error")
        replace(source, target)

    def refuse(*_, **__):
        raise OSError(1, "no hard links here")

    monkeypatch.setattr(os, "replace", fail_at_last)
    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match="cannot be written"), OutputFiles() as outputs:
        outputs.add_image(ct_image, tmp_path / "old.nrrd")
        outputs.add_folder(tmp_path / "series", lambda folder: (folder / "1.dcm").write_bytes(b"1"))
        outputs.add_text("{}", tmp_path / "third.json")
        outputs.commit()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.nrrd": b"old", "third.json": b"third"}


def test_everything_is_on_the_disk_before_it_gets_its_name(tmp_path, ct_image, monkeypatch):
    synced, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_ino) or fsync(number))

    def check_first(source, target):
        assert os.stat(source).st_ino in synced
        replace(source, target)

    monkeypatch.setattr(os, "replace", check_first)
    write_volume(ct_image, tmp_path / "a.mhd")
    assert os.stat(tmp_path).st_ino in synced


def test_temporary_folders_of_ours_go_and_those_of_others_stay(tmp_path):
    ours = make_temporary_folder(tmp_path / "a.nrrd")
    mine = tmp_path / ".lrformer-mine"
    mine.mkdir()
    (mine / "notes").write_text("keep")
    (tmp_path / ".lrformer-link").symlink_to(mine)
    remove_temporary_folders(tmp_path)
    assert not ours.exists() and (mine / "notes").exists() and (tmp_path / ".lrformer-link").is_symlink()


def test_a_series_of_fewer_files_removes_what_is_stale_in_its_folder_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (2, 1):
        with OutputFiles() as outputs:
            stale = [Path("series/1.dcm"), tmp_path / "series" / "2.dcm", tmp_path / "earlier.nrrd"]
            outputs.add_folder(
                tmp_path / "series",
                lambda folder, number=number: [(folder / f"{one + 1}.dcm").write_bytes(b"1") for one in range(number)],
                stale,
            )
            outputs.commit()
        (tmp_path / "earlier.nrrd").write_bytes(b"of another format")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1.dcm", "earlier.nrrd", "series"]


@pytest.mark.parametrize(
    ("name", "names"),
    [("a.mhd", {"a.mhd", "a.raw"}), ("a.nhdr", {"a.nhdr", "a.raw"}), ("a.hdr", {"a.hdr", "a.img"}),
     ("a.nrrd", {"a.nrrd"}), ("A.HDR", {"A.HDR", "A.IMG"}), ("a.img.gz", {"a.img.gz", "a.hdr.gz"}),
     ("A.MHD", {"A.MHD", "A.raw"})],
)  # fmt: skip
def test_the_files_that_an_image_will_be_are_known_before(tmp_path, ct_image, name, names):
    assert {path.name for path in written_with(tmp_path / name)} == names
    write_volume(ct_image, tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == names


def test_umlauts_written_in_two_ways_are_one_name(tmp_path):
    plan = OutputPlan()
    plan.write(tmp_path / "\u00e4.nrrd")
    with pytest.raises(UserError, match="is also another output"):
        plan.write(tmp_path / "a\u0308.NRRD")


def test_files_in_linked_folders_are_inputs_and_links_in_a_ring_end(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.dcm").write_bytes(b"a slice")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "ring").symlink_to(tmp_path / "in", target_is_directory=True)
    plan = OutputPlan()
    plan.read(tmp_path / "in")
    assert plan.is_read(tmp_path / "elsewhere" / "a.dcm")
    with pytest.raises(UserError, match="is also an input"):
        plan.write(tmp_path / "elsewhere" / "a.dcm")


def test_a_damaged_input_is_protected_by_its_name_at_least(tmp_path, ct_image):
    (tmp_path / "a.mhd").write_text("no header")
    with pytest.raises(UserError, match="is also an input"):
        check_outputs([tmp_path / "a.mhd"], [(tmp_path / "a.mhd", small_like(ct_image))], [])


def run(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "LRformerSlicerLib", "restore", *map(str, words), "--prior", "none"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=ENVIRONMENT, timeout=300, cwd=cwd)


class TestFolders:
    """A folder of results."""

    def test_results_onto_files_of_others(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in" / "a.nrrd")
        save(ct_image, tmp_path / "in" / "sub" / "a.nrrd")
        refused("was not written by lrformer", tmp_path / "in" / "sub", tmp_path / "in")

    def test_results_onto_inputs(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in" / "a.nhdr")
        (tmp_path / "out").symlink_to(tmp_path / "in", target_is_directory=True)
        refused("written over", tmp_path / "in", tmp_path / "in")
        refused("written over", tmp_path / "in", tmp_path / "out")
        os.link(tmp_path / "in" / "a.raw", tmp_path / "hard.raw")
        (tmp_path / "o").mkdir()
        os.link(tmp_path / "in" / "a.raw", tmp_path / "o" / "a.raw")
        refused("written over", tmp_path / "in", tmp_path / "o")

    def test_a_series_into_its_own_folder(self, refused, tmp_path, ct_image):
        from unit.test_dicom_output import write_source

        (tmp_path / "in").mkdir()
        write_source(tmp_path / "in" / "series", ct_image)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "series").symlink_to(tmp_path / "in" / "series", target_is_directory=True)
        refused("its source", tmp_path / "in", tmp_path / "in")
        refused("its source", tmp_path / "in" / "series", tmp_path / "in" / "series")
        refused("its source", tmp_path / "in" / "series", tmp_path / "out" / "series")
        refused("leads out of the output folder", tmp_path / "in", tmp_path / "out")

    def test_links_out_of_the_output_folder_are_not_followed(self, refused, tmp_path, ct_image):
        save(ct_image, tmp_path / "in" / "ward" / "a.nrrd")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "ward").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        refused("leads out of the output folder", tmp_path / "in", tmp_path / "out")

    def test_only_files_of_ours_are_stale(self, tmp_path, ct_image, checkpoints):
        """A series of fewer slices than before: the slice too many goes, a file of somebody else stays."""
        from unit.test_dicom_output import write_source

        (tmp_path / "in").mkdir()
        out, model = tmp_path / "out", checkpoints["ct-denoise"]
        write_source(tmp_path / "in" / "series", ct_image)
        first = run("in", "out", "--model", model, cwd=tmp_path)
        assert first.returncode == 0, first.stderr + first.stdout
        (out / "series" / "restored-0099.dcm").write_bytes(b"somebody's")
        shutil.rmtree(tmp_path / "in" / "series")
        write_source(tmp_path / "in" / "series", ct_image[:, :, :3])
        second = run("in", "out", "--model", model, cwd=tmp_path)
        assert second.returncode == 0, second.stderr + second.stdout
        assert sorted(path.name for path in (out / "series").iterdir()) == [
            "restored-0001.dcm", "restored-0002.dcm", "restored-0003.dcm", "restored-0099.dcm",
        ]  # fmt: skip
        assert (out / "series" / "restored-0099.dcm").read_bytes() == b"somebody's"

    def test_a_damaged_record_keeps_what_was_there(self, tmp_path, ct_image, checkpoints):
        save(ct_image[:, :, :1], tmp_path / "in" / "a.nrrd")
        out = tmp_path / "out"
        out.mkdir()
        (out / "a.nrrd").write_bytes(b"somebody's, or ours")
        (out / "lrformer-folder.json").write_text("{")
        done = run(tmp_path / "in", out, "--model", checkpoints["ct-denoise"])
        assert done.returncode == 0 and "is damaged" in done.stderr, done.stderr
        assert (out / "a.nrrd.kept-1").read_bytes() == b"somebody's, or ours"
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(out / "a.nrrd"))).shape, (1, 72, 80))
        record = json.loads((out / "lrformer-folder.json").read_text())
        assert record["volumes"]["a.nrrd"]["outcome"] == "restored" and record["written"] == ["a.nrrd"]

    @pytest.mark.skipif(os.name == "nt", reason="names on Windows are UTF-16")
    def test_names_that_are_not_utf8(self, tmp_path, ct_image, checkpoints):
        name = os.fsdecode(b"\xe4rzte.nrrd")
        save(ct_image[:, :, :1], tmp_path / "in" / "a.nrrd").rename(tmp_path / "in" / name)
        done = run(tmp_path / "in", tmp_path / "out", "--model", checkpoints["ct-denoise"])
        assert done.returncode == 0, done.stdout + done.stderr
        assert name in os.listdir(tmp_path / "out")
        again = run(tmp_path / "in", tmp_path / "out", "--model", checkpoints["ct-denoise"])
        assert again.returncode == 0 and "1 of 1 volumes were finished before" in again.stdout

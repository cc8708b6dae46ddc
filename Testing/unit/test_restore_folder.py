"""lrformer restore on a folder: real processes, stopped and killed, and what is done when it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.restoration.output_files import make_temporary_folder

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
LONGEST_RUN_S = 180


def folder_command(source: Path, out: Path, model: Path, *options: object) -> list[str]:
    words = ["restore", source, out, "--model", model, "--prior", "none", "--device", "cpu", *options]
    return [sys.executable, "-m", "LRformerSlicerLib", *map(str, words)]


def run_to_end(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        folder_command(*words), capture_output=True, encoding="utf-8", env=ENVIRONMENT, timeout=LONGEST_RUN_S
    )


def entries(out: Path) -> dict[str, dict]:
    return json.loads((out / "lrformer-folder.json").read_text(encoding="utf-8"))["volumes"]


def array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def scans(tmp_path, ct_image) -> Path:
    """Three volumes, one of them below, with a corrupt one in the middle; and what is no volume."""
    folder = tmp_path / "Ärzte scans"
    (folder / "ward 2").mkdir(parents=True)
    for name in ("a.nii.gz", "b.nii.gz", "ward 2/c.nrrd"):
        sitk.WriteImage(ct_image[:, :, :2], str(folder / name))
    whole = (folder / "b.nii.gz").read_bytes()
    (folder / "b.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("not a volume")
    return folder


def test_a_corrupt_volume_is_named_the_others_are_restored_and_only_it_is_done_again(
    scans, tmp_path, checkpoints, lrformer, ct_image
):
    out, model = tmp_path / "out", checkpoints["ct-denoise"]
    done = run_to_end(scans, out, model, "--jobs", "2")
    assert done.returncode == 1, done.stderr
    summary = done.stdout[done.stdout.index("file ") :].splitlines()
    assert [line.split()[0] for line in summary[1:3]] == ["a.nii.gz", "b.nii.gz"]
    assert "failed: " in summary[2] and "damaged" in summary[2] and "ct-denoise" in summary[1]
    assert summary[4].startswith("2 restored, 1 failed; ")
    assert done.stderr == ""
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "a.nii.gz", "lrformer-folder.json", "ward 2/c.nrrd",
    ]  # fmt: skip
    alone = lrformer("restore", scans / "ward 2" / "c.nrrd", tmp_path / "alone.nrrd", "--model", model, "--prior",
                     "none", "--device", "cpu")  # fmt: skip
    assert alone[0] == 0
    assert np.array_equal(array(tmp_path / "alone.nrrd"), array(out / "ward 2" / "c.nrrd"))

    sitk.WriteImage(ct_image[:, :, :2], str(scans / "b.nii.gz"))
    before = {name: (out / name).stat().st_mtime_ns for name in ("a.nii.gz", "ward 2/c.nrrd")}
    done = run_to_end(scans, out, model, "--progress", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert {name: one["outcome"] for name, one in events[-1]["report"]["volumes"].items()} == {
        "a.nii.gz": "finished before", "b.nii.gz": "restored", "ward 2/c.nrrd": "finished before",
    }  # fmt: skip
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    # A third run finds nothing to do, and says so without starting a process.
    code, printed, _ = lrformer(*folder_command(scans, out, model)[3:])
    assert code == 0 and "3 of 3 volumes were finished before." in printed


@pytest.fixture
def long_scans(tmp_path, ct_image) -> Path:
    """One short volume, then two that take long."""
    folder = tmp_path / "long"
    folder.mkdir()
    sitk.WriteImage(ct_image[:, :, :2], str(folder / "1.nrrd"))
    big = sitk.JoinSeries([ct_image[:, :, 0]] * 1600)
    for name in ("2.nrrd", "3.nrrd"):
        sitk.WriteImage(big, str(folder / name))
    return folder


def _heed_ctrl_c() -> None:
    """What a shell starts in the background is deaf to it, and so would be all that these tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start(checkpoints):
    """Starts a run in a process group of its own and waits until its first volume is done; ends it at last."""
    runs = []

    def begin(source: Path, out: Path, *options: object) -> tuple[subprocess.Popen, list[psutil.Process]]:
        run = subprocess.Popen(
            folder_command(source, out, checkpoints["ct-denoise"], *options),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", env=ENVIRONMENT, start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )  # fmt: skip
        runs.append(run)
        if "json" in options:
            lines = []
            while '"stage": "2.nrrd: restore"' not in (line := run.stdout.readline()):
                assert line, lines
                lines.append(line)
            assert any('"event": "volume", "name": "1.nrrd", "outcome": "restored"' in line for line in lines), lines
        else:
            line = run.stdout.readline()
            assert line.startswith("1/3 1.nrrd: ct-denoise"), line
            time.sleep(0.5)  # into the middle of the next volume
        return run, psutil.Process(run.pid).children(recursive=True)

    yield begin
    for run in runs:
        run.kill()
        run.wait()
        run.stdout.close()


def shorten(folder: Path) -> None:
    """Make the long volumes short, so that going on takes no time; the first one stays as it is."""
    for name in ("2.nrrd", "3.nrrd"):
        shutil.copyfile(folder / "1.nrrd", folder / name)


@pytest.mark.skipif(os.name == "nt", reason="there are no signals on Windows")
def test_after_a_kill_no_process_is_left_and_the_next_run_goes_on(long_scans, tmp_path, start, checkpoints):
    out = tmp_path / "out"
    run, processes = start(long_scans, out)
    assert processes
    run.send_signal(signal.SIGKILL)
    run.wait()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive
    assert list(entries(out)) == ["1.nrrd"] and not (out / "2.nrrd").exists()
    # What a kill in the middle of writing leaves: it is hidden, it counts for nothing, and the next run removes it. A
    # folder of the user's that happens to be called alike stays.
    half = make_temporary_folder(out / "2.nrrd")
    (half / "2.nrrd").write_bytes((out / "1.nrrd").read_bytes()[:1000])
    (out / ".lrformer-notes").mkdir()
    (out / ".lrformer-notes" / "notes.txt").write_text("mine")
    first = (out / "1.nrrd").stat().st_mtime_ns
    shorten(long_scans)
    done = run_to_end(long_scans, out, checkpoints["ct-denoise"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 3 volumes were finished before." in done.stdout
    assert (out / "1.nrrd").stat().st_mtime_ns == first
    assert np.array_equal(array(out / "1.nrrd"), array(out / "3.nrrd"))
    assert sorted(path.name for path in out.iterdir()) == [
        ".lrformer-notes", "1.nrrd", "2.nrrd", "3.nrrd", "lrformer-folder.json",
    ]  # fmt: skip
    assert (out / ".lrformer-notes" / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to a group on Windows")
def test_ctrl_c_leaves_no_process_and_keeps_what_is_done(long_scans, tmp_path, start):
    out = tmp_path / "out"
    run, processes = start(long_scans, out, "--jobs", "2")
    make_temporary_folder(out / "2.nrrd")  # as a process has that is stopped while it writes
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
    printed = run.communicate(timeout=60)[0]
    assert run.returncode == 130
    assert printed.strip() == "Stopped; what is finished stays: run the same command again to go on."
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    assert sorted(path.name for path in out.iterdir()) == ["1.nrrd", "lrformer-folder.json"]
    assert entries(out)["1.nrrd"]["outcome"] == "restored"


@pytest.mark.skipif(os.name == "nt", reason="there are no signals on Windows")
def test_a_process_that_dies_fails_its_volume_only(long_scans, tmp_path, start):
    out = tmp_path / "out"
    run, processes = start(long_scans, out, "--progress", "json")
    shutil.copyfile(long_scans / "1.nrrd", long_scans / "3.nrrd")
    worker = max(processes, key=lambda process: process.memory_info().rss)
    worker.kill()
    printed = run.communicate(timeout=LONGEST_RUN_S)[0]
    assert run.returncode == 1
    outcomes = {name: entry["outcome"] for name, entry in entries(out).items()}
    assert outcomes == {"1.nrrd": "restored", "2.nrrd": "failed", "3.nrrd": "restored"}, printed
    assert "Its process ended by itself" in entries(out)["2.nrrd"]["sentence"]


def test_a_cluster_elsewhere_restores(scans, tmp_path, checkpoints, lrformer, monkeypatch):
    from distributed import LocalCluster

    from LRformerSlicerLib.command_line import cluster as cluster_module

    (scans / "b.nii.gz").unlink()
    with LocalCluster(n_workers=1, threads_per_worker=4, processes=True, dashboard_address=None) as cluster:
        words = folder_command(scans, tmp_path / "out", checkpoints["ct-denoise"], "--scheduler",
                               cluster.scheduler_address)[3:]  # fmt: skip
        code, printed, complaint = lrformer(*words)
        # Another version there is found before any work, not by its results.
        monkeypatch.setattr(cluster_module, "__version__", "999")
        refusal = lrformer(*words, "--strength", "0.5")
    assert refusal[0] == 2 and "and this is 999: install the same version there." in refusal[2]
    assert code == 0, printed + complaint
    assert "2 restored; " in printed and (tmp_path / "out" / "ward 2" / "c.nrrd").exists()


class TestRefusals:
    """One sentence, exit code 2, nothing written."""

    @pytest.fixture
    def refused(self, lrformer, scans, tmp_path):
        def expect(words: str, out: Path, *options: object, source: Path = scans) -> None:
            before = sorted(tmp_path.rglob("*"))
            code, printed, complaint = lrformer("restore", source, out, *options)
            assert code == 2 and words in complaint, (code, printed, complaint)
            assert complaint.endswith(".\n") and complaint.count("\n") == 1
            assert sorted(tmp_path.rglob("*")) == before

        return expect

    def test_options_that_are_for_one_volume(self, refused, tmp_path):
        refused("--report is for one volume", tmp_path / "out", "--report", tmp_path / "r.json")
        refused("--prior-out is for one volume", tmp_path / "out", "--prior-out", tmp_path / "u.nrrd")

    def test_values_that_mean_nothing(self, refused, tmp_path):
        refused('no format "jpeg"', tmp_path / "out", "--format", "jpeg")
        refused("0 jobs", tmp_path / "out", "--jobs", "0")
        refused("strength 2", tmp_path / "out", "--strength", "2")

    def test_folders_that_are_none(self, refused, tmp_path, scans):
        (tmp_path / "empty").mkdir()
        refused("holds no volume", tmp_path / "out", source=tmp_path / "empty")
        refused("There is no folder", tmp_path / "out", "--jobs", "1", source=tmp_path / "nowhere")
        refused("There is no folder", tmp_path / "nowhere" / "out")
        refused("is for folders", scans / "notes.txt", "--jobs", "1")
        refused("--format is for folders", tmp_path / "out.nii.gz", "--format", "dicom")
        refused("--jobs is for folders", tmp_path / "out.nrrd", "--jobs", "2", source=scans / "a.nii.gz")

    def test_results_that_would_be_written_over_each_other_or_over_an_input(self, refused, tmp_path, scans, ct_image):
        refused("written over", scans)
        sitk.WriteImage(ct_image, str(scans / "a.mha"))
        refused('"a.mha" and "a.nii.gz" would both', tmp_path / "out", "--format", "nrrd")

    def test_dicom_from_what_is_none(self, refused, tmp_path):
        refused('"a.nii.gz" is no DICOM', tmp_path / "out", "--format", "dicom")

    def test_no_dask(self, lrformer, scans, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        code, _, complaint = lrformer("restore", scans, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")
        assert code == 2 and "needs the Python package distributed" in complaint and complaint.count("\n") == 1

    def test_no_scheduler(self, lrformer, scans, tmp_path, monkeypatch):
        from LRformerSlicerLib.command_line import cluster

        monkeypatch.setattr(cluster, "CONNECT_TIMEOUT_S", 1)
        code, _, complaint = lrformer("restore", scans, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")
        assert code == 2 and 'No Dask scheduler answers at "tcp://127.0.0.1:9"' in complaint

    def test_a_folder_that_another_run_is_at(self, lrformer, scans, tmp_path):
        from LRformerSlicerLib.restoration.folder_record import folder_to_oneself

        (tmp_path / "out").mkdir()
        with folder_to_oneself(tmp_path / "out"):
            code, _, complaint = lrformer("restore", scans, tmp_path / "out")
        assert code == 2 and "Another lrformer restores into" in complaint
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="there are no signals on Windows")
def test_a_run_on_this_machine_opens_no_port(long_scans, tmp_path, start):
    """A port would take work, which is code, from every user of the machine."""
    run, processes = start(long_scans, tmp_path / "out", "--jobs", "2")
    listening = [
        connection
        for process in (psutil.Process(run.pid), *processes)
        for connection in process.net_connections("all")
        if connection.status == psutil.CONN_LISTEN or connection.family in (socket.AF_INET, socket.AF_INET6)
    ]
    assert listening == []

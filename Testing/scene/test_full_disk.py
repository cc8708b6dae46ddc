"""Results that find no room: a real file system of 128 kB, and a worker that may not write large files."""

import os
import subprocess
import sys

import pytest

from LRformerSlicerLib.worker.client import WorkerClient

LIMITED_WORKER = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.argv = ["lrformer", "serve"]
runpy.run_module("LRformerSlicerLib", run_name="__main__")
"""


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own that holds the input and no results; skips where nothing may be mounted."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def run_and_read_status(panel, wait_for) -> str:
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    return panel.ui.statusLabel.text


def test_a_disk_full_of_results_is_one_sentence_and_the_next_run_with_room_works(
    panel, add_ct, wait_for, scene_state, small_disk, monkeypatch, tmp_path
):
    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(small_disk))
    panel.ui.inputSelector.setCurrentNode(add_ct(slices=12))  # 54 kB, and its results three times as much
    before = scene_state()
    said = run_and_read_status(panel, wait_for)
    assert "is full" in said and "free some space" in said and said.endswith(".") and "\n" not in said, said
    assert scene_state() == before
    assert list(small_disk.iterdir()) == []
    assert panel.ui.restoreButton.text == "Restore" and panel.ui.restoreButton.enabled
    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path))
    assert run_and_read_status(panel, wait_for).startswith("Restored as")


def test_a_disk_too_small_for_the_input_is_one_sentence(panel, add_ct, scene_state, small_disk, monkeypatch):
    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(small_disk))
    panel.ui.inputSelector.setCurrentNode(add_ct(slices=60))
    before = scene_state()
    panel.ui.restoreButton.click()
    assert not panel.logic.busy
    assert "disk space" in panel.ui.statusLabel.text
    assert scene_state() == before and list(small_disk.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_worker_that_may_not_write_is_one_sentence(panel, add_ct, wait_for, scene_state, monkeypatch, tmp_path):
    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path))
    panel.logic._client = WorkerClient(command=[sys.executable, "-c", LIMITED_WORKER])
    panel.ui.inputSelector.setCurrentNode(add_ct(slices=12))
    before = scene_state()
    said = run_and_read_status(panel, wait_for)
    assert "is full" in said and "free some space" in said and said.endswith(".") and "\n" not in said, said
    assert scene_state() == before
    assert [path for path in tmp_path.iterdir() if path.name.startswith("LRformerSlicer-")] == []

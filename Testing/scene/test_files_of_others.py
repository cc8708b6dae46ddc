"""Files that are not the user's own: models that a scene names, and volumes that a crash has left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from LRformerSlicerLib.errors import UserError


@pytest.fixture
def asked(host, tmp_path, monkeypatch):
    """The questions that are asked, all answered with yes; nothing is allowed yet, and the model folder is empty."""
    import qt
    import slicer

    from LRformerSlicerLib.scene.model_consent import ALLOWED_SETTING
    from LRformerSlicerLib.scene.model_folder import FOLDER_SETTING

    (tmp_path / "models").mkdir()
    before = {name: slicer.util.settingsValue(name, "") for name in (ALLOWED_SETTING, FOLDER_SETTING)}
    qt.QSettings().setValue(ALLOWED_SETTING, "")
    qt.QSettings().setValue(FOLDER_SETTING, str(tmp_path / "models"))
    questions = []
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda text: questions.append(text) or True)
    yield questions
    for name, value in before.items():
        qt.QSettings().setValue(name, value)


def test_a_model_of_somebody_else_is_asked_for_once(asked, tmp_path):
    from LRformerSlicerLib.scene.model_consent import requireConsent

    path = str(tmp_path / "from a colleague.safetensors")
    for _ in range(2):
        requireConsent({"model": path, "samples": 4})
    assert len(asked) == 1 and path in asked[0] and "network share" not in asked[0]


def test_own_models_and_those_of_the_extension_are_not_asked_for(asked, tmp_path):
    from LRformerSlicerLib.scene.model_consent import allow, requireConsent
    from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER

    chosen = tmp_path / "chosen in the dialog.safetensors"
    allow(str(chosen))
    for path in (
        chosen,
        tmp_path / "models" / "m.pth",
        EXTENSION_FOLDER / "Resources" / "Models" / "ct-denoise.safetensors",
    ):
        requireConsent({"model": str(path), "medsam_checkpoint": str(path)})
    requireConsent({"model": None, "samples": 4})
    assert asked == []


def test_a_link_in_the_model_folder_is_asked_for(asked, tmp_path):
    from LRformerSlicerLib.scene.model_consent import requireConsent

    (tmp_path / "models" / "m.pth").symlink_to(tmp_path / "elsewhere.pth")
    requireConsent({"medsam_checkpoint": str(tmp_path / "models" / "m.pth")})
    assert len(asked) == 1


@pytest.mark.parametrize("path", [r"\\server\share\m.safetensors", "//server/share/m.safetensors", "smb://server/m"])
def test_a_network_share_is_asked_for_before_it_is_touched(asked, monkeypatch, path):
    from LRformerSlicerLib.scene import model_consent

    def touched(*_, **__):
        raise AssertionError("the share was touched")

    monkeypatch.setattr(model_consent.Path, "resolve", touched)
    model_consent.requireConsent({"model": path})
    assert len(asked) == 1 and "network share" in asked[0]


def test_a_mounted_share_is_one_too(asked, monkeypatch):
    import psutil

    from LRformerSlicerLib.scene.model_consent import isOnNetwork

    share = SimpleNamespace(mountpoint="/mnt/share", fstype="nfs4")
    here = SimpleNamespace(mountpoint="/", fstype="ext4")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [here, share])
    assert isOnNetwork("/mnt/share/models/m.pth") and isOnNetwork("/mnt/share")
    assert not isOnNetwork("/mnt/shared/m.pth") and not isOnNetwork("/home/me/m.pth")


def test_who_says_no_is_obeyed_and_asked_again(asked, tmp_path, monkeypatch):
    import slicer

    from LRformerSlicerLib.scene.model_consent import requireConsent

    monkeypatch.setattr(slicer.util, "confirmYesNoDisplay", lambda text: asked.append(text))
    for _ in range(2):
        with pytest.raises(UserError, match="was not allowed"):
            requireConsent({"model": str(tmp_path / "m.safetensors")})
    assert len(asked) == 2


def test_in_testing_mode_it_is_refused_without_a_question(asked, tmp_path, monkeypatch):
    import slicer

    from LRformerSlicerLib.scene.model_consent import requireConsent

    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: True)
    with pytest.raises(UserError, match="was not allowed"):
        requireConsent({"model": str(tmp_path / "m.safetensors")})
    assert asked == []


def test_folders_that_a_crash_has_left_are_removed_and_others_stay(host, tmp_path):
    from LRformerSlicerLib.scene.job_folders import PREFIX, makeJobFolder, removeLeftJobFolders

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f"{PREFIX}{gone.pid}-abcdefgh"
    # Another process has the number of the one that made it.
    reused = tmp_path / f"{PREFIX}{os.getpid()}-hgfedcba"
    old, young = tmp_path / f"{PREFIX}12345678", tmp_path / f"{PREFIX}abcd_678"
    users = [tmp_path / name for name in ("LRformerSlicer-results", f"{PREFIX}{gone.pid}-my-scans", "Other-1-abcdefgh")]
    for folder in (left, reused, old, young, *users):
        folder.mkdir()
        (folder / "input.nrrd").write_bytes(b"a patient")
    (tmp_path / f"{PREFIX}{gone.pid}-linklink").symlink_to(users[0])
    mine = makeJobFolder(str(tmp_path))
    day_s = 24 * 3600
    os.utime(reused, (time.time() - 100 * day_s,) * 2)
    os.utime(old, (time.time() - 2 * day_s,) * 2)
    removed = removeLeftJobFolders(str(tmp_path))
    assert sorted(removed) == sorted([left.name, reused.name, old.name])
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {mine.name, young.name, *(path.name for path in users), f"{PREFIX}{gone.pid}-linklink"}
    assert (users[0] / "input.nrrd").exists()
    assert removeLeftJobFolders(str(tmp_path / "nowhere")) == []

"""Every failure is one sentence: closed streams, surprises, lack of memory, options and messages of any type."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib import errors
from LRformerSlicerLib.__main__ import main
from LRformerSlicerLib.command_line.local_processes import Limits, cause_of_death
from LRformerSlicerLib.errors import UserError, is_out_of_memory, sentence_of
from LRformerSlicerLib.restoration.folder_task import make_task, restore_one
from LRformerSlicerLib.restoration.options import RestorationOptions, check_options, options_from
from LRformerSlicerLib.worker import server
from LRformerSlicerLib.worker.messages import ErrorEvent, MessageError, Request, decode_request

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def logs(tmp_path, monkeypatch) -> Path:
    """The folder of the log files."""
    folder = tmp_path / "logs"
    folder.mkdir()
    monkeypatch.setattr(errors.tempfile, "tempdir", str(folder))
    return folder


class Surprise(Exception):
    """What nobody foresees."""


def is_one_sentence(text: str) -> bool:
    return "\n" not in text and text.endswith(".") and "Traceback" not in text


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("Failed to allocate memory for image."),
     RuntimeError("std::bad_alloc"), OSError(errno.ENOMEM, "Cannot allocate memory")],
)  # fmt: skip
def test_lack_of_memory_is_called_that(error):
    assert is_out_of_memory(error) and sentence_of(error) == (errors.NOT_ENOUGH_MEMORY, "")


def test_other_failures_that_are_no_bugs():
    assert "scikit_image is missing" in sentence_of(ModuleNotFoundError("no", name="scikit_image"))[0]
    sentence, detail = sentence_of(OSError(errno.EACCES, "Permission denied", "/x/y.nrrd"))
    assert '"/x/y.nrrd" cannot be used (Permission denied)' in sentence and detail == ""
    sentence, _ = sentence_of(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000))
    assert len(sentence) < 300
    assert not is_out_of_memory(ValueError("cannot allocate memory"))


def test_what_nobody_foresaw_names_its_log_file(logs):
    try:
        raise Surprise("a\nb\udcff")
    except Surprise as error:
        sentence, detail = sentence_of(error)
    assert is_one_sentence(sentence) and "Surprise: a b" in sentence
    assert "Traceback" in detail and "Surprise" in next(logs.iterdir()).read_text() and str(logs) in sentence


def test_the_command_the_worker_and_the_folder_task_say_it_in_a_sentence(logs, monkeypatch, capsys, tmp_path, ct_image):
    def surprise(*_, **__):
        raise Surprise("boo")

    scan = tmp_path / "a.nrrd"
    sitk.WriteImage(ct_image, str(scan))
    monkeypatch.setattr("LRformerSlicerLib.restoration.engine.Restorer.restore", surprise)
    monkeypatch.setattr("LRformerSlicerLib.restoration.engine.Restorer.produce_prior", surprise)
    assert main(["prior", str(scan), str(tmp_path / "b.nrrd")]) == 2
    complaint = capsys.readouterr().err
    assert is_one_sentence(complaint.rstrip("\n")) and "Surprise: boo" in complaint

    events = []
    request = Request("1", "restore", str(scan), {"prior": "none"}, {"restored": str(tmp_path / "c.nrrd")})
    server.Jobs(events.append).serve(request)
    assert isinstance(events[-1], ErrorEvent) and events[-1].kind == "internal" and is_one_sentence(events[-1].message)

    task = make_task("a.nrrd", (scan,), tmp_path / "d.nrrd", False, False, tmp_path)
    answer = restore_one(task, {"prior": "none"}, None)
    assert answer["outcome"] == "failed" and is_one_sentence(answer["sentence"]) and "Traceback" in answer["detail"]
    assert len(list(logs.iterdir())) == 3


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells close descriptors")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "| head -c 0"])
def test_streams_that_nobody_reads_do_not_end_the_work(tmp_path, ct_image, closed):
    scan, out = tmp_path / "a.nrrd", tmp_path / "b.nrrd"
    sitk.WriteImage(ct_image, str(scan))
    command = f'"{sys.executable}" -m LRformerSlicerLib simulate "{scan}" "{out}" --dose 0.5 --progress json'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", f"{command} {closed}"], env=ENVIRONMENT, timeout=120,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sitk.ReadImage(str(out)).GetSize() == ct_image.GetSize()
    assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="names on Windows are UTF-16")
def test_a_name_that_is_no_utf8_is_told(tmp_path):
    name = os.fsencode(tmp_path) + b"/gro\xdf.nrrd"
    command = [sys.executable, "-m", "LRformerSlicerLib", "restore", name, os.fsencode(tmp_path) + b"/o.nrrd"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=120)
    assert done.returncode == 2 and b"There is no file" in done.stderr and done.stderr.count(b"\n") == 1
    assert b"gro\\udcdf" in done.stderr


@pytest.mark.parametrize(
    ("values", "telling"),
    [
        ({"samples": "4"}, "a whole number"),
        ({"samples": True}, "a whole number"),
        ({"samples": 10**9}, "at most 1000"),
        ({"seed": 2**64}, "too large"),
        ({"seed": 1.5}, "a whole number"),
        ({"strength": "1"}, "a number from 0 to 1"),
        ({"strength": None}, "a number from 0 to 1"),
        ({"only_roi": "yes"}, "true or false"),
        ({"only_roi": 1}, "true or false"),
        ({"task": 5}, "a text"),
        ({"task": "x" * 100_000}, "no name or path"),
        ({"model": 5}, "a path"),
        ({"model": "a\0b"}, "no name or path"),
        ({"roi_lps_mm": [1, 2, 3]}, "six numbers"),
        ({"roi_lps_mm": ["a"] * 6}, "six numbers"),
        ({"roi_lps_mm": [1e300] * 6}, "six numbers"),
        ({"roi_lps_mm": 5}, "six numbers"),
        ({"colour": 1}, 'no option "colour"'),
    ],
)
def test_options_of_other_types_are_one_sentence(values, telling):
    with pytest.raises(UserError, match=re.escape(telling)) as found:
        options_from(values)
    assert is_one_sentence(found.value.message) and len(found.value.message) < 300


def test_options_come_through_json():
    options = RestorationOptions(model=Path("m.safetensors"), roi_lps_mm=(1.0, 2, 3, 4, 5, 6), samples=2)
    content = {"model": "m.safetensors", "roi_lps_mm": [1.0, 2, 3, 4, 5, 6], "samples": 2}
    assert options_from(json.loads(json.dumps(content))) == options
    check_options(RestorationOptions())


@pytest.mark.parametrize("field", ["input", "reference", "outputs"])
@pytest.mark.parametrize("path", ["a\0b", "x" * 40_000])
def test_messages_with_paths_that_are_none_are_refused(field, path):
    content = {"id": "1", "kind": "restore", "input": "/a.nrrd", "outputs": {"restored": "/b.nrrd"}}
    content[field] = {"restored": path} if field == "outputs" else path
    with pytest.raises(MessageError, match="no path"):
        decode_request(json.dumps(content))


def test_a_job_whose_output_is_its_input_is_refused(tmp_path, ct_image, checkpoints, file_hash):
    scan = tmp_path / "a.nhdr"
    sitk.WriteImage(ct_image, str(scan))
    (tmp_path / "link.nhdr").symlink_to(scan)
    before = file_hash(tmp_path)
    options = {"prior": "none", "model": str(checkpoints["ct-denoise"])}
    for outputs in ({"restored": scan}, {"restored": tmp_path / "link.nhdr"}, {"restored": tmp_path / "a.mhd"},
                    {"restored": tmp_path / "b.nrrd", "difference": tmp_path / "B.nrrd"},
                    {"restored": checkpoints["ct-denoise"].with_suffix(".json")}):  # fmt: skip
        events = []
        outputs = {name: str(path) for name, path in outputs.items()}
        server.Jobs(events.append).serve(Request("1", "restore", str(scan), options, outputs))
        assert isinstance(events[-1], ErrorEvent) and events[-1].kind == "user", events[-1]
        assert "is also" in events[-1].message
        assert file_hash(tmp_path) == before


def test_a_crash_is_told_from_a_lack_of_memory():
    assert "SIGKILL" in cause_of_death(-9) and "memory runs out" in cause_of_death(-9)
    assert "SIGSEGV" in cause_of_death(-11) and "a crash and no lack of memory" in cause_of_death(-11)
    assert "exit status 3" in cause_of_death(3)


def test_limits_grow_with_the_volume_and_can_be_set(tmp_path):
    (tmp_path / "a").write_bytes(bytes(10**6))
    options = {"self_ensemble": False, "samples": 4, "prior": "lite-medsam", "task": "auto", "model": None}
    few, many = (Limits().of([str(tmp_path / "a")], voxels, options) for voxels in (2**18, 2**28))
    assert few[0] < many[0] and few[1] < many[1]
    assert few[0] >= 600 + 60 and many[1] >= 11 * 2**28
    assert Limits(5, 10).of([str(tmp_path / "a")], 2**28, options) == (5, 10)

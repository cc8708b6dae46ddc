"""Downloads from a real HTTP server on this machine: resumed, cut off, wrong, refused."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.weights import download as download_module
from LRformerSlicerLib.weights.description import MEDSAM_DESCRIPTION, WeightFile, read_description
from LRformerSlicerLib.weights.download import download
from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER, check_folder, removable_files, remove_files
from range_server import CONTENT


@pytest.fixture
def weights(server) -> WeightFile:
    url = f"http://127.0.0.1:{server.server_port}/weights.pth"
    return WeightFile("weights.pth", "Test weights", url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_a_download_is_whole_and_tells_its_progress(weights, tmp_path):
    told = []
    target = tmp_path / "new folder" / weights.name
    download(weights, target, lambda done, total, seconds_left: told.append((done, total, seconds_left)))
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][:2] == (len(CONTENT), len(CONTENT)) and all(left >= 0 for _, _, left in told)


def test_what_is_there_and_right_is_not_downloaded_again(weights, server, tmp_path):
    target = tmp_path / weights.name
    target.write_bytes(CONTENT)
    download(weights, target)
    assert server.requests == []


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_cut_connection_is_said_and_the_next_try_goes_on(weights, server, tmp_path, knows_ranges):
    server.cut_after, server.knows_ranges = 1_500_000, knows_ranges
    target = tmp_path / weights.name
    with pytest.raises(UserError, match="broke after 1.5 of 4.2 MB"):
        download(weights, target)
    assert not target.exists()
    assert (tmp_path / "weights.pth.part").read_bytes() == CONTENT[:1_500_000]
    server.cut_after = None
    download(weights, target)
    assert target.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1500000-"]  # a server without ranges begins again, and that works as well
    assert list(tmp_path.iterdir()) == [target]


def test_a_wrong_hash_leaves_nothing_and_names_what_to_do(weights, server, tmp_path):
    server.content = CONTENT[:-1] + b"!"
    target = tmp_path / weights.name
    with pytest.raises(UserError, match="SHA256"):
        download(weights, target)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_does_not_replace_the_one_that_is_there(weights, server, tmp_path):
    server.content = CONTENT[:-1] + b"!"
    target = tmp_path / weights.name
    target.write_bytes(b"older")
    with pytest.raises(UserError, match="SHA256"):
        download(weights, target)
    assert target.read_bytes() == b"older"


def test_a_file_longer_than_it_must_be_is_refused(weights, server, tmp_path):
    server.content = CONTENT + CONTENT
    with pytest.raises(UserError, match="SHA256"):
        download(weights, tmp_path / weights.name)
    assert list(tmp_path.iterdir()) == []


def test_a_part_of_something_else_is_found_out_and_the_next_try_is_clean(weights, server, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match="SHA256"):
        download(weights, tmp_path / weights.name)
    download(weights, tmp_path / weights.name)
    assert (tmp_path / weights.name).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 407, 500, 503])
def test_a_refusal_is_one_sentence_that_names_the_file(weights, server, tmp_path, status):
    server.status = status
    with pytest.raises(UserError, match=f"answered {status}.*weights.pth elsewhere") as caught:
        download(weights, tmp_path / weights.name)
    assert caught.value.message.endswith(".") and "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_one_sentence(weights, tmp_path):
    closed = replace(weights, url="http://127.0.0.1:9/weights.pth")
    with pytest.raises(UserError, match="could not be reached"):
        download(closed, tmp_path / weights.name)


def test_too_little_space_is_said_before_anything_is_downloaded(weights, server, tmp_path, monkeypatch):
    monkeypatch.setattr(download_module, "SPARE_BYTES", 1 << 62)
    with pytest.raises(UserError, match="free some space"):
        download(weights, tmp_path / weights.name)
    assert server.requests == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.weights.description import WeightFile
from LRformerSlicerLib.weights.download import download
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    download(WeightFile(sys.argv[1], "Test", sys.argv[2], int(sys.argv[3]), sys.argv[4]), Path(sys.argv[1]))
except UserError as error:
    print(error.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_file_that_cannot_grow_ends_in_one_sentence_and_no_whole_file(weights, tmp_path):
    command = [sys.executable, "-c", LIMITED, weights.name, weights.url, str(weights.size_bytes), weights.sha256]
    library = str(EXTENSION_FOLDER)
    answer = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": library}, capture_output=True, text=True, timeout=60
    )
    assert os.strerror(errno.EFBIG) in answer.stdout, answer.stdout + answer.stderr
    assert not (tmp_path / weights.name).exists()


def test_the_description_of_medsam_is_sound():
    weights = read_description(MEDSAM_DESCRIPTION)
    assert weights.name == "medsam_vit_b.pth" and weights.url.startswith("https://zenodo.org/")


def test_a_broken_description_is_a_sentence(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text('{"name": "../x", "title": "", "url": "https://x", "size_bytes": 1, "sha256": "00"}')
    with pytest.raises(UserError, match="does not describe"):
        read_description(path)


def test_only_weights_are_removed_and_never_shipped_ones(tmp_path):
    for name in ("medsam_vit_b.pth", "medsam_vit_b.pth.part", "own.safetensors", "own.json", "notes.json", "other.pth"):
        (tmp_path / name).write_text("x")
    files = removable_files(tmp_path, ("medsam_vit_b.pth",))
    assert [path.name for path in files] == [
        "medsam_vit_b.pth",
        "medsam_vit_b.pth.part",
        "own.json",
        "own.safetensors",
    ]
    remove_files(files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.json", "other.pth"]
    shipped = sorted((EXTENSION_FOLDER / "Resources" / "Models").iterdir())
    with pytest.raises(UserError, match="came with the extension"):
        remove_files(shipped)
    assert sorted((EXTENSION_FOLDER / "Resources" / "Models").iterdir()) == shipped
    for folder in (EXTENSION_FOLDER / "Resources" / "Models", EXTENSION_FOLDER):
        with pytest.raises(UserError, match="belongs to the extension"):
            check_folder(folder)

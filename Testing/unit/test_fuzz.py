"""Damaged headers of every format that is read, by the thousand: a sentence or a volume, and never anything else.

    python3 Testing/run.py test Testing/unit/test_fuzz.py -m nightly

reads 2,000 of them; the ordinary run reads a few of each format. Each is read in a process of its own with a limit of
time, and its memory is measured: at most 4 times the file and 64 MiB.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.skipif(os.name == "nt", reason="each file is read in a fork, which Windows has not")

NAMES = ("a.mha", "z.mha", "a.mhd", "a.nrrd", "z.nrrd", "a.nhdr", "a.nii", "a.nii.gz", "a.hdr")
"""z: compressed."""
NIGHTLY, USUAL = 2000, 54
CPU_S = 4
SPARE_BYTES = 64 * 2**20
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}

WORDS = [
    *(
        "",
        "0",
        "1",
        "-1",
        "-3",
        "2",
        "7",
        "16",
        "255",
        "1000000",
        "2147483647",
        "2147483648",
        "4294967296",
        "1e5",
        "1e-5",
    ),
    *("9223372036854775807", "18446744073709551616", "nan", "inf", "-inf", "1e308", "1e-308", "0x10", "True", "False"),
    *(
        "LOCAL",
        "LIST",
        "%s%n",
        "%s%n 1 3 1",
        "%d",
        "%1000000d 1 9 1",
        "../a.raw",
        "/dev/zero",
        "/dev/stdin",
        "/etc/passwd",
    ),
    *("a.raw", "a.mha", "MET_DOUBLE", "MET_STRING", "MET_SHORT_ARRAY", "MET_NONE", "double", "block", "short", "gzip"),
    *("ascii", "hex", "bzip2", "raw", "little", "big", "16 16", "16 16 2 2", "65536 65536 65536", "2 16 16", "none"),
    *("1 " * 5000, "(1,0,0) " * 200, "x" * 5000, "(nan,0,0) (0,1,0) (0,0,1)", "\0", "\t", "\r", "\xff", ":", "=", ":="),
]
LINES = [
    *("NDims = 1000000", "DimSize = 1 1 1", "HeaderSize = -1", "HeaderSize = 512", "ElementNumberOfChannels = 3", "#"),
    *("CompressedData = True", "CompressedDataSize = 99999999", "BinaryData = False", "ElementDataFile = LOCAL"),
    *(
        "ElementDataFile = LIST",
        "a: NDims = 9",
        "Color = 1",
        "ElementType = MET_DOUBLE",
        "byte skip: -1",
        "byte skip: 7",
    ),
    *("line skip: 3", "data file: a.raw", "data file: LIST", "encoding: gzip", "dimension: 9", "sizes: 1 1 1", ""),
    *(
        "key:=value",
        "kinds: vector domain domain",
        "space dimension: 16",
        "space: scanner-xyz-time",
        "measurement frame: x",
    ),
]
change_of_text = st.one_of(
    st.tuples(st.just("value"), st.integers(0, 40), st.sampled_from(WORDS)),
    st.tuples(st.just("word"), st.integers(0, 40), st.sampled_from(WORDS)),
    st.tuples(st.just("line"), st.integers(0, 40), st.sampled_from(LINES)),
    st.tuples(st.just("drop"), st.integers(0, 40), st.just("")),
    st.tuples(st.just("twice"), st.integers(0, 40), st.just("")),
    st.tuples(st.just("letters"), st.integers(0, 600), st.text(max_size=4)),
)
change_of_fields = st.tuples(
    st.integers(0, 86),
    st.sampled_from("bhifdq<>"),
    st.one_of(
        st.integers(-3, 20), st.sampled_from([127, 348, 352, 540, 32767, -32768, 2**31 - 1, -(2**31), 2**63 - 1])
    ),
)
change_of_size = st.sampled_from([None, None, None, 0, 1, 100, 347, 348, 352, 600, -1, -100, "zeros", "noise"])


def original(name: str, folder: Path) -> Path:
    """A whole volume of 16 x 16 x 3 int16; its path."""
    image = sitk.GetImageFromArray(np.random.default_rng(1).integers(-900, 900, (3, 16, 16)).astype(np.int16))
    sitk.WriteImage(image, str(folder / name), useCompression=name.startswith("z"))
    return folder / name


def change_text(content: bytes, changes: list[tuple]) -> bytes:
    end = content.find(b"LOCAL\n") + 6 if b"LOCAL\n" in content else content.find(b"\n\n") + 2
    end = end if end > 2 else len(content)
    lines = content[:end].decode("latin-1").split("\n")
    for kind, place, text in changes:
        place %= len(lines)
        if kind == "value":
            separator = "=" if "=" in lines[place] else ":"
            lines[place] = f"{lines[place].split(separator)[0]}{separator} {text}"
        elif kind == "word":
            words = lines[place].split(" ")
            words[-1] = text
            lines[place] = " ".join(words)
        elif kind == "line":
            lines.insert(place, text)
        elif kind == "drop" and len(lines) > 1:
            del lines[place]
        elif kind == "twice":
            lines.insert(place, lines[place])
        elif kind == "letters":
            joined = "\n".join(lines)
            place = changes[0][1] % (len(joined) + 1)
            lines = (joined[:place] + text + joined[place:]).split("\n")
    return "\n".join(lines).encode("latin-1", "replace") + content[end:]


def change_fields(content: bytes, changes: list[tuple]) -> bytes:
    changed = bytearray(content)
    for place, kind, value in changes:
        if kind in "<>":
            kind = kind + "i"
        limits = {"b": 7, "h": 15, "i": 31, "q": 63}.get(kind[-1])
        if limits and not -(2**limits) <= value < 2**limits:
            continue
        piece = struct.pack(kind if kind[0] in "<>" else f"<{kind}", value)
        place = min(4 * place, len(changed) - len(piece))
        changed[place : place + len(piece)] = piece
    return bytes(changed)


def change_size(content: bytes, size: object) -> bytes:
    if size == "zeros":
        return content + bytes(100_000)
    if size == "noise":
        return content + np.random.default_rng(2).bytes(1000)
    return content if size is None else content[:size]


class Reader:
    """The process that reads, and what became of the files."""

    def __init__(self) -> None:
        program = Path(__file__).with_name("fuzz_reader.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=ENVIRONMENT,
        )
        self.outcomes: Counter = Counter()
        self.largest_bytes, self.longest_s = 0, 0.0

    def judge(self, path: Path) -> None:
        """Read a file and assert that it ends as it may."""
        there = {file: file.stat().st_size for file in path.parent.iterdir()}
        self._process.stdin.write(json.dumps({"path": str(path), "cpu_s": CPU_S}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        self.outcomes[answer["outcome"]] += 1
        self.longest_s = max(self.longest_s, answer["seconds"])
        self.largest_bytes = max(self.largest_bytes, answer["peak_bytes"])
        assert answer["outcome"] in ("read", "refused"), answer
        if answer["outcome"] == "refused":
            assert answer["message"].endswith(".") and "\n" not in answer["message"] and "Traceback" not in answer
        assert answer["peak_bytes"] <= 4 * sum(there.values()) + SPARE_BYTES, answer
        assert {file: file.stat().st_size for file in path.parent.iterdir()} == there

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def reader():
    """One for all; at the end it says what became of the files."""
    reader = Reader()
    yield reader
    reader.end()
    largest_mib = reader.largest_bytes / 2**20
    print(f"\n{dict(reader.outcomes)}; the longest took {reader.longest_s:.2f} s, the largest {largest_mib:.1f} MiB")


@pytest.fixture
def whole(tmp_path):
    """Makes a whole volume anew, in a folder of its own."""

    def make(name: str) -> Path:
        shutil.rmtree(tmp_path / "in", ignore_errors=True)
        (tmp_path / "in").mkdir()
        return original(name, tmp_path / "in")

    return make


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_read(reader, whole, name):
    before = reader.outcomes["read"]
    reader.judge(whole(name))
    assert reader.outcomes["read"] == before + 1


def attack(reader: Reader, whole, name: str, count: int) -> None:
    """Read `count` damaged versions of a volume."""
    is_text = not name.endswith((".nii", ".nii.gz", ".hdr"))
    contents = {file.name: file.read_bytes() for file in whole(name).parent.iterdir()}

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(change_of_text if is_text else change_of_fields, min_size=1, max_size=4),
        change_of_size,
        st.sampled_from(sorted(contents)),
    )
    def read_damaged(changes, size, resized):
        path = whole(name)
        header = contents[name]
        if name.endswith(".gz"):
            header = gzip.compress(change_fields(gzip.decompress(header), changes), 1)
        else:
            header = (change_text if is_text else change_fields)(header, changes)
        path.write_bytes(header)
        (path.parent / resized).write_bytes(change_size((path.parent / resized).read_bytes(), size))
        reader.judge(path)

    read_damaged()


@pytest.mark.parametrize("name", NAMES)
def test_a_few_damaged_files(reader, whole, name):
    attack(reader, whole, name, USUAL // len(NAMES))


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_two_thousand_damaged_files(reader, whole, name):
    attack(reader, whole, name, -(-NIGHTLY // len(NAMES)))

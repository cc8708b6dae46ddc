"""The lines between Slicer and the worker: what goes in comes out, and what does not fit is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from LRformerSlicerLib.worker import messages
from LRformerSlicerLib.worker.messages import (
    DoneEvent,
    ErrorEvent,
    MessageError,
    ProgressEvent,
    Request,
    WarningEvent,
    decode_event,
    decode_request,
    encode,
)

EVENTS = [
    ProgressEvent("1", "restore", 3, 90, 12.5),
    ProgressEvent("1", "load", 0, 0),
    WarningEvent("1", "The device ran out of memory: tiles of 256 pixels are used."),
    DoneEvent("1", {"device": "cpu", "seconds": {"total": 1.5}}),
    ErrorEvent("1", "user", "Choose a CT volume.", "Traceback: Bärbel's file\nsecond line"),
]


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_comes_out_as_it_went_in(event):
    line = encode(event)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode_event(line) == event


@given(
    path=st.text(min_size=1).filter(lambda text: "\0" not in text),
    strength=st.floats(0, 1),
    roi=st.lists(st.floats(-1e4, 1e4), min_size=6, max_size=6),
)
def test_any_path_and_option_survives_the_line(path, strength, roi):
    request = Request(
        "7", "preview", path, {"strength": strength, "roi_lps_mm": roi}, {"restored": path}, slice=3, modality="MR"
    )
    line = encode(request)
    assert line.count(b"\n") == 1
    assert decode_request(line) == request


def test_numbers_that_json_has_not_become_null_and_numpy_becomes_plain():
    report = {"psnr": float("inf"), "sd": np.float32(1.5), "shape": np.array([2, 3]), "nan": np.nan}
    content = json.loads(encode(DoneEvent("1", report)), parse_constant=pytest.fail)
    assert content["report"] == {"psnr": None, "sd": 1.5, "shape": [2, 3], "nan": None}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "train"}, "kind"),
        ({"id": 1}, "'id'"),
        ({"id": None}, "'id'"),
        ({"surprise": 1}, "surprise"),
        ({"input": ""}, "input"),
        ({"outputs": {}}, "output"),
        ({"outputs": {"restored": ""}}, "restored"),
        ({"outputs": {"mask": "/tmp/x.nrrd"}}, "mask"),
        ({"options": {"colour": 1}}, "colour"),
        ({"options": {"task": {"name": "x"}}}, "task"),
        ({"slice": True}, "slice"),
        ({"slice": 1.5}, "slice"),
        ({"kind": "preview", "slice": None}, "slice"),
        ({"modality": "PET"}, "PET"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_name(change, complaint):
    content = {"id": "1", "kind": "restore", "input": "/a.nrrd", "outputs": {"restored": "/b.nrrd"}, "options": {}}
    assert decode_request(json.dumps(content)).kind == "restore"
    with pytest.raises(MessageError, match=complaint):
        decode_request(json.dumps(content | change))


@pytest.mark.parametrize(
    "line",
    [
        b"Loading weights...",
        b"[1, 2]",
        b'{"id": "1"}',
        b'{"id": "1", "event": "progress", "stage": "x"}',
        b'{"id": "1", "event": "progress", "stage": "x", "done": 5, "total": 4}',
        b'{"id": "1", "event": "error", "kind": "cosmic", "message": "x"}',
        b'{"id": "1", "event": ["done"]}',
        b"[" * 100_000,
        b'"' + b"x" * (messages.LONGEST_LINE_BYTES + 1) + b'"',
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_event_is_refused(line):
    with pytest.raises(MessageError):
        decode_event(line)

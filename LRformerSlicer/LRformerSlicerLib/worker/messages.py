"""The messages between Slicer (or any parent) and the worker process: one JSON object a line, UTF-8.

Requests go to the worker's standard input, events come from its standard output, and nothing else ever does.
Both ends check what they read: a line that does not fit raises :class:`MessageError`, so that a library that prints
into the channel, or a client of another version, is found at the first line and not by its consequences.

>>> line = encode(ProgressEvent(id="1", stage="restore", done=3, total=90, seconds_left=12.5))
>>> decode_event(line)
ProgressEvent(id='1', stage='restore', done=3, total=90, seconds_left=12.5, device='')
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from LRformerSlicerLib.restoration.options import RestorationOptions

KINDS = ("restore", "preview", "prior", "download", "ping", "shutdown")
"""What a request may ask for."""

JOB_KINDS = ("restore", "preview", "prior")
"""Those of them that read an image and write images."""

OUTPUT_NAMES = ("restored", "prior", "consistency", "uncertainty", "difference", "expected_error")
"""The images a job can write; the last one only where the weights' card says how to make it."""

DOWNLOAD_OUTPUT = "weights"
"""What a download writes."""

OPTION_NAMES = tuple(f.name for f in fields(RestorationOptions))
"""The choices that a request's options can name."""

ERROR_KINDS = ("user", "internal", "worker")
"""user: the user can put it right; internal: a bug; worker: the process itself ended (made by the client only)."""

LONGEST_LINE_BYTES = 4 * 1024 * 1024
LONGEST_PATH = 32768
"""Letters; Windows has the longest ones."""


class MessageError(ValueError):
    """A line that is no valid message; its text says what is wrong with it."""


@dataclass(frozen=True)
class Request:
    """One thing to do.

    input: path of the volume (download: of the weights' description); outputs: image name (see OUTPUT_NAMES; download:
    DOWNLOAD_OUTPUT) -> path to write; options: see OPTION_NAMES, what is left out takes its default; slice: index along
    the acquisition's slice axis (preview only); modality: "CT", "MR" or None when the caller does not know it;
    reference: path of a volume to measure a restoration against.
    """

    id: str
    kind: str
    input: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    slice: int | None = None
    modality: str | None = None
    reference: str = ""


@dataclass(frozen=True)
class ProgressEvent:
    """Work done so far: `done` of `total` steps of `stage`; seconds_left is None and device empty while unknown."""

    id: str
    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    device: str = ""


@dataclass(frozen=True)
class WarningEvent:
    """Something the user should know although the job goes on, as one sentence."""

    id: str
    message: str


@dataclass(frozen=True)
class DoneEvent:
    """The job is finished and its output files are complete."""

    id: str
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorEvent:
    """The job failed and wrote nothing: `message` is one sentence for the user, `detail` is for a bug report."""

    id: str
    kind: str
    message: str
    detail: str = ""


Event = ProgressEvent | WarningEvent | DoneEvent | ErrorEvent
_EVENT_CLASSES = {"progress": ProgressEvent, "warning": WarningEvent, "done": DoneEvent, "error": ErrorEvent}
_EVENT_NAMES = {cls: name for name, cls in _EVENT_CLASSES.items()}


def encode(message: Request | Event) -> bytes:
    """The message as one line with its newline.

    NaN and infinities, which JSON has not, become null; paths, numpy scalars and arrays become text, numbers, lists.
    """
    content = _jsonable(asdict(message))
    if type(message) in _EVENT_NAMES:
        content = {"id": content.pop("id"), "event": _EVENT_NAMES[type(message)], **content}
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def decode_request(line: bytes | str) -> Request:
    """Parse and check one line of the worker's input. Raises MessageError."""
    content = _load(line)
    request = _build(Request, content)
    _require(request.kind in KINDS, f"kind is {request.kind!r}, not one of {', '.join(KINDS)}")
    for name, value in request.options.items():
        _require(name in OPTION_NAMES, f"unknown option {name!r}")
        plain = value is None or isinstance(value, (str, int, float, bool))
        _require(plain or _is_numbers(value), f"option {name!r} has a value of type {type(value).__name__}")
    for name, path in request.outputs.items():
        known = (DOWNLOAD_OUTPUT,) if request.kind == "download" else OUTPUT_NAMES
        _require(name in known, f"unknown output {name!r}")
        _require(isinstance(path, str) and path != "", f"output {name!r} has no path")
        _require(_is_path(path), f"output {name!r} is no path")
    for name, path in (("input", request.input), ("reference", request.reference)):
        _require(_is_path(path), f"{name} is no path")
    _require(request.modality in (None, "CT", "MR"), f"modality is {request.modality!r}, not CT, MR or null")
    if request.kind in (*JOB_KINDS, "download"):
        _require(request.input != "", f"a {request.kind} request needs an input")
        _require(len(request.outputs) > 0, f"a {request.kind} request needs at least one output")
    _require(request.kind != "preview" or request.slice is not None, "a preview request needs a slice")
    return request


def decode_event(line: bytes | str) -> Event:
    """Parse and check one line of the worker's output. Raises MessageError."""
    content = _load(line)
    name = content.pop("event", None)
    _require(isinstance(name, str) and name in _EVENT_CLASSES, f"event is {name!r}")
    event = _build(_EVENT_CLASSES[name], content)
    if isinstance(event, ErrorEvent):
        _require(event.kind in ERROR_KINDS, f"error kind is {event.kind!r}")
    if isinstance(event, ProgressEvent):
        _require(0 <= event.done <= event.total, f"{event.done} of {event.total} is no progress")
    return event


def _load(line: bytes | str) -> dict[str, Any]:
    _require(len(line) <= LONGEST_LINE_BYTES, f"a line of {len(line)} bytes is too long for a message")
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not JSON ({error})") from None
    _require(isinstance(content, dict), f"a JSON {type(content).__name__} where an object was expected")
    return content


_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "kind": (str,),
    "input": (str,),
    "reference": (str,),
    "options": (dict,),
    "outputs": (dict,),
    "slice": (int, type(None)),
    "modality": (str, type(None)),
    "stage": (str,),
    "done": (int,),
    "total": (int,),
    "seconds_left": (int, float, type(None)),
    "device": (str,),
    "message": (str,),
    "report": (dict,),
    "detail": (str,),
}


def _build(cls: type, content: dict[str, Any]) -> Any:
    known = {f.name for f in fields(cls)}
    for name, value in content.items():
        _require(name in known, f"unknown field {name!r} in a {cls.__name__.lower()}")
        right_type = isinstance(value, _FIELD_TYPES[name]) and not isinstance(value, bool)
        _require(right_type, f"field {name!r} has a value of type {type(value).__name__}")
    try:
        return cls(**content)
    except TypeError as error:
        raise MessageError(f"incomplete {cls.__name__.lower()} ({error})") from None


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise MessageError(f"Bad message: {problem}.")


def _is_path(text: str) -> bool:
    return len(text) <= LONGEST_PATH and "\0" not in text


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # a numpy scalar or array, without importing numpy here
        return _jsonable(value.tolist())
    return str(value)

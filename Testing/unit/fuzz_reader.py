"""A process that reads volume files, each in a fork of its own with limits, and says what became of it.

A line of JSON in: {"path", "cpu_s"}. A line of JSON out: {"outcome": "read", "refused", "raised" or "died", "message",
"seconds", "peak_bytes" beyond what the process had before}.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.volume_io import read_volume


def main() -> None:
    """Serve standard input until it ends."""
    for line in sys.stdin:
        task = json.loads(line)
        print(json.dumps(judged(Path(task["path"]), task["cpu_s"])), flush=True)


def judged(path: Path, cpu_s: int) -> dict:
    """What becomes of one file in a fork."""
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        signal.alarm(20 * cpu_s)  # for what waits without computing, as for a pipe
        before = resident_bytes(reset_peak=True)
        outcome = outcome_of(path)
        os.write(writing, json.dumps({**outcome, "peak_bytes": resident_bytes() - before}).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    answer = json.loads(told) if told else {"outcome": "died", "message": f"status {status}", "peak_bytes": 0}
    return {**answer, "seconds": time.monotonic() - started}


def resident_bytes(reset_peak: bool = False) -> int:
    """The peak of this process's resident memory since it was reset; 0 where no /proc tells it."""
    try:
        if reset_peak:
            Path("/proc/self/clear_refs").write_text("5")
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def outcome_of(path: Path) -> dict:
    """Read the file; one that is read must hold nothing but what is in the file."""
    try:
        image = read_volume(path)
    except UserError as error:
        return {"outcome": "refused", "message": error.message}
    except BaseException as error:
        return {"outcome": "raised", "message": f"{type(error).__name__}: {error}"[:500]}
    voxels = sitk.GetArrayFromImage(image)
    if path.suffix == ".dcm":  # decoded and rescaled: leftover memory would show in a second reading
        again = np.array_equal(voxels, sitk.GetArrayFromImage(read_volume(path)), equal_nan=True)
        return {"outcome": "read", "message": "twice"} if again else {"outcome": "raised", "message": "other voxels"}
    if is_rescaled(path) or image.GetNumberOfComponentsPerPixel() > 1:
        return {"outcome": "read", "message": "rescaled"}
    content = content_of(path)
    if voxels.tobytes() in content or voxels.byteswap().tobytes() in content:
        return {"outcome": "read", "message": "as stored"}
    return {"outcome": "raised", "message": f"voxels that are not in the file: {voxels.dtype} {voxels.shape}"}


def is_rescaled(path: Path) -> bool:
    """Whether a NIfTI header has a slope or intercept, with which voxels are other numbers than those stored."""
    if not path.name.endswith((".nii", ".nii.gz", ".hdr")):
        return False
    header = (gzip.open if path.name.endswith(".gz") else open)(path, "rb").read(348)
    slopes = np.frombuffer(header[112:120], "<f4"), np.frombuffer(header[112:120], ">f4")
    return not any(pair[0] in (0, 1) and pair[1] == 0 for pair in slopes)


def content_of(path: Path) -> bytes:
    """All bytes of the files beside `path`, and what is compressed in them."""
    content = b""
    for file in path.parent.iterdir():
        raw = file.read_bytes()
        content += raw + b"|"
        for magic in (b"\x1f\x8b\x08", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
            place = -1
            while (place := raw.find(magic, place + 1)) >= 0:
                inflater = zlib.decompressobj(47)
                try:
                    content += inflater.decompress(raw[place:], 1 << 22) + b"|"
                except zlib.error:
                    continue
    return content


if __name__ == "__main__":
    main()

"""The worker process, for real: jobs, warmth, cancel, death, and a channel that carries messages only."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.worker.client import CANCEL_LIMIT_S, WorkerClient, worker_command, worker_environment
from LRformerSlicerLib.worker.messages import DoneEvent, ErrorEvent, ProgressEvent, Request, decode_event

LONGEST_JOB_S = 120
FAST = {"device": "cpu", "prior": "none"}


@pytest.fixture
def client():
    """A client on one thread, so that what it does beside the other tests stays small; ended in any case."""
    client = WorkerClient(environment=worker_environment({**os.environ, "OMP_NUM_THREADS": "1"}))
    yield client
    client.close()


@pytest.fixture
def scan(tmp_path, ct_image):
    """The path of a small CT volume; its folder's name has spaces and umlauts."""
    folder = tmp_path / "Schädel CT 2 ü"
    folder.mkdir()
    path = folder / "größe.nrrd"
    sitk.WriteImage(ct_image, str(path))
    return path


@pytest.fixture
def long_scan(tmp_path, ct_image):
    """The path of a CT volume that takes far longer than it takes to be cancelled."""
    path = tmp_path / "long.nrrd"
    sitk.WriteImage(sitk.Tile([ct_image] * 150, [1, 1, 150]), str(path))
    return path


def events_until_end(client, request_id):
    """All events of a request up to its last."""
    events = []
    deadline = time.monotonic() + LONGEST_JOB_S
    while time.monotonic() < deadline:
        for event in client.poll():
            events.append(event)
            if isinstance(event, (DoneEvent, ErrorEvent)) and event.id in (request_id, ""):
                return events
        time.sleep(0.01)
    raise AssertionError(f"no end after {LONGEST_JOB_S} s; last events: {events[-3:]}")


def wait_for_progress(client, stage="restore", done=1):
    """Poll until the job has come this far."""
    deadline = time.monotonic() + LONGEST_JOB_S
    while time.monotonic() < deadline:
        for event in client.poll():
            assert not isinstance(event, (DoneEvent, ErrorEvent)), event
            if isinstance(event, ProgressEvent) and event.stage == stage and event.done >= done:
                return
        time.sleep(0.01)
    raise AssertionError(f"the job never reached {stage} {done}")


def restore(client, scan, folder, checkpoint, **options):
    """Submit a restoration of `scan` into `folder`; returns request id and output paths."""
    outputs = {name: folder / f"{name} ä.nrrd" for name in ("restored", "prior", "uncertainty")}
    options = {**FAST, "task": "ct-denoise", "model": str(checkpoint), **options}
    return client.submit("restore", scan, outputs, options), outputs


def test_a_job_writes_its_images_beside_spaces_and_umlauts(client, scan, checkpoints):
    request_id, outputs = restore(client, scan, scan.parent, checkpoints["ct-denoise"])
    events = events_until_end(client, request_id)
    assert isinstance(events[-1], DoneEvent), events[-1]
    assert events[-1].report["task"] == "ct-denoise"
    stages = list(dict.fromkeys(event.stage for event in events if isinstance(event, ProgressEvent)))
    assert stages == ["load", "restore", "write"]
    original, restored = (sitk.ReadImage(str(path)) for path in (scan, outputs["restored"]))
    assert restored.GetPixelID() == original.GetPixelID()
    assert restored.GetDirection() == pytest.approx(original.GetDirection())
    before, after = (sitk.GetArrayFromImage(image) for image in (original, restored))
    assert (before != after).mean() > 0.05, "the network changed nothing"
    assert sitk.ReadImage(str(outputs["uncertainty"])).GetSize() == original.GetSize()
    assert not client.busy


def test_the_same_worker_serves_the_second_job_faster(client, scan, checkpoints):
    seconds = []
    pids = []
    for _ in range(2):
        started = time.perf_counter()
        request_id, _ = restore(client, scan, scan.parent, checkpoints["ct-denoise"])
        assert isinstance(events_until_end(client, request_id)[-1], DoneEvent)
        seconds.append(time.perf_counter() - started)
        pids.append(client.pid)
    print(f"first job {seconds[0]:.2f} s, second job {seconds[1]:.2f} s")
    assert pids[0] == pids[1]
    assert seconds[1] < 0.5 * seconds[0]


def test_a_preview_is_the_slice_of_the_whole_restoration(client, scan, checkpoints):
    options = {**FAST, "task": "ct-denoise", "model": str(checkpoints["ct-denoise"])}
    whole, one = scan.parent / "whole.nrrd", scan.parent / "one.nrrd"
    assert isinstance(
        events_until_end(client, client.submit("restore", scan, {"restored": whole}, options))[-1], DoneEvent
    )
    request_id = client.submit("preview", scan, {"restored": one}, options, slice=2)
    assert isinstance(events_until_end(client, request_id)[-1], DoneEvent)
    whole_voxels, slice_voxels = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (whole, one))
    assert (slice_voxels[0] == whole_voxels[2]).all()


def test_cancel_ends_every_process_within_two_seconds(client, long_scan, checkpoints):
    restore(client, long_scan, long_scan.parent, checkpoints["ct-denoise"])
    wait_for_progress(client)
    tree = [psutil.Process(client.pid), *psutil.Process(client.pid).children(recursive=True)]
    started = time.perf_counter()
    client.cancel()
    seconds = time.perf_counter() - started
    print(f"cancelled in {seconds:.3f} s")
    assert seconds < CANCEL_LIMIT_S
    assert not any(process.is_running() for process in tree)
    assert not client.busy and client.pid is None and client.poll() == []
    assert not (long_scan.parent / "restored ä.nrrd").exists()


def test_cancel_also_ends_what_stands_behind_a_launcher(long_scan, checkpoints):
    # PythonSlicer is such a launcher: the process that computes is its child, and would outlive it.
    launcher = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    client = WorkerClient([sys.executable, "-c", launcher, *worker_command()])
    try:
        restore(client, long_scan, long_scan.parent, checkpoints["ct-denoise"])
        wait_for_progress(client)
        children = psutil.Process(client.pid).children(recursive=True)
        assert children, "the launcher has no child"
        assert client.cancel() < CANCEL_LIMIT_S
        assert not any(child.is_running() for child in children)
    finally:
        client.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_a_killed_worker_is_one_clear_message_and_the_next_job_works(client, long_scan, scan, checkpoints):
    request_id, _ = restore(client, long_scan, long_scan.parent, checkpoints["ct-denoise"])
    wait_for_progress(client)
    first_pid = client.pid
    os.kill(first_pid, signal.SIGKILL)
    events = events_until_end(client, request_id)
    errors = [event for event in events if isinstance(event, ErrorEvent)]
    assert len(errors) == 1 and errors[0].kind == "worker" and errors[0].id == request_id
    assert "SIGKILL" in errors[0].message and "click Restore" in errors[0].message
    assert client.poll() == [] and not client.busy

    request_id, outputs = restore(client, scan, scan.parent, checkpoints["ct-denoise"])
    assert isinstance(events_until_end(client, request_id)[-1], DoneEvent)
    assert outputs["restored"].exists() and client.pid != first_pid


def test_a_worker_that_cannot_start_says_why(tmp_path):
    client = WorkerClient([sys.executable, "-c", "import sys; sys.exit('no torch here')"])
    try:
        request_id = client.submit("ping")
        error = events_until_end(client, request_id)[-1]
        assert error.kind == "worker" and "exit status 1" in error.message and "no torch here" in error.detail
    except UserError as error:  # it was gone before the line was sent
        assert "no torch here" in error.message
    finally:
        client.close()
    with pytest.raises(UserError, match="could not be started"):
        WorkerClient([str(tmp_path / "no such python")]).start()


def test_an_error_of_the_user_leaves_the_worker_ready(client, scan, checkpoints):
    for options in ({"task": "mr-artifact"}, {"device": "abacus"}, {"model": str(scan)}):
        request_id, outputs = restore(client, scan, scan.parent, checkpoints["ct-denoise"], **options)
        error = events_until_end(client, request_id)[-1]
        assert isinstance(error, ErrorEvent) and error.kind == "user", error
        assert "\n" not in error.message and error.message.endswith(".")
        assert not any(path.exists() for path in outputs.values())
    pid = client.pid
    request_id, _ = restore(client, scan, scan.parent, checkpoints["ct-denoise"])
    assert isinstance(events_until_end(client, request_id)[-1], DoneEvent) and client.pid == pid


def test_a_reference_without_scikit_image_is_a_warning_in_the_report(scan, checkpoints, tmp_path, monkeypatch):
    from LRformerSlicerLib.worker import server

    find_spec = server.importlib.util.find_spec
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None if name == "skimage" else find_spec(name))
    options = {**FAST, "task": "ct-denoise", "model": str(checkpoints["ct-denoise"])}
    outputs = {"restored": str(tmp_path / "out.nrrd")}
    events = []
    request = Request("1", "restore", input=str(scan), outputs=outputs, options=options, reference=str(scan))
    server.Jobs(events.append).serve(request)
    assert isinstance(events[-1], DoneEvent), events[-1]
    assert "scikit-image" in events[-1].report["warnings"][-1] and "metrics" not in events[-1].report


def test_several_outputs_appear_together_or_not_at_all(client, scan, checkpoints):
    options = {**FAST, "task": "ct-denoise", "model": str(checkpoints["ct-denoise"])}
    good, bad = scan.parent / "good.nrrd", scan.parent / "no such folder" / "prior.nrrd"
    error = events_until_end(client, client.submit("restore", scan, {"restored": good, "prior": bad}, options))[-1]
    assert isinstance(error, ErrorEvent) and error.kind == "user"
    assert not good.exists()


def test_standard_output_carries_messages_only(scan, checkpoints, tmp_path):
    # A library that prints, in Python and in C, at import and during a job.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, threading, time\n"
        "def chatter():\n"
        "    while True:\n"
        "        print('chatter from Python'); sys.stdout.flush()\n"
        "        os.write(1, b'chatter from C\\n'); time.sleep(0.02)\n"
        "import LRformerSlicerLib.worker.server as server\n"
        "claim = server._claim_standard_output\n"
        "def claim_then_chat():\n"
        "    channel = claim()\n"
        "    threading.Thread(target=chatter, daemon=True).start()\n"
        "    return channel\n"
        "server._claim_standard_output = claim_then_chat\n"
    )
    environment = worker_environment()
    environment["PYTHONPATH"] += os.pathsep + str(tmp_path)
    request = {
        "id": "1",
        "kind": "restore",
        "input": str(scan),
        "outputs": {"restored": str(scan.parent / "out.nrrd")},
        "options": {**FAST, "task": "ct-denoise", "model": str(checkpoints["ct-denoise"])},
    }
    with subprocess.Popen(
        worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as worker:
        for content in (request, {"id": "2", "kind": "shutdown"}):
            worker.stdin.write(json.dumps(content).encode() + b"\n")
        worker.stdin.flush()
        out = worker.stdout.read()
        chatter = worker.stderr.read()
        assert worker.wait(timeout=30) == 0
    events = [decode_event(line) for line in out.splitlines()]
    assert [event.id for event in events if isinstance(event, DoneEvent)] == ["1", "2"]
    assert b"chatter from Python" in chatter and b"chatter from C" in chatter


def test_a_line_that_is_no_request_is_answered_and_survived(client):
    client.start()
    client._process.stdin.write(b"hello\n")
    client.submit("ping")
    events = []
    while client.busy:
        events += client.poll()
    assert isinstance(events[0], ErrorEvent) and "not JSON" in events[0].detail
    assert isinstance(events[1], DoneEvent)


@pytest.mark.parametrize("is_computing", [False, True])
def test_the_worker_ends_by_itself_when_its_standard_input_closes(client, long_scan, checkpoints, is_computing):
    client.start()
    if is_computing:
        restore(client, long_scan, long_scan.parent, checkpoints["ct-denoise"])
        wait_for_progress(client)
    process = psutil.Process(client.pid)
    started = time.perf_counter()
    client._process.stdin.close()
    client._process.wait(timeout=10)
    print(f"ended {time.perf_counter() - started:.2f} s after its input closed, computing: {is_computing}")
    assert not process.is_running()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_the_worker_ends_when_its_parent_is_killed():
    parent_code = (
        "import time; from LRformerSlicerLib.worker.client import WorkerClient\n"
        "client = WorkerClient(); client.submit('ping')\n"
        "while client.busy: client.poll(); time.sleep(0.01)\n"
        "print(client.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code], stdout=subprocess.PIPE, env=worker_environment()
    ) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        os.kill(parent.pid, signal.SIGKILL)
        worker.wait(timeout=10)
    assert not worker.is_running()


def test_the_client_loads_neither_torch_nor_qt():
    code = (
        "import sys; import LRformerSlicerLib.worker.client as c; import psutil\n"
        "w = c.WorkerClient(); w.submit('ping')\n"
        "while w.busy: w.poll()\n"
        "w.close(); print(sorted({'torch', 'qt', 'PySide6', 'vtk', 'slicer', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=worker_environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_worker_finds_the_library_before_anything_of_the_same_name(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('a stray torch')")
    monkeypatch.chdir(tmp_path)
    environment = worker_environment({"PYTHONPATH": "/elsewhere", "PYTHONINSPECT": "1", "PATH": os.environ["PATH"]})
    assert environment["PYTHONPATH"].split(os.pathsep)[1:] == ["/elsewhere"]
    assert "PYTHONINSPECT" not in environment
    code = "import importlib.util; print(importlib.util.find_spec('torch').origin)"
    client = WorkerClient([sys.executable, "-c", code], environment)
    client.start()
    printed = client._process.wait(timeout=30)
    assert printed == 0
    assert b"site-packages" in os.read(client._process.stdout.fileno(), 65536)
    client.close()


@pytest.mark.parametrize("place", [".", "bin", "../bin"])
def test_pythonslicer_is_taken_from_beside_slicer_and_never_from_the_path(tmp_path, monkeypatch, place):
    from LRformerSlicerLib.worker.client import python_slicer

    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    stray, application = tmp_path / "stray", tmp_path / "Slicer" / "app"
    for folder in (stray, application, (application / place)):
        folder.mkdir(parents=True, exist_ok=True)
    (stray / name).write_text("somebody else's")
    (stray / name).chmod(0o755)
    monkeypatch.chdir(stray)
    monkeypatch.setenv("PATH", str(stray))
    assert python_slicer(application / "SlicerApp-real") is None
    assert worker_command()[0] == sys.executable
    (application / place / name).write_text("Slicer's")
    assert python_slicer(application / "SlicerApp-real").samefile(application / place / name)

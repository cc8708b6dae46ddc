"""Limits of a volume in a folder: it is stopped and named, and the others go on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from LRformerSlicerLib.command_line.cluster import TLSFiles
from LRformerSlicerLib.errors import UserError

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def restore_folder(tmp_path, ct_image, checkpoints):
    """Restores a folder with a long volume `1` and a short one `2`; returns exit code, standard output and error."""
    (tmp_path / "in").mkdir()
    sitk.WriteImage(sitk.JoinSeries([ct_image[:, :, 0]] * 8000), str(tmp_path / "in" / "1.nrrd"))
    sitk.WriteImage(ct_image[:, :, :1], str(tmp_path / "in" / "2.nrrd"))

    def run(*words: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "LRformerSlicerLib", "restore", tmp_path / "in", tmp_path / "out", "--model",
                   checkpoints["ct-denoise"], "--prior", "none", "--device", "cpu", *words]  # fmt: skip
        return subprocess.run(
            list(map(str, command)), capture_output=True, encoding="utf-8", env=ENVIRONMENT, timeout=300
        )

    return run


def test_a_volume_that_takes_too_long_is_stopped_and_the_others_go_on(restore_folder, tmp_path):
    done = restore_folder("--time-limit", "0.3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1/2 1.nrrd: failed: It took longer than 0.3 minutes and was stopped" in done.stdout
    assert (tmp_path / "out" / "2.nrrd").exists() and not (tmp_path / "out" / "1.nrrd").exists()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_a_volume_that_needs_too_much_memory_is_stopped(restore_folder, tmp_path):
    done = restore_folder("--memory-limit", "0.01")
    assert done.returncode == 1
    assert "It needed more than 0.01 GiB of memory and was stopped" in done.stdout


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (["--time-limit", "0"], "--time-limit 0 allows nothing"),
        (["--memory-limit", "nan"], "--memory-limit nan allows nothing"),
        (["--time-limit", "5", "--scheduler", "tcp://127.0.0.1:9"], "is for processes on this machine"),
        (["--tls-cert", "a.pem"], "--tls-cert is for a cluster"),
    ],
)
def test_limits_that_mean_nothing(lrformer, tmp_path, ct_image, words, telling):
    (tmp_path / "in").mkdir()
    sitk.WriteImage(ct_image, str(tmp_path / "in" / "1.nrrd"))
    code, _, complaint = lrformer("restore", tmp_path / "in", tmp_path / "out", *words)
    assert code == 2 and telling in complaint and complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate and its key, made by openssl."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(cert),
               "-days", "1", "-subj", "/CN=localhost"]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("there is no openssl to make a certificate with")
    return cert, key


def test_tls_files_are_all_or_none_and_fit(tmp_path):
    assert TLSFiles().security() is None
    (tmp_path / "a.pem").write_text("no certificate")
    with pytest.raises(UserError, match="give --tls-key"):
        TLSFiles(tmp_path / "a.pem", tmp_path / "a.pem").security()
    with pytest.raises(UserError, match="no file"):
        TLSFiles(tmp_path / "none.pem", tmp_path / "a.pem", tmp_path / "a.pem").security()
    with pytest.raises(UserError, match="do not fit together or are damaged"):
        TLSFiles(tmp_path / "a.pem", tmp_path / "a.pem", tmp_path / "a.pem").security()


def test_a_cluster_over_tls_restores(lrformer, tmp_path, ct_image, checkpoints):
    from distributed import LocalCluster

    cert, key = certificate(tmp_path)
    (tmp_path / "in").mkdir()
    sitk.WriteImage(ct_image[:, :, :1], str(tmp_path / "in" / "1.nrrd"))
    security = TLSFiles(cert, cert, key).security()
    for role in ("scheduler", "worker"):
        setattr(security, f"tls_{role}_cert", str(cert))
        setattr(security, f"tls_{role}_key", str(key))
    words = ["restore", tmp_path / "in", tmp_path / "out", "--model", checkpoints["ct-denoise"], "--prior", "none"]
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, protocol="tls://",
                      security=security) as cluster:  # fmt: skip
        assert cluster.scheduler_address.startswith("tls://")
        tls = ["--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key]
        code, printed, complaint = lrformer(*words, "--scheduler", cluster.scheduler_address, *tls)
    assert code == 0, printed + complaint
    words[2] = tmp_path / "other"
    code, _, complaint = lrformer(*words, "--scheduler", "tcp://127.0.0.1:9", *tls)
    assert code == 2 and "TLS needs an address such as tls://" in complaint

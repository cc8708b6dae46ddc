"""Every kind of bad input: one sentence, exit code 2, nothing written, nothing lost."""

import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.restoration.volume_io import read_volume

SEPARATOR = "\n"


@pytest.fixture
def refused(lrformer, file_hash, tmp_path):
    """Runs the command, asserts that it is refused with this sentence and that files are as they were."""

    def check(sentence: str, *words: object) -> str:
        def state() -> dict[str, str]:
            return {str(path): file_hash(path) for path in tmp_path.rglob("*") if path.is_file()}

        before = state()
        code, printed, complaint = lrformer(*words)
        assert code == 2
        assert sentence in complaint
        assert complaint.endswith(SEPARATOR) and complaint.count(SEPARATOR) == 1, complaint
        assert complaint.rstrip().endswith(".")
        assert printed == ""
        assert state() == before, "nothing written, nothing lost"
        return complaint

    return check


@pytest.fixture
def ct_file(tmp_path, ct_image) -> Path:
    path = tmp_path / "in" / "scan.nii.gz"
    path.parent.mkdir()
    sitk.WriteImage(ct_image, str(path))
    return path


@pytest.fixture
def mr_file(tmp_path, mr_image) -> Path:
    path = tmp_path / "mr.nii.gz"
    sitk.WriteImage(mr_image, str(path))
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out.nii.gz"


@pytest.fixture
def options(checkpoints) -> list[object]:
    return ["--model", checkpoints["ct-denoise"], "--prior", "none", "--device", "cpu"]


@pytest.fixture
def store(tmp_path):
    """Writes voxels as a NIfTI file."""

    def save(voxels: np.ndarray, name: str = "made.nii.gz", spacing=None, vector: bool = False) -> Path:
        image = sitk.GetImageFromArray(voxels, isVector=vector)
        if spacing is not None:
            image.SetSpacing(spacing)
        sitk.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return save


def test_no_such_file(refused, tmp_path, out):
    refused(f'There is no file "{tmp_path / "none.nii"}"', "restore", tmp_path / "none.nii", out)


@pytest.mark.parametrize("name", ["notes.txt", "broken.nii.gz", "broken.nrrd", "empty.nii"])
def test_not_an_image(refused, tmp_path, out, name):
    (tmp_path / name).write_bytes(b"" if name == "empty.nii" else b"hello")
    refused("is not an image that can be read", "restore", tmp_path / name, out)


def test_truncated_image(refused, tmp_path, ct_file, out):
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(ct_file.read_bytes()[:4000])
    refused("is not an image that can be read, or it is damaged", "restore", cut, out)


def test_folder_without_dicom(refused, tmp_path, out):
    refused("holds no DICOM series", "restore", tmp_path, out)


@pytest.mark.parametrize("name", ["whole.nii", "whole.nii.gz", "whole.nrrd", "whole.mha", "whole.img"])
def test_truncated_images_of_every_format(refused, tmp_path, ct_image, out, name):
    sitk.WriteImage(ct_image, str(tmp_path / name))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    refused("or it is damaged", "restore", tmp_path / name, out)


@pytest.mark.parametrize("value", [0, -1000, 37])
def test_constant_volume(refused, store, out, options, value):
    path = store(np.full((3, 32, 32), value, dtype=np.int16))
    refused(f"Every voxel has the value {value}", "restore", path, out, *options)


def test_nothing_but_nan(refused, store, out, options):
    path = store(np.full((3, 32, 32), np.nan, dtype=np.float32))
    refused("3072 of 3072 voxels are NaN or infinite", "restore", path, out, *options)


def test_some_nan_are_named_and_restored_around(lrformer, store, ct_image, out, options):
    voxels = sitk.GetArrayFromImage(ct_image).astype(np.float32)
    voxels[0, 30, 30:37] = np.nan
    path = store(voxels)
    code, _, complaint = lrformer("restore", path, out, *options)
    assert code == 0 and "7 voxels are NaN or infinite" in complaint
    assert np.isnan(sitk.GetArrayFromImage(read_volume(out))).sum() == 7


def test_colour(refused, store, out, options):
    path = store(np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3)).astype(np.uint8), vector=True)
    refused("Each voxel has 3 values (colour or vector)", "restore", path, out, *options)


def test_four_dimensions(refused, store, out, options):
    path = store(np.random.default_rng(0).integers(0, 255, (2, 3, 32, 32)).astype(np.int16))
    refused("The image has 4 dimensions", "restore", path, out, *options)


@pytest.mark.parametrize("shape", [(4, 8, 8), (1, 1, 64), (30, 64, 4)])
def test_tiny_slices(refused, store, out, options, shape):
    path = store(np.random.default_rng(0).integers(0, 255, shape).astype(np.int16), spacing=(1, 1, 3))
    refused("but at least 16 x 16 are needed", "restore", path, out, *options)


def test_one_voxel_thin_volume_is_one_slice(lrformer, store, ct_image, out, options):
    path = store(sitk.GetArrayFromImage(ct_image)[:1])
    assert lrformer("restore", path, out, *options)[0] == 0
    assert sitk.ReadImage(str(out)).GetSize() == (80, 72, 1)


def test_ct_task_on_mr(refused, mr_file, out):
    refused("The task ct-denoise is for CT in Hounsfield units, but this volume is MR", "restore", mr_file, out,
            "--task", "ct-denoise")  # fmt: skip


def test_ct_model_on_mr(refused, mr_file, out, options):
    refused("ct-denoise is for CT in Hounsfield units", "restore", mr_file, out, *options)


def test_mr_task_on_ct(refused, ct_file, out):
    refused("mr-sr2 is for MR, but this volume is CT", "restore", ct_file, out, "--task", "mr-sr2")


def test_unknown_task(refused, ct_file, out):
    refused('There is no task "sharpen": choose ct-denoise', "restore", ct_file, out, "--task", "sharpen")


def test_super_resolution_of_a_huge_grid(refused, mr_file, out, checkpoints, monkeypatch):
    free = psutil.virtual_memory()._replace(available=2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    complaint = refused(
        "The restored grid of 256 x 288 x 4 voxels needs 0.0 GiB of memory",
        "restore", mr_file, out, "--model", checkpoints["mr-sr4"], "--prior", "none",
    )  # fmt: skip
    assert "crop the volume first or choose a smaller factor" in complaint


def test_super_resolution_of_a_grid_that_no_machine_holds(refused, tmp_path, out, checkpoints):
    # Compresses to almost nothing on disk; its 4 x finer grid would take over 100 GiB here.
    voxels = np.zeros((1600, 512, 512), dtype=np.uint8)
    voxels[800, 100:400, 100:400] = np.random.default_rng(1).integers(150, 250, (300, 300))
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.5, 1.0))
    sitk.WriteImage(image, str(tmp_path / "huge.nii.gz"))
    needed = 1600 * 2048 * 2048 * 9 / 2**30
    if psutil.virtual_memory().available * 0.85 > needed * 2**30:
        pytest.skip("this machine really has the memory")
    refused(
        f"The restored grid of 2048 x 2048 x 1600 voxels needs {needed:.1f} GiB of memory",
        "restore", tmp_path / "huge.nii.gz", out, "--model", checkpoints["mr-sr4"], "--prior", "none",
    )  # fmt: skip


def test_roi_outside(refused, ct_file, out, options):
    refused("The ROI lies outside the volume, which covers x ", "restore", ct_file, out, *options,
            "--roi", "-900,-880,0,20,-400,-390")  # fmt: skip


@pytest.mark.parametrize("roi", ["1,2,3", "a,b,c,d,e,f", "1,2,3,4,5,nan"])
def test_malformed_roi(refused, ct_file, out, options, roi):
    refused("six numbers in LPS mm", "restore", ct_file, out, *options, "--roi", roi)


def test_only_roi_without_roi(refused, ct_file, out, options):
    refused("Restoring only a region needs the region", "restore", ct_file, out, *options, "--only-roi")


class TestModelFile:
    """The model: missing, truncated, of another task, tampered with, a pickle."""

    @pytest.fixture
    def copy(self, tmp_path, checkpoints):
        path = tmp_path / "model.safetensors"
        shutil.copy(checkpoints["ct-denoise"], path)
        shutil.copy(checkpoints["ct-denoise"].with_suffix(".json"), path.with_suffix(".json"))
        return path

    def test_missing(self, refused, ct_file, out, tmp_path):
        refused("gone.safetensors", "restore", ct_file, out, "--model", tmp_path / "gone.safetensors")

    def test_truncated(self, refused, ct_file, out, copy):
        copy.write_bytes(copy.read_bytes()[:1000])
        refused(copy.name, "restore", ct_file, out, "--model", copy)

    def test_without_card(self, refused, ct_file, out, copy):
        copy.with_suffix(".json").unlink()
        refused("card", "restore", ct_file, out, "--model", copy)

    def test_of_another_task(self, refused, ct_file, out, checkpoints):
        refused("mr-artifact", "restore", ct_file, out, "--task", "ct-denoise", "--model", checkpoints["mr-artifact"])

    def test_tampered(self, refused, ct_file, out, copy):
        content = bytearray(copy.read_bytes())
        content[-5] ^= 1
        copy.write_bytes(bytes(content))
        refused("SHA256", "restore", ct_file, out, "--model", copy)

    def test_pickle(self, refused, ct_file, out, copy, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "code-was-run",))

        copy.write_bytes(pickle.dumps(Trap()))
        refused("safetensors", "restore", ct_file, out, "--model", copy)
        assert not (tmp_path / "code-was-run").exists()

    def test_medsam_checkpoint_that_runs_code(self, refused, ct_file, out, options, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "code-was-run",))

        torch.save({"weights": Trap()}, tmp_path / "medsam.pth")
        words = [*options[:2], "--device", "cpu", "--prior", "medsam", "--medsam-checkpoint", tmp_path / "medsam.pth"]
        refused("medsam", "restore", ct_file, out, *words)
        assert not (tmp_path / "code-was-run").exists()

    def test_medsam_without_checkpoint(self, refused, ct_file, out, options):
        refused("give the path of medsam_vit_b.pth", "restore", ct_file, out, *options[:2], "--prior", "medsam")

    def test_no_shipped_weights(self, refused, mr_file, out, tmp_path, monkeypatch):
        monkeypatch.setattr("LRformerSlicerLib.restoration.models.MODELS_FOLDER", tmp_path / "no-models")
        refused("No weights for mr-artifact come with this version", "restore", mr_file, out)


def mount_small_disk(folder: Path, how: str) -> None:
    """A disk of its own at `folder`; skips where this user may not mount (test_volume_io needs no right to)."""
    command = ["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")


class TestOutput:
    """The output: its folder, its name, its disk."""

    def test_missing_folder(self, refused, ct_file, tmp_path, options):
        refused("There is no folder", "restore", ct_file, tmp_path / "nowhere" / "out.nii.gz", *options)

    @pytest.mark.parametrize(
        "further", ["--prior-out", "--uncertainty-out", "--consistency-out", "--difference-out", "--report"]
    )
    def test_missing_folder_of_a_further_output(self, refused, ct_file, tmp_path, out, checkpoints, further):
        refused("There is no folder", "restore", ct_file, out, "--model", checkpoints["ct-denoise"], further,
                tmp_path / "nowhere" / "more.nii.gz")  # fmt: skip
        assert not out.exists()

    def test_read_only_folder(self, refused, ct_file, tmp_path, options):
        """Root may write into any folder but not onto a read-only disk; other users are kept out by permissions."""
        locked = tmp_path / "locked"
        locked.mkdir()
        if os.getuid() != 0:
            locked.chmod(0o555)
            refused("cannot be written to: choose another", "restore", ct_file, locked / "out.nii.gz", *options)
            locked.chmod(0o755)
        else:
            mount_small_disk(locked, "ro")
            try:
                refused("cannot be written to: choose another", "restore", ct_file, locked / "out.nii.gz", *options)
            finally:
                subprocess.run(["umount", str(locked)], check=True)
        assert not list(locked.iterdir())

    def test_full_disk(self, refused, ct_file, tmp_path, options):
        small = tmp_path / "small"
        small.mkdir()
        if (
            shutil.which("mount") is None
            or subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(small)], capture_output=True
            ).returncode
        ):
            pytest.skip("this user may not mount a small disk (test_volume_io limits the file size instead)")
        try:
            refused("is full", "restore", ct_file, small / "out.nii.gz", *options)
            assert not list(small.iterdir())
        finally:
            subprocess.run(["umount", str(small)], check=True)

    def test_equal_to_the_input(self, refused, ct_file, options):
        refused("is also an input", "restore", ct_file, ct_file, *options)
        refused("is also an input", "restore", ct_file, ct_file.parent / ".." / "in" / ct_file.name, *options)

    def test_link_to_the_input(self, refused, ct_file, tmp_path, options):
        (tmp_path / "link.nii.gz").symlink_to(ct_file)
        refused("is also an input", "restore", ct_file, tmp_path / "link.nii.gz", *options)
        os.link(ct_file, tmp_path / "hard.nii.gz")
        refused("is also an input", "restore", ct_file, tmp_path / "hard.nii.gz", *options)

    def test_equal_to_another_output(self, refused, ct_file, out, checkpoints):
        refused(
            "is also another output", "restore", ct_file, out, "--model", checkpoints["ct-denoise"], "--prior-out", out
        )

    def test_equal_to_the_reference(self, refused, ct_file, out, mr_file, options):
        refused("is also an input", "restore", ct_file, mr_file, *options, "--reference", mr_file)

    def test_a_folder(self, refused, ct_file, tmp_path, options):
        refused("is a folder: give the name of a file", "restore", ct_file, tmp_path, *options)

    def test_unknown_file_type(self, refused, ct_file, tmp_path, options):
        refused("cannot hold a 3-D image", "restore", ct_file, tmp_path / "out.docx", *options)

    def test_map_without_prior(self, refused, ct_file, out, tmp_path, options):
        refused("Without a prior there is no uncertainty map", "restore", ct_file, out, *options,
                "--uncertainty-out", tmp_path / "u.nii.gz")  # fmt: skip

    def test_existing_output_survives_a_refusal(self, refused, ct_file, out, options):
        out.write_text("yesterday's result")
        refused("ROI lies outside", "restore", ct_file, out, *options, "--roi", "900,901,0,1,0,1")
        assert out.read_text() == "yesterday's result"

    def test_reference_on_another_grid(self, refused, ct_file, mr_file, out, options):
        refused("choose a reference on that grid", "restore", ct_file, out, *options, "--reference", mr_file)


def test_unknown_device(refused, ct_file, out, options):
    refused('There is no device "tpu": choose auto, cuda, mps or cpu.', "restore", ct_file, out, *options[:4],
            "--device", "tpu")  # fmt: skip


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none(refused, ct_file, out, options):
    refused("There is no CUDA device", "restore", ct_file, out, *options[:4], "--device", "cuda")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an MPS device")
def test_mps_where_there_is_none(refused, ct_file, out, options):
    refused("There is no MPS device", "restore", ct_file, out, *options[:4], "--device", "mps")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--strength", "1.5"], "The strength 1.5 is out of range"),
        (["--strength", "nan"], "The strength nan is out of range"),
        (["--samples", "0"], "0 samples make no prior"),
        (["--seed", "-1"], "The seed -1 is negative"),
        (["--seed", "one"], "Argument --seed: invalid int value: 'one'"),
        (["--prior", "dice"], 'There is no prior "dice"'),
        (["--progress", "loud"], 'There is no progress display "loud"'),
        (["--unheard-of"], "Unrecognized arguments: --unheard-of"),
    ],
)
def test_wrong_options(refused, ct_file, out, options, words, sentence):
    refused(sentence, "restore", ct_file, out, *options, *words)


def test_missing_and_unknown_subcommand(refused):
    refused("SUBCOMMAND")
    refused("invalid choice: 'improve'", "improve")
    refused("are required: OUT", "restore", "in.nii.gz")


def test_bad_input_to_the_other_subcommands(refused, ct_file, mr_file, out):
    refused("The prior none makes nothing", "prior", ct_file, out, "--prior", "none")
    refused("One degradation is needed", "simulate", ct_file, out)
    refused("One degradation is needed", "simulate", ct_file, out, "--dose", "0.5", "--motion")
    refused("The dose 1.5 is out of range", "simulate", ct_file, out, "--dose", "1.5")
    refused("needs CT, but this volume is MR", "simulate", mr_file, out, "--dose", "0.5")
    refused("needs MR, but this volume is CT", "simulate", ct_file, out, "--motion")
    refused("The factor 3 is not possible", "simulate", mr_file, out, "--factor", "3")
    refused("is also an input", "simulate", mr_file, mr_file, "--motion")

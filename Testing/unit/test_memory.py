"""Memory: a 512 x 512 x 600 CT must need less than 3 GiB beyond the volume itself."""

import os
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("resource", reason="peak memory is read from the operating system, which Windows does otherwise")

FULL_SIZE_VOXELS = 512 * 512 * 600
GIB = 2**30
SIDE = 256

MEASURE = """
import resource, sys
from LRformerSlicerLib.__main__ import main
code = main(sys.argv[1:])
assert code == 0, code
unit = 1 if sys.platform == "darwin" else 1024
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def peak_bytes(folder, checkpoint, ct_slice: np.ndarray, count: int, prior: str) -> int:
    """Peak memory of restoring `count` slices, of which only the middle one shows a body, with a float map too."""
    voxels = np.full((count, SIDE, SIDE), -1000, dtype=np.int16)
    voxels[count // 2, : ct_slice.shape[0], : ct_slice.shape[1]] = ct_slice
    voxels[:, 0, ::7] = -998
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.8, 0.8, 1.5))
    sitk.WriteImage(image, str(folder / "in.nii"))
    words = ["restore", folder / "in.nii", folder / "out.nii", "--model", checkpoint, "--device", "cpu"]
    words += ["--prior", prior, "--difference-out", folder / "difference.nii"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, words)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split("PEAK")[1])


def test_memory_grows_little_with_the_volume(tmp_path, checkpoints, ct_image):
    ct_slice = sitk.GetArrayFromImage(ct_image)[0]
    few, many = 20, 320
    # The growth is measured without a prior: what LiteMedSAM takes for a moment would hide what stays.
    at_few, at_many = (
        peak_bytes(tmp_path, checkpoints["ct-denoise"], ct_slice, count, "none") for count in (few, many)
    )
    bytes_per_voxel = (at_many - at_few) / ((many - few) * SIDE * SIDE)
    beyond_the_volume = bytes_per_voxel - 2
    fixed = peak_bytes(tmp_path, checkpoints["ct-denoise"], ct_slice, few, "lite-medsam")
    full_size = fixed + beyond_the_volume * FULL_SIZE_VOXELS
    print(f"{beyond_the_volume:.1f} bytes a voxel and {fixed / GIB:.2f} GiB fixed: {full_size / GIB:.2f} GiB in all")
    assert beyond_the_volume < 12
    assert full_size < 3 * GIB

"""The mean over mirror images: of which answers it is made, that mirroring the input mirrors it, and the report."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.self_ensemble import restored_by_ensemble


def test_it_is_the_mean_of_four_answers_each_turned_back():
    image = np.random.default_rng(0).normal(0, 1, (2, 1, 6, 8)).astype(np.float32)
    prior = np.random.default_rng(1).normal(0, 1, (2, 2, 6, 8)).astype(np.float32)
    seen = []

    def towards_the_corner(slices: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Depends on where a pixel lies, so that mirror images get different answers; the prior must follow."""
        seen.append((slices, maps))
        ramp = np.arange(6)[:, None] + 10.0 * np.arange(8)
        return slices[:, 0] * ramp + maps[:, 0]

    answer = restored_by_ensemble(towards_the_corner, image, prior)
    ramp = np.arange(6)[:, None] + 10.0 * np.arange(8)
    mean_ramp = np.mean([ramp, ramp[::-1], ramp[:, ::-1], ramp[::-1, ::-1]], axis=0)
    np.testing.assert_allclose(answer, image[:, 0] * mean_ramp + prior[:, 0], rtol=1e-5)
    assert len(seen) == 4 and len({slices.tobytes() for slices, _ in seen}) == 4


@pytest.mark.parametrize("task", ["ct-denoise", "mr-sr2"])
def test_mirroring_the_volume_mirrors_the_result(ct_image, mr_image, checkpoints, task):
    """True of the ensemble, not of a single pass of the untrained network."""
    torch.set_num_threads(1)
    image = sitk.Cast(ct_image if task == "ct-denoise" else mr_image, sitk.sitkFloat32)
    mirrored = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[:, :, ::-1])
    mirrored.CopyInformation(image)
    far = {}
    for ensemble in (False, True):
        options = RestorationOptions(
            task=task, model=checkpoints[task], prior="none", device="cpu", self_ensemble=ensemble
        )
        one, other = (Restorer().restore(volume, options) for volume in (image, mirrored))
        arrays = [sitk.GetArrayFromImage(result.restored).astype(float) for result in (one, other)]
        far[ensemble] = np.abs(arrays[0] - arrays[1][:, :, ::-1]).max()
        assert one.report["self_ensemble"] is ensemble
    # What is left comes from hardly more than rounding; super-resolution pads at one side.
    assert far[True] < 0.05 * far[False]


def test_the_command_takes_it(lrformer, tmp_path, ct_image, checkpoints):
    sitk.WriteImage(ct_image, str(tmp_path / "ct.nrrd"))
    code, _, complaint = lrformer(
        "restore", tmp_path / "ct.nrrd", tmp_path / "out.nrrd", "--model", checkpoints["ct-denoise"], "--prior", "none",
        "--self-ensemble", "--report", tmp_path / "r.json",
    )  # fmt: skip
    assert code == 0, complaint
    assert '"self_ensemble": true' in (tmp_path / "r.json").read_text()

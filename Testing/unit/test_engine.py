"""The engine on phantoms and real scans, with small untrained networks and the real LiteMedSAM."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.prior.foreground import body_mask
from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.models import ModelStore


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def voxels_hash(image: sitk.Image) -> str:
    return sitk.Hash(image)


@pytest.fixture
def ct_options(checkpoints) -> RestorationOptions:
    return RestorationOptions(model=checkpoints["ct-denoise"], prior="none", device="cpu")


@pytest.fixture
def mr_options(checkpoints) -> RestorationOptions:
    return RestorationOptions(model=checkpoints["mr-artifact"], prior="none", device="cpu")


def assert_same_grid(one: sitk.Image, other: sitk.Image) -> None:
    assert one.GetSize() == other.GetSize()
    assert np.allclose(one.GetSpacing(), other.GetSpacing(), rtol=1e-12)
    assert np.allclose(one.GetOrigin(), other.GetOrigin(), atol=1e-9)
    assert one.GetDirection() == other.GetDirection()


def test_ct_type_grid_and_air_stay(ct_image, ct_options):
    before = voxels_hash(ct_image)
    result = Restorer().restore(ct_image, ct_options)
    restored = result.restored
    assert voxels_hash(ct_image) == before
    assert restored.GetPixelID() == ct_image.GetPixelID()
    assert_same_grid(restored, ct_image)
    for original, changed in zip(array(ct_image), array(restored), strict=True):
        body = body_mask(original.astype(np.float32), "CT")
        assert 0.2 < body.mean() < 0.8
        assert np.array_equal(original[~body], changed[~body])
        assert (original[body] != changed[body]).mean() > 0.5
    assert array(restored).min() >= min(-1024, array(ct_image).min()) and array(restored).max() <= 3071


@pytest.mark.parametrize("pixel_type", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_mr_of_every_type(mr_options, mr_image, pixel_type):
    image = sitk.GetImageFromArray((array(mr_image) / 4).astype(pixel_type))
    image.CopyInformation(mr_image)
    result = Restorer().restore(image, mr_options)
    assert result.restored.GetPixelID() == image.GetPixelID()
    assert result.report["modality"] == "MR" and result.report["task"] == "mr-artifact"
    assert array(result.restored).min() >= 0
    assert not np.array_equal(array(result.restored), array(image))


def test_strength_blends_from_the_very_same_bits(ct_image, mr_image, ct_options, mr_options):
    for image, options in ((ct_image, ct_options), (mr_image, mr_options)):
        image = sitk.Cast(image, sitk.sitkFloat32) + 0.125
        none, half, full = (
            array(Restorer().restore(image, replace(options, strength=strength)).restored)
            for strength in (0.0, 0.5, 1.0)
        )
        assert none.tobytes() == array(image).tobytes()
        inside = (full < 3071) & (full > 0) & (half > 0)
        assert np.allclose(half[inside], ((full + none) / 2)[inside], atol=2e-3)


def test_same_input_same_bytes(ct_image, checkpoints):
    options = RestorationOptions(model=checkpoints["ct-denoise"], device="cpu")
    small = ct_image[:, :, :1]
    first, second = (Restorer().restore(small, options) for _ in range(2))
    for name in ("restored", "prior", "consistency", "uncertainty", "difference"):
        assert sitk.Hash(getattr(first, name)) == sitk.Hash(getattr(second, name))


def test_prior_maps_and_report(ct_image, checkpoints):
    steps = []
    ct_image = ct_image[:, :, :2]
    options = RestorationOptions(model=checkpoints["ct-denoise"], device="cpu", seed=7)
    result = Restorer().restore(ct_image, options, progress=steps.append)
    consistency, uncertainty, prior = array(result.consistency), array(result.uncertainty), array(result.prior)
    for name in ("consistency", "uncertainty", "prior", "difference"):
        assert_same_grid(getattr(result, name), ct_image)
        assert getattr(result, name).GetPixelID() == sitk.sitkFloat32
    assert 0 <= min(consistency.min(), uncertainty.min()) and max(consistency.max(), uncertainty.max()) <= 1
    assert consistency.max() > 0
    assert np.allclose(prior, (consistency + uncertainty) / 2, atol=1e-6)
    assert np.array_equal(array(result.difference), array(result.restored).astype(np.float32) - array(ct_image))
    report = json.loads(json.dumps(result.report))
    assert report["task"] == "ct-denoise" and "model" in report["task_reason"]
    assert report["prior"]["backbone"] == "lite-medsam" and len(report["prior"]["sha256"]) == 64
    assert report["prior"]["samples"] == 4 and report["prior"]["seed"] == 7
    assert report["prior"]["prompts"]["kind"] == "body box" and len(report["prior"]["prompts"]["boxes_by_slice"]) == 2
    assert len(report["model"]["sha256"]) == 64 and report["model"]["name"] == "untrained ct-denoise"
    assert report["seconds"]["prior"] > 0 and report["seconds"]["network"] > 0 and report["warnings"] == []
    assert report["slices"] == 2 and report["device"] == "cpu"
    last = steps[-1]
    assert (last.stage, last.done, last.total) == ("restore", 2, 2) and last.seconds_left == 0
    assert [step.done for step in steps] == [0, 1, 2]


def test_the_network_sees_the_prior(ct_image, checkpoints):
    options = RestorationOptions(model=checkpoints["ct-denoise"], device="cpu")
    with_prior = Restorer().restore(ct_image[:, :, :1], options)
    without = Restorer().restore(ct_image[:, :, :1], replace(options, prior="none"))
    assert not np.array_equal(array(with_prior.restored), array(without.restored))
    assert not array(without.prior).any() and without.report["prior"] == {"backbone": "none"}


def test_a_slice_alone_is_the_slice_of_the_whole(ct_image, mr_image, ct_options, mr_options):
    for image, options in ((ct_image, ct_options), (mr_image, mr_options)):
        whole, one = Restorer().restore(image, options), Restorer().restore_slice(image, options, 2)
        assert np.array_equal(array(one.restored)[0], array(whole.restored)[2])
        assert one.restored.GetSize()[2] == 1
        assert np.allclose(one.restored.GetOrigin(), image.TransformIndexToPhysicalPoint((0, 0, 2)))
        assert np.array_equal(array(one.difference)[0], array(whole.difference)[2])
    with pytest.raises(UserError, match="slices 0 to 3"):
        Restorer().restore_slice(ct_image, ct_options, 4)


def test_coronal_volume_is_restored_coronally(shared_data, mr_options):
    image = sitk.ReadImage(str(shared_data / "test" / "mr_haste_abdomen_tcga.nii.gz"))[:, 12:15, :]
    result = Restorer().restore(image, mr_options)
    assert result.report["slice_axis"] == "j" and result.report["slices"] == 3
    assert_same_grid(result.restored, image)
    # Slices are independent: each coronal one alone gives the same.
    one = Restorer().restore_slice(image, mr_options, 1)
    assert np.array_equal(array(one.restored)[:, 0, :], array(result.restored)[:, 1, :])
    assert one.restored.GetSize() == (256, 1, 256)


@pytest.mark.parametrize(("task", "factor"), [("mr-sr2", 2), ("mr-sr4", 4)])
@pytest.mark.parametrize("shape", ["axial", "coronal", "sagittal"])
def test_super_resolution_covers_the_same_extent(checkpoints, task, factor, shape):
    size, spacing = {
        "axial": ((40, 36, 3), (0.9, 0.9, 4.0)),
        "coronal": ((40, 3, 36), (0.9, 4.0, 0.9)),
        "sagittal": ((3, 40, 36), (4.0, 0.9, 0.9)),
    }[shape]
    # A smooth field in patient space, so that resampling back must give the input again.
    image = sitk.GaussianSource(
        sitk.sitkFloat32, size, sigma=[12, 12, 12], mean=[18, 16, 14], scale=1000, spacing=spacing
    )
    tilt = np.deg2rad(20)
    image.SetDirection((np.cos(tilt), -np.sin(tilt), 0, np.sin(tilt), np.cos(tilt), 0, 0, 0, 1))
    image.SetOrigin((-50.0, 7.0, 3.0))
    network_like_interpolation = RestorationOptions(model=checkpoints[task], prior="none", device="cpu", strength=0.0)
    result = Restorer().restore(image, network_like_interpolation)
    restored = result.restored
    thick = spacing.index(4.0)
    for axis in range(3):
        times = 1 if axis == thick else factor
        assert restored.GetSize()[axis] == image.GetSize()[axis] * times
        assert restored.GetSpacing()[axis] == pytest.approx(image.GetSpacing()[axis] / times)
    corners = [(-0.5, -0.5, -0.5), tuple(length - 0.5 for length in size)]
    fine_corners = [(-0.5, -0.5, -0.5), tuple(length - 0.5 for length in restored.GetSize())]
    for coarse, fine in zip(corners, fine_corners, strict=True):
        assert np.allclose(
            image.TransformContinuousIndexToPhysicalPoint(coarse),
            restored.TransformContinuousIndexToPhysicalPoint(fine),
        )
    back = sitk.Resample(restored, image, sitk.Transform(), sitk.sitkLinear)
    inner = tuple(slice(None) if 2 - axis == thick else slice(4, -4) for axis in range(3))
    error = np.abs(array(back) - array(image))[inner]
    assert error.max() < 0.01 * array(image).max(), "a shift of half a fine pixel would give 3 %"
    assert_same_grid(result.prior, image)
    assert result.difference.GetSize() == restored.GetSize() and not array(result.difference).any()
    full = Restorer().restore(image, replace(network_like_interpolation, strength=1.0))
    assert np.abs(array(full.difference)).max() > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_voxels_stay_and_do_not_spread(ct_image, ct_options, bad):
    clean = sitk.Cast(ct_image, sitk.sitkFloat32)
    values = array(clean)
    values[1, 30:33, 40] = bad
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(clean)
    result = Restorer().restore(image, ct_options)
    restored, plain = array(result.restored), array(Restorer().restore(clean, ct_options).restored)
    assert np.array_equal(restored[1, 30:33, 40], values[1, 30:33, 40], equal_nan=True)
    assert np.isfinite(restored).sum() == restored.size - 3
    assert np.array_equal(restored[[0, 2, 3]], plain[[0, 2, 3]])
    assert np.isfinite(array(result.difference)).all()
    assert result.report["non_finite_voxels"] == 3
    assert result.report["warnings"] == ["3 voxels are NaN or infinite: restored around and left as they are."]


def test_non_finite_voxels_on_the_finer_grid(mr_image, checkpoints):
    values = array(mr_image).astype(np.float32)
    values[2, 10, 20] = np.nan
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(mr_image)
    result = Restorer().restore(image, RestorationOptions(model=checkpoints["mr-sr2"], prior="none", device="cpu"))
    restored = array(result.restored)
    assert np.isnan(restored[2, 20:22, 40:42]).all() and np.isnan(restored).sum() == 4


def test_only_the_roi_changes(ct_image, ct_options):
    centre = np.array(ct_image.TransformIndexToPhysicalPoint((30, 36, 1)))
    roi = tuple(np.stack([centre - 12, centre + 12], axis=1).reshape(-1))
    result = Restorer().restore(ct_image, replace(ct_options, roi_lps_mm=roi, only_roi=True))
    full = Restorer().restore(ct_image, ct_options)
    changed = array(result.restored) != array(ct_image)
    places = np.argwhere(changed)[:, ::-1].tolist()
    points = np.array([ct_image.TransformIndexToPhysicalPoint(place) for place in places])
    assert len(points) > 200
    assert np.all(np.abs(points - centre)[:, :2] <= 12 + 1e-6)
    assert array(result.restored)[1, 36, 30] == array(full.restored)[1, 36, 30]
    edge = np.abs(array(result.difference)).sum(axis=0)
    assert edge[36, 30 - 14] < edge[36, 25:35].mean()


def test_roi_is_the_prompt_and_the_rest_is_restored_too(ct_image, checkpoints):
    ct_image = ct_image[:, :, :2]
    centre = np.array(ct_image.TransformIndexToPhysicalPoint((30, 36, 1)))
    roi = tuple(np.stack([centre - 8, centre + 8], axis=1).reshape(-1))
    result = Restorer().restore(
        ct_image, RestorationOptions(model=checkpoints["ct-denoise"], device="cpu", roi_lps_mm=roi)
    )
    prompts = result.report["prior"]["prompts"]
    assert prompts["kind"] == "ROI box"
    left, top, right, bottom = prompts["boxes_by_slice"]["1"]
    assert left <= 30 < right and right - left == pytest.approx(20, abs=1.5) and top <= 36 < bottom
    changed = (array(result.restored) != array(ct_image))[1]
    assert changed[36, 60:65].any()


def test_single_slice_two_dimensions_and_isotropic(ct_image, mr_image, ct_options, mr_options):
    one = Restorer().restore(ct_image[:, :, 1:2], ct_options)
    assert one.restored.GetSize() == (80, 72, 1)
    flat = Restorer().restore(ct_image[:, :, 1], ct_options)
    assert flat.restored.GetDimension() == 2 and flat.prior.GetDimension() == 2 and flat.difference.GetDimension() == 2
    assert np.array_equal(array(flat.restored), array(one.restored)[0])
    isotropic = sitk.GetImageFromArray(np.repeat(array(mr_image), 5, axis=0))
    result = Restorer().restore(isotropic, mr_options)
    assert result.report["slice_axis"] == "k" and result.report["slices"] == 20


@pytest.mark.parametrize("pixels", [(16, 16), (17, 23), (16, 130)])
def test_odd_and_small_slices(mr_options, pixels):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 500, (2, *pixels)).astype(np.int16))
    image.SetSpacing((1, 1, 3))
    assert_same_grid(Restorer().restore(image, mr_options).restored, image)


def test_metrics_against_a_reference(ct_image, ct_options):
    clean = sitk.CurvatureFlow(sitk.Cast(ct_image, sitk.sitkFloat32), 0.1, 5)
    result = Restorer().restore(ct_image, replace(ct_options, strength=0.0), reference=clean)
    metrics = result.report["metrics"]
    assert metrics["before"] == metrics["after"]
    squares, count = 0.0, 0
    for original, truth in zip(array(ct_image), array(clean), strict=True):
        mask = body_mask(truth, "CT")
        squares += np.square(np.clip(original, -160, 240)[mask] - np.clip(truth, -160, 240)[mask]).sum()
        count += mask.sum()
    assert metrics["after"]["rmse"] == pytest.approx(np.sqrt(squares / count), rel=1e-5)
    assert metrics["after"]["psnr_db"] == pytest.approx(20 * np.log10(400 / metrics["after"]["rmse"]), abs=1e-4)
    assert 0.1 < metrics["after"]["ssim"] < 1
    itself = Restorer().restore(ct_image, replace(ct_options, strength=0.0), reference=ct_image).report["metrics"]
    assert itself["after"]["psnr_db"] is None and itself["after"]["ssim"] == pytest.approx(1)


class PoorStore(ModelStore):
    """Hands out networks on a machine that holds only so many pixels."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels = pixels

    def network(self, path, task):
        loaded, network = super().network(path, task)
        pixels, forward = self.pixels, network.forward

        def limited(image, prior):
            if image.shape[-2] * image.shape[-1] > pixels:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return forward(image, prior)

        network.forward = limited
        return loaded, network


def test_running_out_of_memory_ends_in_a_warning_not_a_crash(ct_options):
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(40, 20, (1, 256, 256)).astype(np.int16))
    rich = Restorer().restore(image, replace(ct_options, task="ct-denoise"), modality="CT")
    poor = Restorer(PoorStore(140 * 140)).restore(image, replace(ct_options, task="ct-denoise"), modality="CT")
    assert len(poor.report["warnings"]) == 1 and "tiles of" in poor.report["warnings"][0]
    assert poor.report["tile_pixels"] == 128
    assert np.abs(array(poor.restored).astype(int) - array(rich.restored))[:, 16:-16, 16:-16].max() <= 1


def test_context_networks_see_neighbours(tmp_path, small_network, ct_image):
    from LRformerSlicerLib.network.checkpoint import save_checkpoint

    path = tmp_path / "context.safetensors"
    save_checkpoint(path, small_network(context=1), {"name": "three slices", "task": "ct-denoise"})
    options = RestorationOptions(model=path, prior="none", device="cpu")
    plain = array(Restorer().restore(ct_image, options).restored)
    values = array(ct_image)
    values[3] = np.roll(values[3], 5, axis=1)
    moved = sitk.GetImageFromArray(values)
    moved.CopyInformation(ct_image)
    changed = array(Restorer().restore(moved, options).restored)
    assert np.array_equal(changed[:2], plain[:2]) and not np.array_equal(changed[2], plain[2])


def test_models_stay_loaded_between_jobs(ct_image, checkpoints):
    restorer = Restorer()
    options = RestorationOptions(model=checkpoints["ct-denoise"], device="cpu")
    first = restorer.restore(ct_image[:, :, :1], options).report["seconds"]
    # The quickest of three: other work on the machine may hold one of them up.
    later = [restorer.restore(ct_image[:, :, :1], options).report["seconds"]["load"] for _ in range(3)]
    assert min(later) < first["load"] / 3


def test_cancelling_from_the_progress_callback_gets_out(ct_image, ct_options):
    class Cancelled(Exception):
        pass

    def cancel(progress):
        if progress.done == 2:
            raise Cancelled

    before = voxels_hash(ct_image)
    with pytest.raises(Cancelled):
        Restorer().restore(ct_image, ct_options, progress=cancel)
    assert voxels_hash(ct_image) == before

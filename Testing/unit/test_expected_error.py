"""The map of the expected error: made with the weights whose card holds its formula, in the scan's units."""

import re
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.network.checkpoint import load_checkpoint, save_checkpoint
from LRformerSlicerLib.prior.foreground import body_mask
from LRformerSlicerLib.restoration import models
from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.expected_error import FLIP_FEATURE, FLOOR, error_model_of

CHANGE_ONLY = {"factor": 2.0, "exponents": {"change": 1.0}}


@pytest.fixture
def telling(checkpoints, tmp_path):
    """Gives a checkpoint of a task whose card says that the error is twice the change nearby."""

    def make(task):
        network = load_checkpoint(checkpoints[task]).network
        path = tmp_path / f"{task}.safetensors"
        save_checkpoint(path, network, {"name": "telling", "task": task, "expected_error": CHANGE_ONLY})
        return path

    return make


@pytest.mark.parametrize("task", ["ct-denoise", "mr-sr2"])
def test_the_map_lies_on_the_restored_grid_in_its_unit(telling, ct_image, mr_image, task):
    image = ct_image if task == "ct-denoise" else mr_image
    options = RestorationOptions(task=task, model=telling(task), prior="none", device="cpu", expected_error=True)
    result = Restorer().restore(image, options)
    assert result.report["seconds"]["expected_error"] > 0
    expected = result.expected_error
    assert expected.GetSize() == result.restored.GetSize() and expected.GetPixelID() == sitk.sitkFloat32
    np.testing.assert_allclose(expected.GetOrigin(), result.restored.GetOrigin())
    values, change = (sitk.GetArrayFromImage(one) for one in (expected, result.difference))
    pixels = sitk.GetArrayFromImage(result.restored)
    body = np.stack([body_mask(one.astype(np.float32), result.task.modality) for one in pixels])
    inside = body & (values > 0)
    assert inside.sum() > 0.9 * body.sum()
    # Twice the RMS of the change nearby, and twice the floor: their means over the body agree.
    unit = abs(result.intensity.unit)
    rms = np.sqrt(np.mean(change[inside] ** 2))
    assert 0.5 * rms < values[inside].mean() / 2 - FLOOR * unit < 1.3 * rms
    outside = np.zeros(values.shape, dtype=bool)
    outside[:, :2] = True
    assert not values[outside].any()


@pytest.mark.parametrize("task", ["ct-denoise", "mr-sr2"])
def test_only_inside_the_box_where_nothing_else_is_restored(telling, ct_image, mr_image, task):
    image = ct_image if task == "ct-denoise" else mr_image
    size = np.array(image.GetSize())
    corners = [np.array(image.TransformContinuousIndexToPhysicalPoint((share * size).tolist())) for share in (0.4, 0.6)]
    roi = tuple(np.sort(np.stack(corners, axis=1), axis=1).reshape(-1))
    options = RestorationOptions(
        task=task, model=telling(task), prior="none", device="cpu", expected_error=True, roi_lps_mm=roi, only_roi=True
    )
    expected = Restorer().restore(image, options).expected_error
    places = np.argwhere(sitk.GetArrayFromImage(expected) > 0)[:, ::-1]
    points = np.array([expected.TransformIndexToPhysicalPoint(place.tolist()) for place in places])
    slack = 0.51 * max(image.GetSpacing())
    assert len(points) > 20
    assert (points > np.array(roi[::2]) - slack).all() and (points < np.array(roi[1::2]) + slack).all()


def test_it_is_made_for_those_only_who_ask(telling, checkpoints, ct_image):
    asked = RestorationOptions(task="ct-denoise", prior="none", device="cpu", expected_error=True)
    result = Restorer().restore(ct_image, replace(asked, model=telling("ct-denoise"), expected_error=False))
    assert result.expected_error_array is None and "expected_error" not in result.report["seconds"]
    with pytest.raises(ValueError, match="expected_error=True"):
        _ = result.expected_error
    result = Restorer().restore(ct_image, replace(asked, model=checkpoints["ct-denoise"]))
    with pytest.raises(UserError, match="holds no expected error"):
        _ = result.expected_error


def test_the_command_writes_it_and_says_where_the_card_has_none(telling, checkpoints, ct_image, lrformer, tmp_path):
    source, out, error = tmp_path / "in.nrrd", tmp_path / "out.nrrd", tmp_path / "error.nrrd"
    sitk.WriteImage(ct_image, str(source))
    words = ("restore", source, out, "--prior", "none", "--device", "cpu", "--expected-error-out", error)
    code, answer, complaint = lrformer(*words, "--progress", "json", "--model", checkpoints["ct-denoise"])
    assert code == 2 and f"{checkpoints['ct-denoise']} holds no expected error" in answer + complaint
    assert '"stage"' not in answer  # no slice was begun
    assert not out.exists() and not error.exists()
    code, _, complaint = lrformer(*words, "--model", telling("ct-denoise"))
    assert (code, complaint) == (0, "")
    assert sitk.ReadImage(str(error)).GetSize() == ct_image.GetSize()


def test_shipped_weights_without_it_are_refused_before_the_first_slice(checkpoints, mr_image, monkeypatch):
    monkeypatch.setattr(models, "MODELS_FOLDER", checkpoints["mr-sr2"].parent)
    shipped = models.shipped_model("mr-sr2")
    asked = RestorationOptions(task="mr-sr2", prior="none", device="cpu", expected_error=True)
    steps = []
    with pytest.raises(UserError, match=f"{re.escape(str(shipped))} holds no expected error: leave that map out"):
        Restorer().restore(mr_image, replace(asked, expected_error_needed=True), steps.append)
    assert not steps
    assert Restorer().restore(mr_image, asked, steps.append).error_model is None  # the panel asks for all there are
    assert steps


def test_a_model_that_wants_a_second_pass_is_not_taken_for_one_that_does_not():
    assert error_model_of({}) is None
    assert error_model_of({"expected_error": CHANGE_ONLY}).factor == 2.0
    wants = {"factor": 1.0, "exponents": {"change": 0.5, FLIP_FEATURE: 0.5}}
    assert error_model_of({"expected_error": wants}) is None
    with pytest.raises(UserError, match="expected error is not one"):
        error_model_of({"expected_error": {"factor": 1.0, "exponents": {"colour": 1.0}}})

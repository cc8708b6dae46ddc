"""Intensities in and exactly out, and which task fits."""

import numpy as np
import pytest

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.intensity import ct_intensity, mr_intensity, to_voxel_type, value_limits
from LRformerSlicerLib.restoration.modality import detect_modality
from LRformerSlicerLib.restoration.tasks import choose_task


def test_every_hounsfield_number_comes_back():
    hu = np.arange(-1000, 3072, dtype=np.int16)
    intensity = ct_intensity()
    back = to_voxel_type(
        intensity.restore(intensity.normalise(hu)), hu.dtype, value_limits("CT", hu.dtype, -1000, 3071)
    )
    assert np.array_equal(back, hu)


def test_ct_numbers_and_window():
    intensity = ct_intensity()
    assert intensity.normalise(np.array([-1024, -1000, 0, 3071])).tolist() == pytest.approx([0, 0, 1, 4.071])
    assert intensity.to_window(np.array([-500, -160, 40, 240, 900])).tolist() == pytest.approx(
        [0, 0, 0.5, 1, 1], abs=1e-6
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_every_mr_number_comes_back(dtype):
    values = np.arange(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, dtype=dtype)
    intensity = mr_intensity(np.array([12.0, 17.0, 240.0, 250.0]))
    limits = value_limits("MR", values.dtype, float(values.min()), float(values.max()))
    assert np.array_equal(to_voxel_type(intensity.restore(intensity.normalise(values)), values.dtype, limits), values)


def test_mr_scaling_is_robust_to_a_bright_vessel():
    tissue = np.random.default_rng(0).normal(500, 50, 100_000)
    plain = mr_intensity(tissue)
    with_vessel = mr_intensity(np.append(tissue, np.full(300, 30_000.0)))
    assert with_vessel.unit == pytest.approx(plain.unit, rel=0.1)


def test_restored_numbers_stay_in_the_type_and_in_what_ct_can_be():
    limits = value_limits("CT", np.dtype(np.int16), -1024, 1500)
    assert to_voxel_type(np.array([-2000.0, 0.4, 0.6, 9000.0]), np.dtype(np.int16), limits).tolist() == [
        -1024,
        0,
        1,
        3071,
    ]
    limits = value_limits("MR", np.dtype(np.uint8), 0, 255)
    assert to_voxel_type(np.array([-3.0, 300.0]), np.dtype(np.uint8), limits).tolist() == [0, 255]


def test_metal_above_the_usual_ct_range_is_allowed_where_the_input_has_it():
    assert value_limits("CT", np.dtype(np.int16), -1024, 9000)[1] == 9000


def test_constant_foreground_is_refused():
    with pytest.raises(UserError, match="constant"):
        mr_intensity(np.full(10, 3.0))


def test_modality_by_values_and_by_statement():
    ct = np.concatenate([np.full(100, -1000), np.full(100, 40)])
    mr = np.concatenate([np.zeros(100), np.full(100, 400)])
    assert detect_modality(ct)[0] == "CT" and detect_modality(mr)[0] == "MR"
    assert detect_modality(mr, "CT")[0] == "CT" and detect_modality(ct, "mr ")[0] == "MR"
    with pytest.raises(UserError, match="modality PT"):
        detect_modality(mr, "PT")


def test_auto_takes_the_models_task_before_the_default():
    assert choose_task("auto", "MR", "because")[0].name == "mr-artifact"
    task, reason = choose_task("auto", "MR", "because", "mr-sr2")
    assert task.name == "mr-sr2" and "model" in reason
    assert choose_task("auto", "CT", "air")[1] == "CT volume: air"

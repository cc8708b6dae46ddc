"""Training slices are drawn by part of the body and patient, and judged patient by patient."""

import numpy as np
import pytest

from LRformerSlicerLib.training.patches import Pair, PatchSampler
from LRformerSlicerLib.training.sampling import Subject, sampling_shares, spread_over_patients, subject_of
from LRformerSlicerLib.training.task_choice import training_task
from LRformerSlicerLib.training.validation import PatientScores


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("ct_abdomen_acrin001-017-0", Subject("abdomen", "ct_acrin001")),
        ("ct_chest_nysbu_A002304_19010112-135-000-1", Subject("chest", "ct_nysbu_A002304")),
        ("ct_abdomen_siim_17z031_16-000", Subject("abdomen", "ct_siim_17z031")),
        ("ct_shoulder_siim_17z031_27-000", Subject("shoulder", "ct_siim_17z031")),
        ("ct_head_cptac-010-0", Subject("head", "ct_cptac")),
        ("ct_body_weasis-010-0", Subject("body", "ct_weasis", 0.25)),
        ("ct_abdomen_msd_a-000", Subject("abdomen", "ct_msd_a", 0.25)),
        ("mr_t1_studyforrest-k120-2", Subject("brain", "mr_studyforrest")),
        ("mr_flair_ubermuda-k003", Subject("brain", "mr_ubermuda")),
        ("mr_t2star_ubermuda-k003", Subject("brain", "mr_ubermuda")),
        ("mr_flair_brain_openms01_t1-k002-0", Subject("brain", "mr_openms01")),
        ("mr_t2_brain_openms01_t2-k002-0", Subject("brain", "mr_openms01")),
        ("mr_t2_brain_ulf3t_p3-k001", Subject("brain", "mr_ulf3t_p3")),
        ("mr_t2spir_abdomen_chaos05-k001", Subject("abdomen", "mr_chaos05")),
        ("mr_t2_prostate_prostatex0000-k001", Subject("prostate", "mr_prostatex0000")),
        ("a-0", Subject("unknown", "a")),
        ("mr_t2sag_lspine_vesal_stack20-i004-1", Subject("lspine", "mr_vesal_stack20-i004", 0.1)),
    ],
)
def test_a_slices_name_tells_patient_and_part(name, subject):
    assert subject_of(name) == subject


def scan(name, count, realisations=1):
    return [f"{name}-k{index:03d}-{one}" for index in range(count) for one in range(realisations)]


def total(shares, names, start):
    return float(sum(share for share, name in zip(shares, names, strict=True) if name.startswith(start)))


def test_patients_of_a_part_are_drawn_alike_however_many_slices_they_have():
    names = [
        *scan("mr_t1_studyforrest", 80, 3),
        *scan("mr_t2_brain_openms01_t1", 6),
        *scan("mr_t1_brain_openms01_t2", 6),
    ]
    shares = sampling_shares(names)
    assert shares.sum() == pytest.approx(1.0)
    assert total(shares, names, "mr_t1_studyforrest") == pytest.approx(0.5)
    assert np.ptp(shares[:240]) == pytest.approx(0.0, abs=1e-12), "within a patient all slices alike"


def test_parts_are_drawn_by_the_root_of_their_patients():
    brains = [name for patient in range(9) for name in scan(f"mr_t1_brain_p{patient}", 5)]
    names = [*brains, *scan("mr_t2_hip_openmedview", 15)]
    assert total(sampling_shares(names), names, "mr_t2_hip") == pytest.approx(1 / (3 + 1))


def test_a_poor_scan_counts_less_and_a_single_slice_does_not():
    good = [name for patient in "abc" for name in scan(f"mr_t1_brain_good{patient}", 4)]
    names = [*good, *scan("mr_t1_brain_msd_a", 4), *scan("mr_t2_brain_single", 1, realisations=3)]
    shares = sampling_shares(names)
    one_good = total(shares, names, "mr_t1_brain_gooda")
    assert total(shares, names, "mr_t1_brain_msd") == pytest.approx(0.25 * one_good)
    assert total(shares, names, "mr_t2_brain_single") == pytest.approx(one_good)


def test_patches_come_at_these_shares():
    """Half of the patches come from either of two patients, though one has ten times as many slices."""
    task = training_task("mr-artifact")
    plain = {"prior": np.zeros((2, 32, 32), np.uint8), "body": np.ones((32, 32), bool)}
    names = [*scan("mr_t1_brain_many", 40), *scan("mr_t1_brain_few", 4)]
    pairs = [
        Pair(name, *[np.full((32, 32), 8192 * ("few" in name), np.int16)] * 2, plain["prior"], plain["body"])
        for name in names
    ]
    sampler = PatchSampler(task, pairs, 32, 8, 0.0, seed=3)
    from_few = [float(patch.mean() > 0.5) for step in range(60) for patch in sampler.batch(step)[1]]
    assert np.mean(from_few) == pytest.approx(0.5, abs=0.08), "480 draws of two patients"


def test_slices_are_spread_over_each_patient():
    names = [*scan("mr_t1_brain_one", 10), *scan("mr_t2_hip_two", 2)]
    kept = spread_over_patients(names, str, 3)
    assert kept == [f"mr_t1_brain_one-k00{index}-0" for index in (0, 4, 9)] + scan("mr_t2_hip_two", 2)
    assert spread_over_patients(names, str, None) == names


def test_every_patient_counts_alike_in_the_scores():
    scores = PatientScores((0.0, 1.0))
    reference, body = np.full((16, 16), 0.5), np.ones((16, 16), bool)
    for index in range(3):
        scores.add(f"mr_t1_brain_one-k00{index}", reference + 0.1, reference + 0.2, reference, body)
    scores.add("mr_t2_hip_two-k000", reference + 0.01, reference + 0.01, reference, body)
    result = scores.result()
    assert result["psnr_db"] == pytest.approx((20.0 + 40.0) / 2, abs=1e-3)
    doubled = 20 * np.log10(2)
    assert result["gain_db"] == pytest.approx(doubled / 2, abs=1e-3)
    assert (result["gain_db_brain"], result["gain_db_hip"]) == pytest.approx((doubled, 0.0), abs=1e-3)
    assert PatientScores((0.0, 1.0)).result() == {}


def test_super_resolution_is_compared_with_zero_filling():
    task = training_task("mr-sr2")
    image = np.random.default_rng(0).uniform(0, 1, (12, 16))
    enlarged = task.unrestored(image)
    assert enlarged.shape == (24, 32)
    blocks = enlarged.reshape(12, 2, 16, 2).mean(axis=(1, 3))
    assert np.corrcoef(blocks.ravel(), image.ravel())[0, 1] > 0.9
    artifact = training_task("mr-artifact")
    assert artifact.unrestored(image) is image

"""CT or MR: by what is asked for, by what is stated, by the values; and a doubt where the values allow both."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.modality import detect_modality
from LRformerSlicerLib.restoration.tasks import choose_task

NOISE = np.random.default_rng(8)


def normal(mean: float, sd: float, count: int) -> np.ndarray:
    return np.rint(NOISE.normal(mean, sd, count))


def body_ct(air: float = -1000.0) -> np.ndarray:
    parts = (normal(air, 20, 4000), normal(40, 25, 3000), normal(-100, 25, 1000), normal(-820, 40, 900))
    return np.concatenate([*parts, normal(500, 150, 300), NOISE.uniform(-900, -120, 150)])


def magnitude(count: int = 9000) -> np.ndarray:
    signal = np.where(NOISE.random(count) < 0.4, 0.0, NOISE.normal(600, 120, count))
    return np.rint(np.hypot(signal + NOISE.normal(0, 15, count), NOISE.normal(0, 15, count)))


CERTAIN = {
    "body": (body_ct(), "CT"),
    "air cut off at -1024": (body_ct().clip(-1024), "CT"),
    "field of view at -2000": (np.append(body_ct(), np.full(3000, -2000.0)), "CT"),
    "metal": (np.append(body_ct(), NOISE.uniform(3000, 30000, 60)), "CT"),
    "noise-free phantom": (np.repeat([-1000.0, 40.0, 700.0], [500, 400, 20]), "CT"),
    "magnitude": (magnitude(), "MR"),
    "magnitude of 12 bits": (magnitude() * 6, "MR"),
}

UNCERTAIN = {
    "crop of the liver": normal(60, 25, 5000),
    "crop of the liver after contrast": np.concatenate([normal(110, 20, 5000), normal(-90, 25, 600)]),
    "crop of the spine": np.concatenate([normal(50, 25, 5000), normal(700, 30, 1200)]),
    "values cut to a window": np.concatenate([np.full(4000, -160.0), normal(45, 30, 5000).clip(-160, 240)]),
    "brain on zero": np.concatenate([np.zeros(6000), normal(32, 8, 5000), normal(8, 6, 800)]),
    "phase": NOISE.integers(-4096, 4096, 9000).astype(float),
    "phase in milliradians": np.concatenate([NOISE.integers(-3142, 3142, 4000), normal(300, 900, 5000)]),
    "phase within a thousand": NOISE.uniform(-1000, 1000, 9000),
    "subtraction": normal(0, 60, 9000),
    "wide subtraction": normal(0, 500, 9000),
    "inversion recovery": np.concatenate([normal(0, 20, 4000), normal(-450, 90, 3000), normal(500, 120, 3000)]),
}
PADDED = {
    "magnitude padded with -1024": np.append(magnitude(), np.full(4000, -1024.0)),
    "magnitude padded with -2000": np.append(magnitude(), np.full(4000, -2000.0)),
    "magnitude padded with 65535": np.append(magnitude(), np.full(4000, 65535.0)),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_plain_values_leave_no_doubt(name):
    values, modality = CERTAIN[name]
    found = detect_modality(values)
    assert (found.name, found.doubt, found.is_certain) == (modality, "", True)


@pytest.mark.parametrize("name", UNCERTAIN)
def test_values_that_both_have_are_told_and_overruled_by_either_task(name):
    found = detect_modality(UNCERTAIN[name])
    assert not found.is_certain
    if UNCERTAIN[name].min() < 0:
        assert "--modality" in found.doubt
    for task in ("ct-denoise", "mr-artifact", "mr-sr2"):
        assert choose_task(task, found.name, found.reason, is_certain=found.is_certain)[0].name == task


@pytest.mark.parametrize("name", [name for name, values in UNCERTAIN.items() if "phase" in name or "subtr" in name])
def test_signed_mr_is_not_called_ct(name):
    assert detect_modality(UNCERTAIN[name]).name == "MR"


@pytest.mark.parametrize("name", PADDED)
def test_padding_says_nothing_of_the_modality(name):
    found = detect_modality(PADDED[name])
    assert (found.name, found.doubt) == ("MR", "")


def test_ct_stored_with_1024_added_is_told():
    found = detect_modality((body_ct() + 1024).clip(0))
    assert "1024" in found.doubt


def test_what_is_asked_for_comes_before_what_is_stated_and_what_is_stated_before_the_values():
    ct, mr = body_ct(), magnitude()
    assert detect_modality(mr, wanted="CT").name == "CT"
    assert detect_modality(ct, "MR").name == "MR" and detect_modality(ct, "MR", "CT").name == "CT"
    assert "states MR" in detect_modality(ct, "MR", "CT").doubt
    for one in (detect_modality(ct, "CT"), detect_modality(mr, "MR"), detect_modality(mr, wanted="MR")):
        assert one.doubt == ""
    assert "Hounsfield" in detect_modality(mr, "CT").doubt
    assert "Hounsfield" in detect_modality(np.abs(NOISE.normal(2, 1, 999)), "CT").doubt, "an iodine map in mg/ml"
    assert "looks like CT" in detect_modality(ct, "MR").doubt
    for name in ("crop of the liver", "crop of the spine", "brain on zero", "values cut to a window"):
        assert detect_modality(UNCERTAIN[name], "CT").doubt == "", name
    for name in ("phase", "wide subtraction", "inversion recovery"):
        assert "Hounsfield" in detect_modality(UNCERTAIN[name], wanted="CT").doubt, name
    with pytest.raises(UserError, match='no modality "PET"'):
        detect_modality(ct, wanted="PET")


@pytest.mark.parametrize("stated", ["PT", "NM", "US", "XA", "SEG", "RTDOSE", "ZZ"])
def test_other_modalities_are_refused_by_name(stated):
    with pytest.raises(UserError, match=f"modality {stated}"):
        detect_modality(magnitude(), stated, "MR")


def test_every_real_scan_is_taken_for_what_it_is_without_a_doubt(shared_data):
    for path in sorted((shared_data / "test").glob("*.nii.gz")):
        if path.name[:2] not in ("ct", "mr") or "label" in path.name:
            continue
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).reshape(-1)
        found = detect_modality(values[:: max(1, values.size // 500_000)])
        assert (found.name, found.doubt) == (path.name[:2].upper(), ""), path.name


@pytest.fixture
def liver(tmp_path):
    """A CT crop that shows no air: the guess alone cannot know it."""
    array = np.rint(np.random.default_rng(2).normal(60, 20, (2, 32, 40))).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.8, 0.8, 2.5))
    sitk.WriteImage(image, str(tmp_path / "liver.nrrd"))
    return tmp_path / "liver.nrrd"


@pytest.mark.parametrize(
    ("words", "task"),
    [
        (["--task", "ct-denoise"], "ct-denoise"),
        (["--modality", "CT"], "ct-denoise"),
        (["--modality", "mr"], "mr-artifact"),
        (["--task", "mr-artifact"], "mr-artifact"),
    ],
)
def test_task_and_modality_overrule_the_guess_on_the_command_line(lrformer, liver, tmp_path, words, task):
    report = tmp_path / "r.json"
    code, _, complaint = lrformer(
        *("restore", liver, tmp_path / "out.nrrd", "--prior", "none", "--device", "cpu", "--report", report), *words
    )
    assert code == 0, complaint
    said = json.loads(report.read_text())
    assert said["task"] == task and said["modality"] == ("CT" if task == "ct-denoise" else "MR")


def test_a_model_given_decides_like_its_task(lrformer, liver, tmp_path, checkpoints):
    words = ("restore", liver, tmp_path / "out.nrrd", "--prior", "none", "--model", checkpoints["ct-denoise"])
    assert lrformer(*words)[0] == 0


def test_a_guess_in_doubt_is_told_and_reported(lrformer, liver, tmp_path):
    report = tmp_path / "r.json"
    code, _, complaint = lrformer(
        *("restore", liver, tmp_path / "out.nrrd", "--prior", "none", "--device", "cpu", "--report", report)
    )
    assert code == 0 and "Warning: It is taken for" in complaint and "--modality" in complaint
    assert any("--modality" in sentence for sentence in json.loads(report.read_text())["warnings"])


def test_simulation_is_overruled_too(lrformer, liver, tmp_path):
    assert lrformer("simulate", liver, tmp_path / "moved.nrrd", "--motion", "--modality", "MR")[0] == 0

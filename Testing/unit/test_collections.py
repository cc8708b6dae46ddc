"""Folders laid out as the collections are, with phantoms in them: what is found, paired, judged and refused."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.collections import dose_pairs, evaluate_collection
from LRformerSlicerLib.evaluation.quality import OURS
from LRformerSlicerLib.restoration.options import RestorationOptions


def write_series(folder, image, series):
    """One DICOM file a slice, as a scanner's archive holds them."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(image.GetDepth()):
        one = sitk.Cast(image[:, :, index], sitk.sitkInt16)
        place = image.TransformIndexToPhysicalPoint((0, 0, index))
        for tag, value in {
            "0008|0060": "CT",
            "0008|0018": f"1.2.3.{series}.{index + 1}",
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.3.{series}",
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{coordinate:.9g}" for coordinate in place),
            "0020|0037": "\\".join(
                f"{image.GetDirection()[row + column]:.9g}" for column in (0, 1) for row in (0, 3, 6)
            ),
        }.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{index + 1}.dcm"))
        writer.Execute(one)


@pytest.fixture
def archive(tmp_path, ct_image):
    """Two patients of LDCT-and-Projection-data: full dose, the same with noise, and projections that are no images."""
    root = tmp_path / "LDCT-and-Projection-data"
    for series, patient in enumerate(("C002", "L067")):
        noisy = sitk.AdditiveGaussianNoise(sitk.Cast(ct_image, sitk.sitkFloat32), 30.0, 0.0, 7 + series)
        study = root / patient / "12-23-2021-NA-NA-6246"
        write_series(study / f"1.000000-Full Dose Images-{series}", ct_image, 10 + series)
        write_series(study / f"1.000000-Low Dose Images-{series}", noisy, 20 + series)
        (study / "1.000000-Full Dose Projections-1").mkdir()
    return root


def options_for(task, checkpoints):
    return RestorationOptions(task=task, model=checkpoints[task], prior="none", device="cpu")


def test_doses_are_paired_by_patient(archive):
    pairs = list(dose_pairs(archive))
    assert [full.relative_to(archive).parts[0] for full, _ in pairs] == ["C002", "L067"]
    assert all(full.parent == low.parent and "Low Dose Images" in low.name for full, low in pairs)


def test_the_challenges_folders_are_paired_by_thickness(tmp_path):
    for thickness in ("1mm", "3mm"):
        for dose in ("full", "quarter"):
            (tmp_path / "L067" / f"{dose}_{thickness}").mkdir(parents=True)
    assert [(full.name, low.name) for full, low in dose_pairs(tmp_path)] == [
        ("full_1mm", "quarter_1mm"),
        ("full_3mm", "quarter_3mm"),
    ]


def test_a_dose_without_its_twin_is_refused(tmp_path):
    (tmp_path / "C002" / "1.0-Full Dose Images-1").mkdir(parents=True)
    with pytest.raises(UserError, match="needs one low-dose series"):
        list(dose_pairs(tmp_path))


def test_aapm_is_judged_on_its_own_low_dose(archive, checkpoints):
    result = evaluate_collection("aapm", archive, options_for("ct-denoise", checkpoints), 2)
    assert [name.split("-")[0] for name in result["slices"]] == ["C002", "C002", "L067", "L067"]
    # 30 HU of noise are its RMSE where nothing leaves the window: in the phantom's soft tissue, most of the body.
    assert result["methods"]["input"]["rmse"] == pytest.approx(30.0, rel=0.2)
    assert set(result["methods"]) == {"input", OURS}


def test_series_on_different_grids_are_not_compared(archive, ct_image, checkpoints):
    other = next(archive.glob("C002/*/*Low*"))
    for file in other.iterdir():
        file.unlink()
    other.rmdir()
    write_series(other, ct_image[:, :, :3], 33)
    with pytest.raises(UserError, match="different grids"):
        evaluate_collection("aapm", archive, options_for("ct-denoise", checkpoints), 1)


@pytest.mark.parametrize(
    "name, task, file", [("ixi", "mr-sr2", "IXI002-Guys-0828-PD.nii.gz"), ("adni", "mr-artifact", "S1/ADNI_MR.nii")]
)
def test_mr_collections_are_degraded_and_judged_by_command(lrformer, tmp_path, mr_image, checkpoints, name, task, file):
    (tmp_path / "scans" / file).parent.mkdir(parents=True)
    sitk.WriteImage(mr_image, str(tmp_path / "scans" / file))
    sitk.WriteImage(mr_image, str(tmp_path / "scans" / "IXI002-Guys-0828-T2.nii.gz"))
    code, printed, _ = lrformer(
        "evaluate", "--collection", name, "--task", task, "--data", tmp_path / "scans", "--prior", "none",
        "--model", checkpoints[task], "--slices-a-scan", 2, "--most-scans", 1, "--report", tmp_path / "r.json",
    )  # fmt: skip
    result = json.loads((tmp_path / "r.json").read_text())
    assert code == 0 and "2 slices" in printed and len(result["slices"]) == 2
    baseline = "Zero-filled k-space" if task == "mr-sr2" else "input"
    assert np.isfinite(result["methods"][baseline]["psnr_db"]) and np.isfinite(result["methods"][OURS]["psnr_db"])
    assert name == "adni" or result["slices"][0].startswith("IXI002-Guys-0828-PD")


@pytest.mark.parametrize("name, task", [("aapm", "ct-denoise"), ("ixi", "mr-sr2"), ("adni", "mr-artifact")])
def test_an_empty_folder_is_refused_with_what_to_do(tmp_path, checkpoints, name, task):
    with pytest.raises(UserError, match="name the folder"):
        evaluate_collection(name, tmp_path, options_for(task, checkpoints))


def test_a_task_of_the_other_modality_is_refused(tmp_path, checkpoints):
    with pytest.raises(UserError, match="not for the scans of ixi"):
        evaluate_collection("ixi", tmp_path, options_for("ct-denoise", checkpoints))

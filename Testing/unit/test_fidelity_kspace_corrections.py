"""The benchmark of what is undone in k-space: each artifact alone, and clean slices."""

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.fidelity import kspace_corrections
from LRformerSlicerLib.evaluation.fidelity.kspace_corrections import (
    evaluate_kspace_corrections,
    kspace_correction_lines,
)
from unit.kspace_phantom import sharp_head


@pytest.fixture
def data(tmp_path):
    for part, seed in (("train", 0), ("test", 10)):
        (tmp_path / part).mkdir()
        volume = np.stack([sharp_head(seed=seed + place) for place in range(4)]).astype(np.int16)
        image = sitk.GetImageFromArray(volume)
        image.SetSpacing((1.0, 1.0, 5.0))
        sitk.WriteImage(image, str(tmp_path / part / "mr_flair_fernando.nii.gz"))
    return tmp_path


def test_what_is_looked_for_gains_and_all_else_stays(data, monkeypatch):
    monkeypatch.setattr(kspace_corrections, "DRAWS_A_SCAN", 2)
    result = evaluate_kspace_corrections(data)
    rows = {row["name"]: row for row in result["artifacts"]}
    assert all(row["slices"] == 4 for row in rows.values())
    for name in ("spikes", "ghosts", "missing lines"):
        assert rows[name]["gain_db"] > 1.0 and rows[name]["worse"] == 0
    for name in ("motion", "bias field", "noise"):
        assert rows[name]["gain_db"] == 0.0 and rows[name]["worse"] == 0
        assert rows[name]["before_db"] < 60.0
    assert result["clean_slices"] == 8 and not result["clean_changed"]
    text = "\n".join(kspace_correction_lines(result, ""))
    assert "| noise | 4 |" in text and "Of 8 clean slices" in text


def test_slices_that_are_changed_are_named(data, monkeypatch):
    monkeypatch.setattr(kspace_corrections, "ARTIFACTS", {})
    file = data / "test" / "mr_flair_fernando.nii.gz"
    image = sitk.ReadImage(str(file))
    pixels = sitk.GetArrayFromImage(image)
    columns = np.arange(pixels.shape[2])
    stripes = np.where(pixels[2] > 100, 60 * np.cos(2 * np.pi * 31 * columns / len(columns)), 0)
    pixels[2] = np.clip(pixels[2] + stripes, 0, None)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(file))
    image = sitk.ReadImage(str(file))
    image.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(image, str(file))
    result = evaluate_kspace_corrections(data)
    assert result["clean_changed"] == ["mr_flair_fernando-002"]
    assert "1 are changed: mr_flair_fernando-002." in "\n".join(kspace_correction_lines(result, ""))


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(UserError, match="None of the MR scans"):
        evaluate_kspace_corrections(tmp_path)

"""Label maps are told from scans, refused as files and left out of folders."""

import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.label_map import has_labels
from LRformerSlicerLib.restoration.volume import check_volume
from LRformerSlicerLib.restoration.volume_io import read_volume


def organs(count: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    """Areas numbered 1 to `count` on 0, (4, 64, 64), with smooth edges as segmentations have them."""
    rng = np.random.default_rng(seed)
    scores = gaussian_filter(rng.normal(size=(count + 1, 4, 64, 64)), (0, 1, 4, 4))
    return np.argmax(scores, axis=0).astype(dtype)


@given(
    count=st.integers(1, 120),
    seed=st.integers(0, 500),
    dtype=st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    gap=st.sampled_from([1, 2, 7, 100]),
)
@settings(max_examples=40, deadline=None)
def test_labels_of_any_number_type_and_numbering_are_told(count, seed, dtype, gap):
    labels = organs(count, seed).astype(np.int64) * gap
    if labels.max() == labels.min() or labels.max() > np.iinfo(np.int16).max or (dtype is np.uint8 and gap > 2):
        return
    assert has_labels(labels.astype(dtype))


@given(
    level=st.floats(0.6, 40.0),
    bits=st.sampled_from([8, 12, 16]),
    modality=st.sampled_from(["CT", "MR"]),
    seed=st.integers(0, 500),
)
@settings(max_examples=40, deadline=None)
def test_scans_with_the_least_noise_are_none(level, bits, modality, seed):
    rng = np.random.default_rng(seed)
    anatomy = gaussian_filter(organs(6, seed).astype(float), (0, 1, 1)) * 40
    if modality == "CT":
        scan = np.rint(anatomy * 6 - 1000 + rng.normal(0, level, anatomy.shape)).clip(-1024, 3071).astype(np.int16)
    else:
        scan = np.hypot(anatomy + rng.normal(0, level, anatomy.shape), rng.normal(0, level, anatomy.shape))
        scan = np.rint(scan).clip(0, 2**bits - 1).astype(np.uint16)
    assert not has_labels(scan)


def test_masks_and_few_values_are_labels_and_constants_are_not(ct_image):
    assert has_labels(organs(1)) and has_labels(organs(3) * 85)
    assert not has_labels(np.zeros((2, 20, 20), dtype=np.uint8))
    assert not has_labels(organs(3).astype(np.int16) - 1), "labels begin at 0"
    assert not has_labels(organs(3) / 3.0), "probabilities are no labels"


def test_no_real_scan_is_taken_for_a_label_map(shared_data):
    scans = [path for path in sorted(shared_data.rglob("*.nii.gz")) if "label" not in path.name]
    assert len(scans) > 100
    for path in scans:
        image = sitk.ReadImage(str(path))
        assert not has_labels(sitk.GetArrayViewFromImage(image)), path.name
    for path in shared_data.rglob("*label*.nrrd"):
        assert has_labels(sitk.GetArrayViewFromImage(sitk.ReadImage(str(path)))), path.name


@pytest.fixture
def scan() -> np.ndarray:
    return np.rint(np.random.default_rng(3).normal(300, 60, (4, 32, 32))).clip(0).astype(np.int16)


def test_what_a_file_says_of_itself_counts_whatever_its_values(tmp_path, scan):
    image = nibabel.Nifti1Image(scan.T, np.eye(4))
    image.header.set_intent("label")
    nibabel.save(image, tmp_path / "parcels.nii.gz")
    with pytest.raises(UserError, match="label map"):
        check_volume(read_volume(tmp_path / "parcels.nii.gz"))
    image = sitk.GetImageFromArray(scan)
    image.SetMetaData("Segment0_ID", "Segment_1")
    sitk.WriteImage(image, str(tmp_path / "Segmentation.seg.nrrd"))
    with pytest.raises(UserError, match="label map"):
        check_volume(read_volume(tmp_path / "Segmentation.seg.nrrd"))


def test_as_a_file_they_are_refused_in_one_sentence(lrformer, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(organs(4)), str(tmp_path / "liver.nii.gz"))
    before = sorted(tmp_path.iterdir())
    code, _, complaint = lrformer("restore", tmp_path / "liver.nii.gz", tmp_path / "out.nii.gz", "--task", "mr-sr2")
    assert code == 2 and complaint.count("\n") == 1 and "This is a label map" in complaint
    assert sorted(tmp_path.iterdir()) == before


def test_as_a_reference_they_are_refused(lrformer, tmp_path, ct_image, checkpoints):
    sitk.WriteImage(ct_image, str(tmp_path / "ct.nrrd"))
    labels = sitk.Cast(ct_image > 0, sitk.sitkUInt8)
    sitk.WriteImage(labels, str(tmp_path / "mask.nrrd"))
    words = ("restore", tmp_path / "ct.nrrd", tmp_path / "out.nrrd", "--prior", "none", "--reference")
    code, _, complaint = lrformer(*words, tmp_path / "mask.nrrd", "--model", checkpoints["ct-denoise"])
    assert code == 2 and "label map" in complaint and not (tmp_path / "out.nrrd").exists()


def test_in_a_folder_they_are_left_out_and_named(lrformer, tmp_path, ct_image, checkpoints):
    source = tmp_path / "in"
    source.mkdir()
    sitk.WriteImage(ct_image[:, :, :2], str(source / "ct.nii.gz"))
    for name in ("ct_mask.nii.gz", "labels.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(organs(1 if "mask" in name else 30)), str(source / name))
    segments = sitk.GetImageFromArray(organs(3))
    segments.SetMetaData("Segment0_ID", "Segment_1")
    sitk.WriteImage(segments, str(source / "Segmentation.seg.nrrd"))
    code, said, _ = lrformer("check", source)
    assert code == 0 and "1 of 1 volume can be restored" in said
    assert {line.split(":")[1].strip() for line in said.splitlines() if line.startswith("Left out")} == {
        *("ct_mask.nii.gz", "labels.mha", "Segmentation.seg.nrrd"),
    }
    words = ("restore", source, tmp_path / "out", "--prior", "none", "--device", "cpu")
    code, said, complaint = lrformer(*words, "--model", checkpoints["ct-denoise"])
    assert code == 0, complaint
    for name in ("ct_mask.nii.gz", "labels.mha", "Segmentation.seg.nrrd"):
        assert any(name in line and "left out" in line.lower() and "label map" in line for line in said.splitlines())
    assert "1 restored, 3 left out" in said
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"ct.nii.gz", "lrformer-folder.json"}
    assert "failed" not in json.dumps(json.loads((tmp_path / "out" / "lrformer-folder.json").read_text()))
    code, said, _ = lrformer(*words, "--model", checkpoints["ct-denoise"])
    assert code == 0 and "1 finished before, 3 left out" in said

"""What the source of an image states beside its voxels: padding and the slice axis."""

import tracemalloc

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.nearby import nearby_mean
from LRformerSlicerLib.restoration.volume import check_volume
from LRformerSlicerLib.restoration.volume_io import read_volume, write_volume


def test_stated_padding_is_seen_in_the_order_of_the_slices(mr_image):
    padding = np.zeros(sitk.GetArrayViewFromImage(mr_image).shape, dtype=bool)
    padding[2, 5:9, :] = True
    turned = sitk.Flip(mr_image, (True, True, False))
    volume = check_volume(turned, padding=padding)
    assert volume.padding.shape == volume.slices.shape
    assert np.array_equal(volume.padding, volume.plane.view(padding))
    assert check_volume(mr_image, padding=np.zeros_like(padding)).padding is None


def test_the_stated_slice_axis_reaches_the_report(ct_image, checkpoints):
    # Square pixels in another plane than the stored one: only the statement tells.
    ct_image.SetSpacing((0.75, 1.5, 1.5))
    volume = check_volume(ct_image, slice_axis=2)
    options = RestorationOptions(model=checkpoints["ct-denoise"], prior="none")
    assert volume.slice_axis == 2 and volume.slices.shape[0] == ct_image.GetSize()[2]
    assert Restorer().restore(volume, options).report["slice_axis"] == "k"


def test_long_pixels_are_restored_in_their_own_plane(ct_image, mr_image, checkpoints):
    ct_image.SetSpacing((0.75, 1.5, 1.5))
    options = RestorationOptions(model=checkpoints["ct-denoise"], prior="none")
    report = Restorer().restore(ct_image, options, modality="CT").report
    assert (report["slice_axis"], report["slices"]) == ("k", ct_image.GetSize()[2])
    mr_image.SetSpacing((0.75, 1.5, 1.5))
    finer = RestorationOptions(task="mr-sr2", model=checkpoints["mr-sr2"], prior="none")
    result = Restorer().restore(mr_image, finer, modality="MR").restored
    assert result.GetSize() == (128, 144, 4) and np.allclose(result.GetSpacing(), (0.375, 0.75, 1.5))


def test_nifti_states_its_slice_axis(tmp_path):
    array = np.random.default_rng(1).integers(0, 900, (24, 20, 28)).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 1.0, 1.0]))
    image.header.set_dim_info(freq=0, phase=2, slice=1)
    nibabel.save(image, tmp_path / "a.nii")
    volume = check_volume(read_volume(tmp_path / "a.nii"))
    assert volume.slice_axis == 1 and volume.slices.shape[0] == 20
    write_volume(volume.image, tmp_path / "b.nii")
    assert nibabel.load(tmp_path / "b.nii").header.get_dim_info() == (0, 2, 1)


@pytest.mark.parametrize("spacing", [(1e-5, 1e-5, 1.0), (1e-5, 1.0, 1.0), (0.8, 0.8, 5000.0)])
def test_absurd_spacing_is_one_sentence(ct_image, spacing, tmp_path, lrformer):
    ct_image.SetSpacing(spacing)
    with pytest.raises(UserError, match="The voxels are said to be"):
        check_volume(ct_image)
    sitk.WriteImage(ct_image, str(tmp_path / "a.nrrd"))
    code, _, complaint = lrformer("restore", tmp_path / "a.nrrd", tmp_path / "b.nrrd", "--prior", "none")
    assert code == 2 and complaint.count("\n") == 1 and "are said to be" in complaint


def test_filters_in_mm_stay_small_however_small_the_pixels():
    pixels = np.random.default_rng(2).normal(0, 1, (64, 64)).astype(np.float32)
    body = np.ones((64, 64), dtype=bool)
    tracemalloc.start()
    mean = nearby_mean(pixels, body, 8.0, (1e-5, 1e-5))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20 and np.allclose(mean, pixels.mean(), atol=0.02)

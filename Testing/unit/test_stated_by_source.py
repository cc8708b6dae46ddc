"""What the source of an image states beside its voxels: padding and the slice axis."""

import numpy as np
import SimpleITK as sitk

from LRformerSlicerLib.restoration.engine import RestorationOptions, Restorer
from LRformerSlicerLib.restoration.volume import check_volume


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

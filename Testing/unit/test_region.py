"""The ROI in patient space on oblique volumes."""

import numpy as np
import pytest

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.region import Region
from LRformerSlicerLib.restoration.slicing import SlicePlane


def region_around(image, index, half_mm):
    centre = np.array(image.TransformIndexToPhysicalPoint(index))
    bounds = np.stack([centre - half_mm, centre + half_mm], axis=1).reshape(-1)
    return Region.of(tuple(bounds), image, SlicePlane.of(image))


def test_box_is_where_the_voxels_are(ct_image):
    region = region_around(ct_image, (30, 40, 2), 5.0)
    left, top, right, bottom = region.box(2)
    assert left <= 30 < right and top <= 40 < bottom
    for row, column in ((41, 31), (46, 30), (40, 36)):
        point = np.array(ct_image.TransformIndexToPhysicalPoint((column, row, 2)))
        # Slices have thickness: membership across them is looser than the box by half the spacing.
        expected = np.all((point >= region.low_mm)[:2] & (point <= region.high_mm)[:2])
        assert region.inside(2)[row, column] == expected


def test_box_between_two_slices_still_meets_one(ct_image):
    assert any(region_around(ct_image, (30, 40, 2), 0.2).box(index) for index in (1, 2, 3))


def test_weight_is_smooth_one_inside_and_zero_outside(ct_image):
    region = region_around(ct_image, (40, 36, 1), 20.0)
    weight, inside = region.weight(1), region.inside(1)
    assert weight[36, 40] == 1.0
    assert not weight[~inside].any()
    assert np.abs(np.diff(weight, axis=1)).max() < 0.5
    assert not region.weight(1)[0].any()


def test_corners_in_any_order(ct_image):
    region = region_around(ct_image, (30, 40, 2), 5.0)
    swapped = (
        region.high_mm[0],
        region.low_mm[0],
        *region.low_mm[1:2],
        *region.high_mm[1:2],
        region.low_mm[2],
        region.high_mm[2],
    )
    assert Region.of(swapped, ct_image, SlicePlane.of(ct_image)).box(2) == region.box(2)


def test_outside_is_refused_and_told_where_the_volume_is(ct_image):
    with pytest.raises(UserError, match=r"outside the volume, which covers x -31\.4 to 32\.6"):
        Region.of((500, 520, 0, 10, -400, -390), ct_image, SlicePlane.of(ct_image))

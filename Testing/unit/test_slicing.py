"""Acquisition planes: which axis counts the slices, and how a reader sees them."""

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.restoration.slicing import SlicePlane, acquisition_axis, neighbour_stack


def grid(size, spacing, direction=None) -> sitk.Image:
    image = sitk.Image(size, sitk.sitkInt16)
    image.SetSpacing(spacing)
    if direction is not None:
        image.SetDirection(direction)
    return image


@pytest.mark.parametrize(
    ("size", "spacing", "axis"),
    [
        ((512, 512, 30), (0.9, 0.9, 2.5), 2),
        ((256, 30, 256), (1.56, 8.75, 1.56), 1),
        ((192, 256, 103), (0.9, 0.859, 0.859), 0),
        ((512, 512, 600), (0.8, 0.8, 0.5), 2),  # overlapping thin CT slices: still the square pixels' plane
        ((512, 512, 1), (1.0, 1.0, 1.0), 2),
        ((1, 256, 256), (1.0, 1.0, 1.0), 0),
        ((197, 233, 189), (1.0, 1.0, 1.0), 2),
        ((200, 40, 230), (0.7, 3.0, 0.8), 1),
        ((64, 20, 80), (0.7, 3.0, 3.0), 0),
        ((112, 96, 8), (0.75, 1.5, 1.5), 2),  # long pixels, slices as thick as these are long
        ((96, 112, 8), (1.5, 0.75, 1.5), 2),
        ((192, 96, 40), (0.75, 1.5, 1.5), 2),
        ((192, 40, 96), (0.75, 1.5, 1.5), 1),  # the same, turned: its field of view is square
        ((40, 96, 192), (1.5, 1.5, 0.75), 0),
        ((256, 128, 20), (0.8, 1.6, 5.0), 2),
        ((512, 512, 40), (0.8, 0.8, 0.5), 2),  # thin slices that are the fewest, too
        ((400, 400, 900), (0.9, 0.9, 0.6), 2),
    ],
)
def test_axis_across_the_slices(size, spacing, axis):
    assert acquisition_axis(grid(size, spacing)) == axis


def test_isotropic_volume_stored_coronally_is_cut_axially():
    # Image axis 1 runs to the head.
    image = grid((60, 80, 70), (1, 1, 1), (1, 0, 0, 0, 0, -1, 0, 1, 0))
    assert acquisition_axis(image) == 1


def test_coronal_haste_is_cut_coronally(shared_data):
    image = sitk.ReadImage(str(shared_data / "test" / "mr_haste_abdomen_tcga.nii.gz"))
    plane = SlicePlane.of(image)
    assert plane.across_axis == 1
    slices = plane.view(sitk.GetArrayViewFromImage(image))
    assert slices.shape == (30, 256, 256)
    # Seen upright: the head end, index K = 255, is the first row.
    assert np.array_equal(slices[7][0], sitk.GetArrayViewFromImage(image)[255, 7, :])


def test_axial_slices_in_standard_position_are_plain(ct_image):
    array = sitk.GetArrayViewFromImage(ct_image)
    assert np.array_equal(SlicePlane.of(ct_image).view(array), array)


@pytest.mark.parametrize(
    "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (-1, 0, 0, 0, -1, 0, 0, 0, 1), (0, 0, 1, 1, 0, 0, 0, 1, 0)]
)
def test_writing_to_the_view_writes_the_volume(direction):
    image = grid((20, 24, 6), (1, 1, 5), direction)
    plane = SlicePlane.of(image)
    array = np.zeros((6, 24, 20), dtype=np.int16)
    view = plane.view(array)
    view[2, 3, 4] = 7
    row, column = plane.index_of(np.array(3), np.array(4), image.GetSize())
    index = {plane.across_axis: 2, plane.in_plane_axes[0]: int(row), plane.in_plane_axes[1]: int(column)}
    assert array[index[2], index[1], index[0]] == 7 and array.sum() == 7


@pytest.mark.parametrize(
    "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (-1, 0, 0, 0, -1, 0, 0, 0, 1), (0, 0, 1, 1, 0, 0, 0, -1, 0)]
)
def test_columns_run_left_or_back_and_rows_down(direction):
    image = grid((20, 24, 6), (1, 1, 5), direction)
    plane = SlicePlane.of(image)
    size = image.GetSize()

    def place(row, column):
        index = [0, 0, 0]
        found = plane.index_of(np.array(row), np.array(column), size)
        index[plane.in_plane_axes[0]], index[plane.in_plane_axes[1]] = int(found[0]), int(found[1])
        return np.array(image.TransformIndexToPhysicalPoint(index))

    down, right = place(1, 0) - place(0, 0), place(0, 1) - place(0, 0)
    assert right.max() == 1 and right.min() == 0  # towards left or back, both positive in LPS
    assert down.tolist() in ([0, 1, 0], [0, 0, -1])


def test_a_stated_slice_axis_is_not_guessed_again():
    image = grid((40, 40, 48), (0.75, 1.5, 1.5))
    assert SlicePlane.of(image).across_axis == 0
    assert SlicePlane.of(image, across=2).across_axis == 2


def test_neighbours_repeat_at_the_ends():
    view = np.arange(5)[:, None, None] * np.ones((1, 2, 2))
    assert neighbour_stack(view, 0, 2)[:, 0, 0].tolist() == [0, 0, 0, 1, 2]
    assert neighbour_stack(view, 4, 1)[:, 0, 0].tolist() == [3, 4, 4]
    assert neighbour_stack(view, 2, 0).shape == (1, 2, 2)

"""Strength: what the slider makes of original and change, and of volumes too large for one of its steps."""

import numpy as np
import pytest

from panel_contents import parameters_of


def test_strength_blends_original_and_restored_without_the_network(restored, monkeypatch):
    import slicer

    parameters = parameters_of(restored)
    original = slicer.util.arrayFromVolume(parameters.inputVolume).astype(float)
    full = slicer.util.arrayFromVolume(parameters.restoredVolume).astype(float)
    monkeypatch.setattr(restored.logic, "startRestoration", lambda *a, **k: pytest.fail("the network ran again"))
    for percent in (50, 0, 25, 100):
        restored.ui.strengthSlider.value = percent
        shown = slicer.util.arrayFromVolume(parameters.restoredVolume)
        assert shown.dtype == np.int16
        assert np.abs(shown - (original + percent / 100 * (full - original))).max() <= 0.5001, percent
    assert np.array_equal(shown, full)


def test_strength_zero_is_the_original_voxel_for_voxel(restored):
    import slicer

    restored.ui.strengthSlider.value = 0
    nodes = parameters_of(restored).inputVolume, parameters_of(restored).restoredVolume
    assert np.array_equal(*(slicer.util.arrayFromVolume(node) for node in nodes))


@pytest.fixture
def blended(panel_with_views, add_ct, monkeypatch):
    """The panel with a volume, a result and its change, and blocks so small that the volume counts as large."""
    import slicer

    from LRformerSlicerLib.scene import strength

    monkeypatch.setattr(strength, "BLOCK_VOXELS", 40 * 40)
    volume = add_ct(slices=30, size=40)
    # Straight to the views, where every view shows one slice.
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    voxels = slicer.util.arrayFromVolume(volume)
    change = np.random.default_rng(2).normal(0, 50, voxels.shape).astype(np.float32)
    restored = slicer.util.addVolumeFromArray(np.rint(voxels + change).astype(np.int16), name="restored")
    difference = slicer.util.addVolumeFromArray(change, name="difference")
    for node in (restored, difference):
        node.CopyOrientation(volume)
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
        node.CreateDefaultDisplayNodes()
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(restored.GetID())
    logic.PropagateVolumeSelection(1)
    panel_with_views.ui.inputSelector.setCurrentNode(volume)
    parameters = panel_with_views._parameterNode
    parameters.restoredVolume, parameters.differenceVolume = restored, difference
    return panel_with_views


def expected(panel, strength):
    import slicer

    parameters = panel._parameterNode
    voxels = slicer.util.arrayFromVolume(parameters.inputVolume)
    change = slicer.util.arrayFromVolume(parameters.differenceVolume)
    return np.rint(voxels + np.float32(strength) * change).astype(np.int16)


def test_the_views_change_at_once_and_the_rest_follows(blended, wait_for):
    import slicer

    from LRformerSlicerLib.scene.strength import shownStrength
    from LRformerSlicerLib.scene.views import shownSlices

    restored = blended._parameterNode.restoredVolume
    before = slicer.util.arrayFromVolume(restored).copy()
    blended.ui.strengthSlider.value = 30
    shown = shownSlices(restored)
    assert sorted(axis for axis, _index in shown) == [0, 1, 2]
    voxels = slicer.util.arrayFromVolume(restored)
    for axis, index in shown:
        np.testing.assert_array_equal(voxels.take(index, axis), expected(blended, 0.3).take(index, axis))
    assert (voxels == before).any() and shownStrength(restored) == 1.0
    wait_for(lambda: not blended.strength._blend.isPending, 10)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(restored), expected(blended, 0.3))
    assert shownStrength(restored) == pytest.approx(0.3)


def test_a_slider_that_moves_on_ends_at_its_last_place(blended, wait_for):
    import slicer

    for value in (80, 55, 20, 60):
        blended.ui.strengthSlider.value = value
        slicer.app.processEvents()
    wait_for(lambda: not blended.strength._blend.isPending, 10)
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(blended._parameterNode.restoredVolume), expected(blended, 0.6)
    )


@pytest.mark.parametrize("is_input_there", [True, False])
def test_a_finer_grid_is_blended_in_blocks_as_well_and_does_not_drift(blended, scene, add_ct, wait_for, is_input_there):
    import slicer

    parameters = blended._parameterNode
    before = slicer.util.arrayFromVolume(parameters.restoredVolume).copy()
    change = slicer.util.arrayFromVolume(parameters.differenceVolume)
    # An input of another size stands for the coarse one of super-resolution; without any it is the same.
    parameters.inputVolume = add_ct(slices=30, size=24, name="coarse") if is_input_there else None
    blended.ui.strengthSlider.value = 90
    known = blended.strength._blend._isKnown
    assert 0 < known.sum() < 0.5 * known.size
    for value in (70, 20, 55, 40):
        blended.ui.strengthSlider.value = value
        slicer.app.processEvents()
    wait_for(lambda: not blended.strength._blend.isPending, 10)
    wanted = np.rint((before - change) + np.float32(0.4) * change).astype(np.int16)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(parameters.restoredVolume), wanted)
    blended.ui.strengthSlider.value = 100
    wait_for(lambda: not blended.strength._blend.isPending, 10)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(parameters.restoredVolume), before)


@pytest.mark.parametrize("way", ["leaving", "choosing another volume"])
def test_nobody_gets_a_half_blended_volume(blended, way, add_ct):
    import slicer

    restored, wanted = blended._parameterNode.restoredVolume, expected(blended, 0.0)
    blended.ui.strengthSlider.value = 0
    assert blended.strength._blend.isPending
    if way == "leaving":
        blended.exit()
        blended.enter()
    else:
        blended.ui.inputSelector.setCurrentNode(add_ct(name="another"))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(restored), wanted)


def test_a_result_deleted_meanwhile_ends_it(blended, scene, wait_for):
    blended.ui.strengthSlider.value = 0
    scene.RemoveNode(blended._parameterNode.restoredVolume)
    wait_for(lambda: not blended.strength._timer.active, 10)

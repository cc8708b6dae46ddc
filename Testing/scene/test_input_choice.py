"""Which volumes the input list offers, and what the panel shows after one was loaded or deleted."""

import pytest


def offered(panel):
    import slicer

    selector, model = panel.ui.inputSelector, panel.ui.inputSelector.sortFilterProxyModel()
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert selector.nodeCount() == len(volumes) - len(model.hiddenNodeIDs)
    return [node.GetName() for node in volumes if node.GetID() not in model.hiddenNodeIDs]


def test_results_are_offered_as_inputs_only_when_the_user_asks(restored):
    assert offered(restored) == ["Thorax"]
    restored.ui.offersResultsCheckBox.checked = True
    assert {"Thorax", "Thorax restored", "Thorax difference"} <= set(offered(restored))
    restored.ui.offersResultsCheckBox.checked = False
    assert offered(restored) == ["Thorax"]


def test_no_result_takes_the_place_of_a_deleted_input(restored, scene):
    import slicer

    scene.RemoveNode(restored._parameterNode.inputVolume)
    slicer.app.processEvents()
    assert restored.ui.inputSelector.currentNode() is None
    assert not restored.ui.restoreButton.enabled
    restored.enter()
    assert restored.ui.inputSelector.currentNode() is None, "nor when the module is opened again"


def test_a_result_that_was_chosen_as_input_stays_in_the_list(restored):
    restored.ui.offersResultsCheckBox.checked = True
    result = restored._parameterNode.restoredVolume
    restored.ui.inputSelector.setCurrentNode(result)
    restored.ui.offersResultsCheckBox.checked = False
    assert restored.ui.inputSelector.currentNode() is result


def test_a_volume_loaded_into_the_open_and_empty_panel_is_chosen(panel, scene, add_ct, wait_for):
    """The node comes first and its voxels later, as Slicer's readers do it."""
    import slicer

    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Loading")
    slicer.app.processEvents()
    assert panel.ui.inputSelector.currentNode() is None
    source = add_ct(name="Source")
    empty.SetAndObserveImageData(source.GetImageData())
    scene.RemoveNode(source)
    wait_for(lambda: panel.ui.inputSelector.currentNode() is empty, 10)
    assert panel.ui.restoreButton.enabled


def test_a_volume_that_is_loaded_later_does_not_take_the_chosen_ones_place(panel, add_ct, wait_for):
    import slicer

    first = add_ct(name="First")
    wait_for(lambda: panel.ui.inputSelector.currentNode() is first, 10)
    add_ct(name="Second")
    for _ in range(30):
        slicer.app.processEvents()
    assert panel.ui.inputSelector.currentNode() is first


def test_the_strength_slider_needs_the_restored_volume(restored, scene):
    assert restored.ui.strengthSlider.enabled
    scene.RemoveNode(restored._parameterNode.restoredVolume)
    assert not restored.ui.strengthSlider.enabled


@pytest.mark.parametrize("message", ["Batch: 2 restored.", "Restored as 'x' in 3 s on CPU."])
def test_a_closed_scene_takes_with_it_what_was_said_of_its_volumes(panel, scene, message):
    panel.run.showStatus(message)
    scene.Clear()
    assert panel.ui.statusLabel.text == ""


def test_outcomes_of_a_batch_do_not_pass_to_volumes_of_the_next_scene(panel, scene, add_ct):
    first = add_ct(name="First")
    panel.batch._outcomes = {first.GetID(): "restored in 3 s"}
    scene.Clear()
    assert add_ct(name="Second").GetID() == first.GetID()
    panel.ui.batchSection.collapsed = False
    assert panel.ui.batchTable.item(0, 1).text() == ""


def test_of_two_volumes_of_one_name_the_chosen_one_is_taken(panel, add_ct):
    """With Qt 6 the selector says little of a choice between them; whoever restores gets what the list shows."""
    first, second = add_ct(name="Series"), add_ct(name="Series")
    panel.ui.inputSelector.setCurrentNode(first)
    assert panel._parameterNode.inputVolume is first
    panel.ui.inputSelector.setCurrentNode(second)
    assert panel._parameterNode.inputVolume is second
    panel.ui.referenceSelector.setCurrentNode(first)
    panel.ui.referenceSelector.setCurrentNode(second)
    assert panel._parameterNode.referenceVolume is second


def test_choosing_another_volume_leaves_the_first_ones_box_alone(panel, add_ct, scene):
    boxes = [scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box") for _ in range(2)]
    volumes = [add_ct(name="Series") for _ in range(2)]
    for volume, box in zip(volumes, boxes, strict=True):
        panel.ui.inputSelector.setCurrentNode(volume)
        panel.ui.regionSelector.setCurrentNode(box)
    for volume, box in zip(volumes, boxes, strict=True):
        panel.ui.inputSelector.setCurrentNode(volume)
        assert panel._parameterNode.region is box and panel.ui.regionSelector.currentNode() is box

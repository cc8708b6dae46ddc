"""Rules of qMRMLNodeComboBox, one a test. They hold in the test host and in Slicer itself."""

import pytest


@pytest.fixture
def add(scene):
    """Adds volumes by name."""
    return lambda *names: [scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in names]


@pytest.fixture
def selector(scene):
    """A selector of volumes with None and without actions, as this module has them; not yet on the scene."""
    import slicer

    widget = slicer.qMRMLNodeComboBox()
    widget.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    widget.noneEnabled = True
    widget.addEnabled = widget.removeEnabled = False
    yield widget
    widget.setMRMLScene(None)


@pytest.fixture
def told(selector):
    """What the selector tells of its node, by name."""
    names = []
    slot = lambda node: names.append(node.GetName() if node is not None else None)  # noqa: E731
    selector.connect("currentNodeChanged(vtkMRMLNode*)", slot)
    yield names
    selector.disconnect("currentNodeChanged(vtkMRMLNode*)", slot)


def test_it_is_empty_and_disabled_until_it_has_a_scene(selector, scene, add):
    add("A")
    assert not selector.enabled and selector.nodeCount() == 0 and selector.currentNode() is None
    selector.setMRMLScene(scene)
    assert selector.enabled and selector.nodeCount() == 1


def test_without_none_the_first_node_is_chosen_with_none_none(selector, scene, add):
    first, _second = add("A", "B")
    selector.setMRMLScene(scene)
    assert selector.currentNode() is None
    selector.setMRMLScene(None)
    selector.noneEnabled = False
    selector.setMRMLScene(scene)
    assert selector.currentNode() is first


def test_a_node_that_was_asked_for_before_the_scene_is_chosen(selector, scene, add):
    _first, second = add("A", "B")
    selector.setCurrentNode(second)
    assert selector.currentNode() is None
    selector.setMRMLScene(scene)
    assert selector.currentNode() is second


def test_the_first_node_of_an_empty_list_is_chosen_only_without_none(selector, scene, add):
    selector.setMRMLScene(scene)
    add("A")
    assert selector.currentNode() is None
    scene.Clear()
    selector.setMRMLScene(None)
    selector.noneEnabled = False
    selector.setMRMLScene(scene)
    (node,) = add("B")
    assert selector.currentNode() is node


def test_a_neighbour_takes_the_place_of_a_deleted_node(selector, scene, add, told):
    first, second, third = add("A", "B", "C")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(second)
    del told[:]
    scene.RemoveNode(second)
    assert selector.currentNode() is third and told == ["C"]
    scene.RemoveNode(third)
    assert selector.currentNode() is first and told == ["C", "A"]
    scene.RemoveNode(first)
    assert selector.currentNode() is None and told == ["C", "A", None]


def test_a_deleted_node_is_still_in_the_scene_when_its_neighbour_is_told(selector, scene, add):
    first, second = add("A", "B")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(second)
    there = []
    slot = lambda node: there.append(scene.IsNodePresent(second))  # noqa: E731
    selector.connect("currentNodeChanged(vtkMRMLNode*)", slot)
    scene.RemoveNode(second)
    assert [bool(one) for one in there] == [True]


def test_choosing_tells_once_and_choosing_again_not(selector, scene, add, told):
    first, second = add("A", "B")
    selector.setMRMLScene(scene)
    del told[:]
    selector.setCurrentNode(second)
    selector.setCurrentNode(second)
    selector.setCurrentNode(None)
    selector.currentNodeID = first.GetID()
    assert told == ["B", None, "A"]
    assert selector.currentNodeID == first.GetID()


def test_results_are_offered_like_every_other_volume(selector, scene, add):
    (volume,) = add("A")
    volume.SetAttribute("LRformerSlicer.Result", "restored")
    selector.setMRMLScene(scene)
    assert selector.nodeCount() == 1


def test_classes_that_derive_are_offered_unless_told_otherwise(selector, scene, add):
    scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    selector.setMRMLScene(scene)
    assert selector.nodeCount() == 1
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 0
    selector.showChildNodeTypes = True
    selector.hideChildNodeTypes = ["vtkMRMLLabelMapVolumeNode"]
    assert selector.nodeCount() == 0


def test_a_hidden_node_is_left_out_when_the_filter_is_next_applied(selector, scene, add):
    first, second = add("A", "B")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(first)
    first.SetHideFromEditors(True)
    assert selector.nodeCount() == 2 and selector.currentNode() is first
    first.SetName("C")
    assert selector.nodeCount() == 1 and selector.currentNode() is second
    selector.showHidden = True
    assert selector.nodeCount() == 2


def test_an_attribute_filters_and_is_followed(selector, scene, add):
    first, second = add("A", "B")
    first.SetAttribute("Kind", "input")
    selector.setMRMLScene(scene)
    selector.addAttribute("vtkMRMLScalarVolumeNode", "Kind", "input")
    assert selector.nodeCount() == 1
    second.SetAttribute("Kind", "input")
    assert selector.nodeCount() == 2
    second.SetAttribute("Kind", "result")
    assert selector.nodeCount() == 1
    selector.removeAttribute("vtkMRMLScalarVolumeNode", "Kind")
    assert selector.nodeCount() == 2


def test_renaming_the_chosen_node_tells_of_it_again(selector, scene, add, told):
    (volume,) = add("A")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(volume)
    del told[:]
    volume.SetName("New")
    assert told == ["New"] and selector.currentNode() is volume


def test_closing_the_scene_empties_it(selector, scene, add, told):
    (volume,) = add("A")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(volume)
    del told[:]
    scene.Clear()
    assert selector.nodeCount() == 0 and selector.currentNode() is None
    assert told[-1:] == [None]


def test_a_node_made_by_the_selector_is_chosen(selector, scene, add):
    selector.addEnabled = True
    selector.setMRMLScene(scene)
    node = selector.addNode()
    assert node.GetClassName() == "vtkMRMLScalarVolumeNode" and selector.currentNode() is node
    selector.selectNodeUponCreation = False
    assert selector.addNode() is not selector.currentNode()


def test_a_node_that_another_makes_is_not_chosen(selector, scene, add):
    (first,) = add("A")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(first)
    add("B")
    assert selector.currentNode() is first and selector.nodeCount() == 2


def test_nodes_can_be_left_out_by_their_ids(selector, scene, add):
    first, second = add("A", "B")
    selector.setMRMLScene(scene)
    selector.sortFilterProxyModel().hiddenNodeIDs = [first.GetID()]
    assert tuple(selector.sortFilterProxyModel().hiddenNodeIDs) == (first.GetID(),)
    assert selector.nodeCount() == 1
    selector.setCurrentNode(first)
    assert selector.currentNode() is None
    selector.sortFilterProxyModel().hiddenNodeIDs = []
    assert selector.nodeCount() == 2


def test_between_two_nodes_of_one_name_the_activation_is_told_and_perhaps_nothing_else(selector, scene, add, told):
    """With Qt 5 (up to Slicer 5.12) currentNodeChanged is told as well, with Qt 6 it is not."""
    first, second = add("A", "A")
    selector.setMRMLScene(scene)
    selector.setCurrentNode(first)
    del told[:]
    activated = []
    slot = lambda node: activated.append(node)  # noqa: E731
    selector.connect("nodeActivated(vtkMRMLNode*)", slot)
    selector.setCurrentNode(second)
    assert told in ([], ["A"]) and activated == [second] and selector.currentNode() is second
    selector.setCurrentNode(second)
    assert activated == [second]
    selector.disconnect("nodeActivated(vtkMRMLNode*)", slot)

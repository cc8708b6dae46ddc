"""Settings of one volume each, and results or scenes that go while they are compared."""

from panel_contents import give_prior_values, parameters_of, report_rows


def test_each_volume_has_its_own_settings(restored, add_ct):
    import slicer

    first = parameters_of(restored).inputVolume
    restored.ui.strengthSlider.value = 40
    second = add_ct(name="Second")
    restored.ui.inputSelector.setCurrentNode(second)
    assert restored.ui.strengthSlider.value == 100
    assert parameters_of(restored).restoredVolume is None
    assert slicer.app.layoutManager().layout not in (7311, 7312, 7313)
    restored.ui.taskSelector.currentIndex = 4
    restored.ui.inputSelector.setCurrentNode(first)
    assert restored.ui.strengthSlider.value == 40
    assert restored.ui.taskSelector.currentIndex == 0
    assert restored.ui.sideBySideButton.checked


def test_what_was_set_and_made_comes_back_with_the_scene(restored, scene, tmp_path):
    """All that the parameter node holds: choices, results, the box, and with them what the views show."""
    import slicer

    ui = restored.ui
    ui.newRegionButton.click()
    ui.onlyRegionCheckBox.checked = True
    ui.swipeButton.click()
    for slider, value in (("strength", 60), ("swipe", 30), ("opacity", 45), ("threshold", 0.2)):
        getattr(ui, f"{slider}Slider").value = value
    ui.overlaySelector.currentIndex = 4
    ui.contourCheckBox.checked = True
    ui.samplesSpinBox.value, ui.seedSpinBox.value, ui.priorSelector.currentIndex = 7, 5, 2
    ui.medsamLineEdit.text, ui.modelLineEdit.text = "/some/medsam.pth", "/some/model.safetensors"
    ui.referenceSelector.setCurrentNode(parameters_of(restored).inputVolume)
    before = all_that_is_set(restored)
    assert len(before) > 25 and before["overlayThreshold"] == 0.2 and before["region"] == "Lesion box"
    rows = report_rows(restored)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.SetRootDirectory(str(tmp_path))
    for kind, suffix in (("vtkMRMLScalarVolumeNode", "nrrd"), ("vtkMRMLMarkupsROINode", "mrk.json")):
        for number, node in enumerate(slicer.util.getNodesByClass(kind)):
            if node.GetClassName() == kind:
                node.AddDefaultStorageNode(str(tmp_path / f"{number}.{suffix}"))
                assert node.GetStorageNode().WriteData(node)
    assert scene.Commit()
    scene.Clear()
    restored.initializeParameterNode()
    assert report_rows(restored) == {}
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Import()
    restored.initializeParameterNode()
    assert all_that_is_set(restored) == before and report_rows(restored) == rows
    assert ui.swipeButton.checked and ui.strengthSlider.value == 60 and ui.contourCheckBox.checked
    assert slicer.app.layoutManager().layout == 7312


def all_that_is_set(panel) -> dict:
    """Every parameter; volumes and boxes by their names."""
    parameters = parameters_of(panel)
    names = list(type(parameters).allParameters)
    values = {name: getattr(parameters, name) for name in names}
    return {name: value.GetName() if hasattr(value, "GetName") else value for name, value in values.items()}


def test_deleting_the_result_while_it_is_compared_gives_the_layout_back(restored, scene):
    import slicer

    scene.RemoveNode(parameters_of(restored).restoredVolume)
    assert slicer.app.layoutManager().layout not in (7311, 7312, 7313)
    assert not restored.ui.sideBySideButton.enabled
    assert restored.ui.restoreButton.enabled


def test_closing_the_scene_while_comparing_gives_the_layout_back(restored, scene):
    import slicer

    give_prior_values(restored)
    restored.ui.overlaySelector.currentIndex = 1
    restored.ui.swipeButton.click()
    scene.Clear()
    assert slicer.app.layoutManager().layout not in (7311, 7312, 7313)
    assert not restored.ui.restoreButton.enabled and not restored.ui.sideBySideButton.enabled
    assert report_rows(restored) == {}

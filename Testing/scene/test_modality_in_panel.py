"""What the panel says of a volume's modality: that of DICOM by name, else by the rule of the command line."""

import numpy as np
import pytest


@pytest.fixture
def add_volume(scene):
    """Makes a volume of these voxels whose DICOM modality is stated in the subject hierarchy."""

    def add(voxels: np.ndarray, modality: str = ""):
        import slicer

        node = slicer.util.addVolumeFromArray(voxels, name=f"Volume {modality}")
        if modality:
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
            hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(node), "DICOM.Modality", modality)
        return node

    return add


def values(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 300, (3, 48, 48)).astype(np.float32)


@pytest.mark.parametrize("modality", ["PT", "NM", "US", "XA", "SEG", "RTDOSE"])
def test_other_modalities_are_refused_by_name_and_never_chosen_first(host, add_volume, modality):
    import slicer

    from LRformerSlicerLib.errors import UserError
    from LRformerSlicerLib.scene.recognition import recognise
    from LRformerSlicerLib.scene.volume_input import firstSuitableVolume

    node = add_volume(values(), modality)
    with pytest.raises(UserError, match=f"modality {modality} "):
        recognise(node, "auto", {})
    assert firstSuitableVolume() is None
    slicer.mrmlScene.RemoveNode(node)


def test_the_dicom_database_is_asked_where_the_subject_hierarchy_is_silent(host, add_volume, monkeypatch):
    import slicer

    from LRformerSlicerLib.errors import UserError
    from LRformerSlicerLib.scene.recognition import recognise

    class Database:
        isOpen = True

        def instanceValue(self, uid, tag):
            return {("1.2.3", "0008,0060"): "PT"}[uid, tag]

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    node = add_volume(values())
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    with pytest.raises(UserError, match="modality PT"):
        recognise(node, "auto", {})


def test_a_guess_in_doubt_is_told_and_a_task_overrules_it(host, add_volume):
    from LRformerSlicerLib.scene.recognition import recognise

    phase = np.random.default_rng(2).integers(-4096, 4096, (3, 48, 48)).astype(np.int16)
    node = add_volume(phase)
    guessed = recognise(node, "auto", {})
    assert guessed.modality == "MR" and "choose the task" in guessed.line
    assert recognise(node, "ct-denoise", {}).modality == "CT"


def test_a_pet_volume_keeps_the_panel_from_restoring(panel, add_volume):
    panel.ui.inputSelector.setCurrentNode(add_volume(values(), "PT"))
    assert "modality PT (PET)" in panel.ui.recognisedLabel.text
    assert not panel.ui.restoreButton.enabled

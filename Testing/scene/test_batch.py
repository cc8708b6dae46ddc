"""Several volumes in the panel: one queue, one progress, one summary. Real MRML and Qt; not the Slicer application."""

import numpy as np
import psutil
import pytest

OUTCOME = 1


@pytest.fixture
def batch(panel):
    """The panel with its section Batch open."""
    panel.ui.batchSection.collapsed = False
    return panel


def names(panel):
    table = panel.ui.batchTable
    return [table.item(row, 0).text() for row in range(table.rowCount)]


def outcomes(panel):
    table = panel.ui.batchTable
    return {table.item(row, 0).text(): table.item(row, OUTCOME).text() for row in range(table.rowCount)}


def check(panel, *wanted):
    import qt

    table = panel.ui.batchTable
    for row in range(table.rowCount):
        isWanted = table.item(row, 0).text() in wanted
        table.item(row, 0).setCheckState(qt.Qt.Checked if isWanted else qt.Qt.Unchecked)


def make_constant(volume):
    import slicer

    slicer.util.arrayFromVolume(volume)[:] = 7
    slicer.util.arrayFromVolumeModified(volume)
    return volume


def restored_names():
    import slicer

    return sorted(
        node.GetName()
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetAttribute("LRformerSlicer.Result") == "restored"
    )


def test_a_failing_volume_is_named_and_the_others_go_on(batch, add_ct, wait_for):
    import slicer

    first, _bad, third = add_ct(name="First"), make_constant(add_ct(name="Flat")), add_ct(name="Third")
    assert names(batch) == ["First", "Flat", "Third"]
    assert not batch.ui.batchButton.enabled
    check(batch, "First", "Flat", "Third")
    assert batch.ui.batchButton.enabled and batch.ui.batchButton.text == "Restore 3 volumes"
    active = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
    seen, show, tell = [], batch.logic.onProgress, batch.batch._showProgress

    def note(place, event):  # events of a short job may come faster than a wait looks
        tell(place, event)
        seen.append(batch.ui.statusLabel.text)

    batch.batch._showProgress = note
    batch.ui.batchButton.click()
    assert batch.ui.restoreButton.text == "Cancel" and not batch.ui.batchButton.enabled
    wait_for(lambda: not batch.logic.busy)
    # Which stage of a short job the wait catches is chance.
    assert any(text.startswith("Volume 3 of 3, 'Third'. ") for text in seen), seen[-5:]
    assert outcomes(batch)["Flat"].startswith("failed: All voxels of 'Flat' have the same value")
    assert outcomes(batch)["First"].startswith("restored in ") and outcomes(batch)["Third"].startswith("restored in ")
    assert batch.ui.statusLabel.text == "Batch: 2 restored, 1 failed, see the table."
    assert batch.ui.restoreButton.text == "Restore" and batch.logic.onProgress == show
    # Named, placed and kept as a single restoration is; the results are not offered to be restored again.
    assert restored_names() == ["First restored", "Third restored"]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for volume in (first, third):
        parameters = batch.logic.parameterNodeOf(volume, makeCurrent=False)
        assert parameters.report and parameters.uncertaintyVolume is not None
        parents = [
            hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (volume, parameters.restoredVolume)
        ]
        assert parents[0] == parents[1]
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == active, "the views changed"
    assert names(batch) == ["First", "Flat", "Third"]


def test_each_volume_has_its_own_settings_and_the_result_of_a_single_run(batch, add_ct, wait_for, voxel_hash):
    import LRformerSlicer

    volumes = [add_ct(name="A"), add_ct(name="B")]
    for volume in volumes:
        parameters = batch.logic.parameterNodeOf(volume, makeCurrent=False)
        parameters.device = LRformerSlicer.Device.CPU
    batch.logic.parameterNodeOf(volumes[1], makeCurrent=False).task = LRformerSlicer.Task.MR_ARTIFACT
    check(batch, "A", "B")
    batch.ui.batchButton.click()
    wait_for(lambda: not batch.logic.busy)
    assert outcomes(batch)["A"].startswith("restored") and "mr-artifact" in outcomes(batch)["B"]
    inBatch = voxel_hash(batch.logic.parameterNodeOf(volumes[0], makeCurrent=False).restoredVolume)
    batch.ui.inputSelector.setCurrentNode(volumes[0])
    batch.ui.restoreButton.click()
    wait_for(lambda: not batch.logic.busy)
    assert voxel_hash(batch._parameterNode.restoredVolume) == inBatch


def test_cancel_keeps_what_is_done(batch, add_ct, wait_for, scene):
    add_ct(name="Short"), add_ct(name="Long", slices=400), add_ct(name="Last")
    check(batch, "Short", "Long", "Last")
    batch.ui.batchButton.click()
    wait_for(lambda: batch.ui.statusLabel.text.startswith("Volume 2 of 3, 'Long'. Restoring"))
    worker = psutil.Process(batch.logic._client.pid)
    volumes = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    batch.ui.restoreButton.click()
    assert not worker.is_running() and not batch.logic.busy
    assert batch.ui.statusLabel.text == "Batch: 1 restored, 2 cancelled."
    assert restored_names() == ["Short restored"]
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == volumes
    assert outcomes(batch)["Long"] == outcomes(batch)["Last"] == "cancelled"
    # And again, with what is left.
    check(batch, "Last")
    batch.ui.batchButton.click()
    wait_for(lambda: not batch.logic.busy)
    assert restored_names() == ["Last restored", "Short restored"]


def test_a_study_can_be_chosen_and_a_volume_deleted_meanwhile_is_said(batch, add_ct, wait_for, scene, application):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    add_ct(name="Old")
    volumes = [add_ct(name="New 1"), add_ct(name="New 2")]
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Follow-up")
    for volume in volumes:
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), study)
    batch.batch.update()
    selector = batch.ui.batchGroupSelector
    texts = [selector.itemText(index) for index in range(selector.count)]
    assert texts[:2] == ["Choose...", "All volumes"] and "Follow-up" in texts and "Patient / Study" in texts
    selector.setCurrentIndex(texts.index("Follow-up"))
    application.emit(selector, "activated", texts.index("Follow-up"))
    assert batch.ui.batchButton.text == "Restore 2 volumes"
    batch.ui.batchButton.click()
    scene.RemoveNode(volumes[1])
    wait_for(lambda: not batch.logic.busy)
    assert batch.ui.statusLabel.text == "Batch: 1 restored, 1 failed, see the table."
    assert restored_names() == ["New 1 restored"]


def test_closing_the_scene_ends_the_batch(batch, add_ct, wait_for, scene):
    add_ct(name="Long", slices=400), add_ct(name="Next")
    check(batch, "Long", "Next")
    batch.ui.batchButton.click()
    wait_for(lambda: "Restoring" in batch.ui.statusLabel.text)
    worker = psutil.Process(batch.logic._client.pid)
    scene.Clear()
    assert not worker.is_running() and not batch.logic.busy and not batch.batch.isRunning
    assert np.all([name not in ("Long", "Next") for name in restored_names()])
    assert names(batch) == []


def test_without_the_packages_one_sentence_and_no_start(batch, add_ct, monkeypatch):
    from LRformerSlicerLib.errors import UserError
    from LRformerSlicerLib.panel import batch as batch_module

    def missing():
        raise UserError("Install the packages first.")

    add_ct(name="A"), add_ct(name="B")
    monkeypatch.setattr(batch_module, "ensureDependencies", missing)
    check(batch, "A", "B")
    batch.ui.batchButton.click()
    assert batch.ui.statusLabel.text == "Install the packages first." and not batch.logic.busy
    assert set(outcomes(batch).values()) == {""}

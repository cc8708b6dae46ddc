"""The results in the scene, on real MRML: where they are, what they keep, and that nothing else changes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from LRformerSlicerLib.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = {"restored", "prior", "uncertainty", "consistency", "difference", "expected_error"}


@pytest.fixture
def restore(panel, wait_for):
    """Restores a node with the Logic alone; returns the result nodes and the report, raises what went wrong."""

    def run(node, **options):
        import LRformerSlicer

        finished, failed = [], []
        panel.logic.onFinished = lambda inputVolume, nodes, report: finished.append((nodes, report))
        panel.logic.onFailed = failed.append
        task = options.pop("task", LRformerSlicer.Task.CT_DENOISE)
        panel.logic.startRestoration(node, task, LRformerSlicer.Device.CPU, **options)
        wait_for(lambda: finished or failed)
        assert not failed, failed
        return finished[0]

    return run


def geometry_of(node) -> np.ndarray:
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def hierarchy_parent_of(node):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node))


def test_results_have_the_inputs_geometry_transform_study_and_window(add_ct, restore):
    volume = add_ct()
    nodes, _report = restore(volume)
    assert set(nodes) == RESULTS
    assert hierarchy_parent_of(volume) != 0
    for name, node in nodes.items():
        assert (geometry_of(node) == geometry_of(volume)).all(), name
        assert node.GetParentTransformNode() is volume.GetParentTransformNode(), name
        assert hierarchy_parent_of(node) == hierarchy_parent_of(volume), name
        assert node.GetImageData().GetDimensions() == volume.GetImageData().GetDimensions()
        assert node.GetAttribute("DICOM.instanceUIDs") is None, name
        assert node.GetName().startswith("Thorax "), name
        assert node.GetStorageNode() is None or node.GetStorageNode().GetFileName() is None, name
    display = nodes["restored"].GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()) == (350, 45, 0)
    assert display is not volume.GetDisplayNode()
    assert volume.GetAttribute("DICOM.instanceUIDs") == "1.2.3 1.2.4"


def test_restored_voxels_are_where_the_inputs_are(add_ct, restore):
    # A transposed or mirrored result would have the same matrix: the content must sit in its place as well.
    import slicer

    volume = add_ct(slices=4)
    slicer.util.arrayFromVolume(volume)[3, 14:20, 30:36] = 900
    slicer.util.arrayFromVolumeModified(volume)
    nodes, _report = restore(volume)
    before, after = (slicer.util.arrayFromVolume(node).astype(float) for node in (volume, nodes["restored"]))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98
    assert after[3, 14:20, 30:36].mean() > 700
    assert not (before == after).all(), "the network changed nothing"


@pytest.mark.parametrize("voxel_type", ["short", "int", "long", "float", "double"])
def test_the_voxel_type_is_kept(add_ct, restore, voxel_type):
    import slicer

    volume = add_ct(slices=2, voxel_type=voxel_type)
    assert volume.GetImageData().GetScalarTypeAsString() == voxel_type
    nodes, _report = restore(volume)
    assert nodes["restored"].GetImageData().GetScalarType() == volume.GetImageData().GetScalarType()
    assert slicer.util.arrayFromVolume(nodes["prior"]).dtype == np.float32


def test_the_input_and_all_that_was_there_stay_as_they_were(add_ct, restore, voxel_hash):
    import slicer

    volume, other = add_ct(), add_ct(name="Other")
    before = voxel_hash(volume), voxel_hash(other), volume.GetDisplayNode().GetWindow(), volume.GetName()
    input_mtime = volume.GetImageData().GetMTime()
    nodes_before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
    restore(volume)
    assert (voxel_hash(volume), voxel_hash(other), volume.GetDisplayNode().GetWindow(), volume.GetName()) == before
    assert volume.GetImageData().GetMTime() == input_mtime
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == nodes_before + len(RESULTS)


def test_two_runs_of_one_volume_have_names_of_their_own(add_ct, restore):
    volume = add_ct(slices=2)
    first, _ = restore(volume)
    second, _ = restore(volume)
    names = [node.GetName() for nodes in (first, second) for node in nodes.values()]
    assert len(set(names)) == len(names)
    assert volume.GetName() == "Thorax"


def test_super_resolution_covers_the_same_space_with_finer_voxels(scene, restore, checkpoints):
    import slicer

    import LRformerSlicer

    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:40, 0:48] / 48 - 0.45
    voxels = 20 + 600 * (x**2 + y**2 < 0.12) + rng.normal(0, 8, (3, 40, 48))
    volume = slicer.util.addVolumeFromArray(voxels.astype(np.int16), name="Head")
    volume.SetSpacing(0.9, 0.9, 4.0)
    volume.SetIJKToRASDirections(0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)
    volume.CreateDefaultDisplayNodes()
    nodes, _report = restore(volume, task=LRformerSlicer.Task.MR_SUPER_RESOLUTION_2, model=str(checkpoints["mr-sr2"]))
    fine = nodes["restored"]
    assert fine.GetImageData().GetDimensions() == (96, 80, 3)
    assert fine.GetSpacing() == pytest.approx((0.45, 0.45, 4.0))
    # Voxel (0, 0, 0) of the input covers voxels 0 and 1: corners and so the whole extent coincide.
    corner, fine_corner = (geometry_of(node) @ [-0.5, -0.5, -0.5, 1] for node in (volume, fine))
    assert fine_corner == pytest.approx(corner, abs=1e-4)
    size = np.array([*volume.GetImageData().GetDimensions()]) - 0.5
    fine_size = np.array([*fine.GetImageData().GetDimensions()]) - 0.5
    assert geometry_of(fine) @ [*fine_size, 1] == pytest.approx(geometry_of(volume) @ [*size, 1], abs=1e-4)
    assert nodes["prior"].GetImageData().GetDimensions() == (48, 40, 3)


def test_the_modality_that_dicom_states_reaches_the_engine(add_ct, restore):
    # Two CT slices whose values alone would not say so: no air at all.
    import slicer

    volume = add_ct(slices=2)
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[voxels < -500] = 40
    voxels += (100 * np.sin(np.arange(48) / 3)).astype(np.int16)
    slicer.util.arrayFromVolumeModified(volume)
    _nodes, report = restore(volume)
    assert report["modality"] == "CT"


def test_the_temporary_folder_is_empty_afterwards(add_ct, restore, tmp_path, monkeypatch):
    import slicer

    monkeypatch.setattr(slicer.app, "temporaryPath", str(tmp_path))
    volume = add_ct(slices=2)
    restore(volume)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AssertionError, match="such file"):
        restore(volume, model=str(tmp_path / "no such file.safetensors"))
    assert list(tmp_path.iterdir()) == []


def test_the_prior_of_the_real_lite_medsam_is_shown_in_its_own_range(add_ct, restore):
    import slicer

    nodes, report = restore(add_ct(slices=1, size=96), prior="lite-medsam", samples=2)
    assert report["prior"]["backbone"] == "lite-medsam"
    prior = slicer.util.arrayFromVolume(nodes["prior"])
    assert prior.max() > 0 and 0 <= prior.min() and prior.max() <= 1
    display = nodes["prior"].GetDisplayNode()
    assert display.GetAutoWindowLevel() == 0
    assert display.GetWindowLevelMin() == 0 and 0 < display.GetWindowLevelMax() <= 1


# Refusals: one sentence, and the scene is as it was.


def one_sentence(error: UserError) -> bool:
    return "\n" not in error.message and error.message.endswith(".") and len(error.message) < 250


def make_refused(kind):
    """A node that cannot be restored, and a word that the sentence must hold."""
    import slicer
    import vtk

    scene = slicer.mrmlScene
    rng = np.random.default_rng(0)
    if kind == "nothing":
        return None, "Choose"
    if kind == "rgb":
        colours = rng.integers(0, 255, (3, 32, 32, 3)).astype(np.uint8)
        return slicer.util.addVolumeFromArray(colours, name="Photo", nodeClassName="vtkMRMLVectorVolumeNode"), "Photo"
    if kind == "rgb in a scalar node":
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Photo")
        image = vtk.vtkImageData()
        image.SetDimensions(8, 8, 8)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
        node.SetAndObserveImageData(image)
        return node, "several values per voxel"
    if kind == "constant":
        return slicer.util.addVolumeFromArray(np.full((3, 32, 32), 7, np.int16), name="Flat"), "same value"
    if kind == "not a number":
        return slicer.util.addVolumeFromArray(np.full((3, 32, 32), np.nan, np.float32), name="Void"), "NaN"
    if kind == "empty":
        return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Hollow"), "empty"
    if kind == "label map":
        labels = rng.integers(0, 3, (3, 32, 32)).astype(np.uint8)
        return slicer.util.addVolumeFromArray(labels, nodeClassName="vtkMRMLLabelMapVolumeNode"), "label map"
    if kind == "sequence":
        return scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine"), "sequence"
    if kind == "model":
        return scene.AddNewNodeByClass("vtkMRMLModelNode", "Bone"), "not a volume"
    if kind == "flat geometry":
        node = slicer.util.addVolumeFromArray(rng.integers(0, 99, (3, 32, 32)).astype(np.int16))
        node.SetIJKToRASDirections(1, 0, 0, 1, 0, 0, 0, 0, 1)
        return node, "directions"
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "nothing",
        "rgb",
        "rgb in a scalar node",
        "constant",
        "not a number",
        "empty",
        "label map",
        "sequence",
        "model",
        "flat geometry",
    ],
)
def test_what_cannot_be_restored_is_refused_with_one_sentence(panel, scene_state, kind):
    node, word = make_refused(kind)
    before = scene_state()
    with pytest.raises(UserError, match=word) as refusal:
        panel.logic.startRestoration(node)
    assert one_sentence(refusal.value), refusal.value.message
    assert not panel.logic.busy
    assert scene_state() == before


def test_a_frame_of_a_sequence_is_restored(scene, restore, add_ct):
    # In a sequence browser the proxy is an ordinary volume node: the frame that is shown.
    import slicer

    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    frame = add_ct(slices=2, name="Frame")
    sequence.SetDataNodeAtValue(frame, "0")
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.AddProxyNode(frame, sequence, False)
    nodes, _report = restore(frame)
    assert nodes["restored"].GetImageData().GetDimensions() == frame.GetImageData().GetDimensions()
    assert browser.GetProxyNode(sequence) is frame
    assert slicer.util.arrayFromVolume(nodes["restored"]).dtype == np.int16


def test_after_an_error_of_the_worker_the_scene_is_as_before(panel, add_ct, wait_for, scene_state):
    volume = add_ct()
    panel.ui.inputSelector.setCurrentNode(volume)  # else the panel chooses it meanwhile, and makes its settings
    before = scene_state()
    failed = []
    panel.logic.onFailed = failed.append
    panel.logic.startRestoration(volume, model="/no/such/model.safetensors")
    wait_for(lambda: failed)
    assert len(failed) == 1 and "model" in failed[0] and failed[0].endswith(".")
    assert scene_state() == before and not panel.logic.busy


@pytest.mark.parametrize("damaged", ["restored", "consistency"])
def test_a_damaged_result_file_leaves_the_scene_as_before(panel, add_ct, scene, scene_state, tmp_path, damaged):
    # The damage is found at the first node or at the last: those already made must go again, items included.
    import SimpleITK as sitk

    from LRformerSlicerLib.scene.volume_input import writeVolume
    from LRformerSlicerLib.scene.volume_output import addResultNodes

    volume = add_ct()
    files = {name: tmp_path / f"{name}.nrrd" for name in ("restored", "prior", "uncertainty", "consistency")}
    for path in files.values():
        writeVolume(volume, path)
    assert sitk.ReadImage(str(files[damaged])).GetNumberOfPixels() > 0
    files[damaged].write_bytes(files[damaged].read_bytes()[:300])
    before = scene_state()
    with pytest.raises(UserError, match=damaged):
        addResultNodes(volume, files)
    assert scene_state() == before


def test_an_input_deleted_meanwhile_is_said_and_nothing_appears(panel, add_ct, wait_for, scene):
    import slicer

    volume = add_ct(slices=2)
    failed = []
    panel.logic.onFailed = failed.append
    panel.logic.startRestoration(volume)
    scene.RemoveNode(volume)
    wait_for(lambda: failed)
    assert "deleted" in failed[0]
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


def test_slicers_own_process_never_loads_torch(host, checkpoints, tmp_path):
    """The whole way, restoration included, in a process of its own (this one may hold torch from other tests)."""
    code = (
        "import sys, time, numpy as np, SlicerHost\n"
        "host = SlicerHost.start()\n"
        "import slicer\n"
        "panel = host.openModule(sys.argv[1])\n"
        "voxels = np.random.default_rng(0).integers(-1000, 100, (1, 32, 32))\n"
        "node = slicer.util.addVolumeFromArray(voxels.astype('i2'))\n"
        "node.CreateDefaultDisplayNodes()\n"
        "panel.logic.defaultOptions = {'model': sys.argv[2], 'prior': 'none', 'device': 'cpu'}\n"
        "panel.ui.inputSelector.setCurrentNode(node)\n"
        "panel.ui.restoreButton.click()\n"
        "while panel.logic.busy: slicer.app.processEvents(); time.sleep(0.01)\n"
        "print(panel.ui.statusLabel.text)\n"
        "host.closeModule(panel)\n"
        "print('loaded:', sorted({'torch', 'torchvision', 'safetensors', 'timm'} & set(sys.modules)))\n"
    )
    module = REPOSITORY / "LRformerSlicer" / "LRformerSlicer.py"
    paths = os.pathsep.join([str(REPOSITORY / "LRformerSlicer"), str(REPOSITORY / "Testing")])
    done = subprocess.run(
        [sys.executable, "-c", code, str(module), str(checkpoints["ct-denoise"])],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Restored as" in done.stdout, done.stdout + done.stderr
    assert "loaded: []" in done.stdout, done.stdout

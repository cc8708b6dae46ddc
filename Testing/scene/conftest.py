"""The application, an empty scene, real volumes with awkward geometry, and a small real checkpoint."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_PATH = REPOSITORY / "LRformerSlicer" / "LRformerSlicer.py"
LONGEST_JOB_S = 90

CHECKPOINT_CODE = """
import sys, torch
from pathlib import Path
from LRformerSlicerLib.network.checkpoint import save_checkpoint
from LRformerSlicerLib.network.lrformer import LRformer, LRformerArchitecture
torch.manual_seed(3)
for task, scale in (("ct-denoise", 1), ("mr-sr2", 2)):
    network = LRformer(LRformerArchitecture(scale=scale, channels=16, groups=1, blocks=2, window=8, fold=2, heads=4))
    torch.nn.init.normal_(network.reconstruction.weight, std=0.005)
    card = {"name": f"untrained {task}", "task": task}
    if task == "ct-denoise":
        card["expected_error"] = {"factor": 1.0, "exponents": {"change": 1.0}}
    save_checkpoint(Path(sys.argv[1]) / f"{task}.safetensors", network, card)
"""


@pytest.fixture(scope="session")
def application():
    """The test host or, inside Slicer, Slicer itself; skips where slicer-core or PySide6 is missing."""
    import application

    if not application.IS_SLICER:
        os.environ["PYSIDE6_OPTION_LAZY"] = "0"  # as SlicerHost.pythonqt needs it, before the first import of PySide6
        for name in ("slicer", "PySide6.QtWidgets"):
            pytest.importorskip(name, exc_type=ImportError, reason=f"{name} or a system library of it is missing")
    return application.start()


@pytest.fixture(scope="session")
def host(application):
    """The test host; skips inside Slicer."""
    if not hasattr(application, "host"):
        pytest.skip("a test of the test host, and this is Slicer")
    return application.host


@pytest.fixture
def scene(application):
    """The real MRML scene, empty."""
    import slicer

    slicer.mrmlScene.Clear()
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear()


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Small untrained LRformers by task, made in a process of their own: none here loads torch."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not in this Python: install the packages that the box at the top of the panel names")
    folder = tmp_path_factory.mktemp("models")
    from LRformerSlicerLib.worker.client import worker_command, worker_environment

    command = [worker_command()[0], "-c", CHECKPOINT_CODE, str(folder)]
    subprocess.run(command, check=True, env=worker_environment())
    return {path.stem: path for path in folder.glob("*.safetensors")}


@pytest.fixture
def add_ct(scene):
    """Makes a noisy CT of 40 HU in air, oblique and anisotropic, under a transform, in a DICOM study."""

    def add(slices=3, size=48, voxel_type="short", name="Thorax"):
        import slicer
        import vtk

        rng = np.random.default_rng(1)
        y, x = np.mgrid[0:size, 0:size] / size - 0.5
        voxels = np.where(x**2 + y**2 < 0.16, 40.0, -1000.0) + rng.normal(0, 30, (slices, size, size))
        node = slicer.util.addVolumeFromArray(np.rint(voxels).astype(np.int16), name=name)
        cast = vtk.vtkImageCast()
        cast.SetInputData(node.GetImageData())
        getattr(cast, f"SetOutputScalarTypeTo{voxel_type.title().replace(' ', '')}")()
        cast.Update()
        node.SetAndObserveImageData(cast.GetOutput())
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(oblique_geometry()))
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevel(350, 45)
        node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")

        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Table position")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 17.5)
        transform.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(transform.GetID())

        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
        study = hierarchy.CreateStudyItem(patient, "Study")
        item = hierarchy.GetItemByDataNode(node)
        hierarchy.SetItemParent(item, study)
        hierarchy.SetItemAttribute(item, "DICOM.Modality", "CT")
        return node

    return add


def oblique_geometry() -> np.ndarray:
    """IJK to RAS with a turned, tilted grid of 0.7 x 0.9 x 2.5 mm and an odd origin."""
    a, b = np.deg2rad(20), np.deg2rad(-11)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ tilt @ np.diag([-0.7, -0.9, 2.5])
    matrix[:3, 3] = 101.25, -33.1, 7.7
    return matrix


@pytest.fixture
def panel(application, scene, checkpoints):
    """The module, opened; its runs use the small checkpoint and no prior network unless a test says otherwise."""
    widget = application.open_module(MODULE_PATH)
    widget.logic.defaultOptions = {"model": str(checkpoints["ct-denoise"]), "prior": "none"}
    yield widget
    application.close_module()


@pytest.fixture
def wait_for(application):
    """Lets the event loop run until a condition holds."""
    import slicer

    def wait(condition, seconds=LONGEST_JOB_S):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            slicer.app.processEvents()
            time.sleep(0.01)

    return wait


@pytest.fixture
def scene_state(scene):
    """Takes down the whole scene, as it would be saved, and a hash of all voxels: two moments can be compared."""

    def state() -> tuple[str, dict[str, str]]:
        import slicer

        scene.SetSaveToXMLString(1)
        scene.Commit()
        scene.SetSaveToXMLString(0)
        volumes = slicer.util.getNodesByClass("vtkMRMLVolumeNode")
        return scene.GetSceneXMLString(), {node.GetID(): voxel_hash(node) for node in volumes if node.GetImageData()}

    return state


@pytest.fixture(name="voxel_hash", scope="session")
def voxel_hash_fixture():
    """SHA256 of a volume node's voxels."""
    return voxel_hash


def voxel_hash(node) -> str:
    from vtk.util.numpy_support import vtk_to_numpy

    scalars = node.GetImageData().GetPointData().GetScalars()
    return hashlib.sha256(vtk_to_numpy(scalars).tobytes() if scalars else b"").hexdigest()


@pytest.fixture
def views(application, scene):
    """The main window with slice views in Slicer's default layout; a panel opened after it stands in it."""
    yield application.open_main_window()
    application.close_main_window()


@pytest.fixture
def panel_with_views(views, application, checkpoints):
    """As `panel`, in a main window with views."""
    widget = application.open_module(MODULE_PATH)
    widget.logic.defaultOptions = {"model": str(checkpoints["ct-denoise"]), "prior": "none", "device": "cpu"}
    yield widget
    application.close_module()


@pytest.fixture
def panel_with_volume(panel_with_views, add_ct):
    """The panel with a volume chosen and shown in the views as the user's own."""
    import slicer

    volume = add_ct(slices=6, size=64)
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.PropagateVolumeSelection(1)
    panel_with_views.ui.inputSelector.setCurrentNode(volume)
    return panel_with_views


@pytest.fixture
def restored(panel_with_volume, wait_for):
    """That panel after one click on Restore."""
    panel = panel_with_volume
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    assert panel.ui.statusLabel.text.startswith("Restored as"), panel.ui.statusLabel.text
    return panel


@pytest.fixture
def pictures(application, views):
    """What every slice view of the present layout shows, by layout name: arrays of pixels."""
    return application.pictures

"""From result files to volume nodes beside the input, and back to the scene as it was when that fails.

A result is always a new node: the input is never written to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
import vtk.util.numpy_support
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.colors import divergingColors, sequentialColors
from LRformerSlicerLib.scene.legend import roundUpperEnd
from LRformerSlicerLib.scene.result_volumes import RESULT_ATTRIBUTE
from LRformerSlicerLib.scene.volume_input import LPS_FROM_RAS, ijkToRas

GEOMETRY_TOLERANCE_MM = 1e-3
"""File formats keep about six digits; a grid that differs by less is the input's own."""

MAP_PERCENTILE = 99.0
"""Upper end of a map's display range, among its voxels above zero: a few outliers must not flatten the rest."""

MAP_RANGE_VOXELS = 1_000_000
"""As many voxels are enough for the display range; sorting all of a large CT would freeze Slicer for seconds."""

GREY_ID = "vtkMRMLColorTableNodeGrey"


def addResultNodes(inputNode, files: dict[str, Path]) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Make one volume node per result file, named after the input, in its study and under its parent transform.

    files: "restored", "prior", "uncertainty", "consistency", "difference", "expected_error",
    "preview" -> path.  Restored volume and
    preview keep the input's voxel type, window/level and colours; the others are float maps.  Raises UserError for a
    file that cannot be read, and whatever else happens leaves no new node behind.
    """
    nodes = {}
    with nothingLeftBehindOnError():
        for name, path in files.items():
            image = _readImage(path)
            label = _("{input} {result}").format(input=inputNode.GetName(), result=resultLabel(name))
            node = _addVolumeNode(label, image, inputNode)
            if name in ("restored", "preview"):
                _setVoxels(node, image, inputNode.GetImageData().GetScalarType())
                showAsInput(node, inputNode)
            else:
                _setVoxels(node, image, vtk.VTK_FLOAT)
                _showAsMap(node, isSigned=name == "difference")
            node.SetAttribute(RESULT_ATTRIBUTE, name)
            if name == "preview":
                node.SetSaveWithScene(False)  # gone as soon as something else is shown
            else:
                placeBeside(node, inputNode)
            nodes[name] = node
    return nodes


@contextlib.contextmanager
def nothingLeftBehindOnError() -> Iterator[None]:
    """Take every node out of the scene again that the block added, when the block raises."""
    before = set(nodeIds())
    try:
        yield
    except BaseException:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        for nodeId in [nodeId for nodeId in nodeIds() if nodeId not in before]:
            node = slicer.mrmlScene.GetNodeByID(nodeId)
            if node is None:  # went together with one removed earlier
                continue
            item = hierarchy.GetItemByDataNode(node) if hierarchy else 0
            if item:
                hierarchy.RemoveItem(item)
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        raise


def nodeIds() -> list[str]:
    """The ids of all nodes in the scene, in its order."""
    scene = slicer.mrmlScene
    return [scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())]


def resultLabel(name: str) -> str:
    """What a result is called behind the name of its input."""
    return {
        "restored": _("restored"),
        "preview": _("preview"),
        "prior": _("prior"),
        "consistency": _("consistency"),
        "uncertainty": _("uncertainty"),
        "difference": _("difference"),
        "expected_error": _("expected error"),
    }[name]


def _readImage(path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(
            _("The result file {name} could not be read: free some disk space, then restore again.").format(
                name=path.name
            )
        ) from error


def _addVolumeNode(label: str, image: sitk.Image, inputNode):
    """A new volume node with the geometry of `image` and the parent transform of the input, without voxels."""
    # Not CloneVolume: it copies DICOM.instanceUIDs, with which a derived volume would be taken for the original series,
    # and its display node has histograms made of every volume, which takes seconds for a large CT.
    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scene.GenerateUniqueName(label))
    matrix = ijkToRasOfImage(image)
    isSameSize = image.GetSize() == inputNode.GetImageData().GetDimensions()
    # On the input's grid its geometry is taken exactly, not as the file rounded it.
    if isSameSize and np.allclose(matrix, ijkToRas(inputNode), atol=GEOMETRY_TOLERANCE_MM):
        matrix = ijkToRas(inputNode)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(inputNode.GetTransformNodeID())
    display = scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    display.AutoWindowLevelOff()  # before there are voxels: the range is set below, not guessed from a histogram
    node.SetAndObserveDisplayNodeID(display.GetID())
    return node


def _setVoxels(node, image: sitk.Image, voxelType: int) -> None:
    node.SetAndObserveImageData(_imageData(sitk.GetArrayViewFromImage(image), voxelType))


def ijkToRasOfImage(image: sitk.Image) -> np.ndarray:
    """4x4 matrix from voxel indices to RAS millimetres of an image whose own coordinates are LPS."""
    matrix = np.eye(4)
    matrix[:3, :3] = LPS_FROM_RAS @ np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = LPS_FROM_RAS @ np.array(image.GetOrigin())
    return matrix


def _imageData(voxels: np.ndarray, voxelType: int) -> vtk.vtkImageData:
    """VTK image of K, J, I voxels, rounded and clipped when `voxelType` is an integer type; copies."""
    # Not slicer.util.updateVolumeFromArray: it refuses some integer types that volumes do have (long long).
    targetType = np.dtype(vtk.util.numpy_support.get_vtk_to_numpy_typemap()[voxelType])
    if voxels.dtype != targetType and np.issubdtype(targetType, np.integer):
        limits = np.iinfo(targetType)
        voxels = np.clip(np.rint(voxels), limits.min, limits.max)
    imageData = vtk.vtkImageData()
    imageData.SetDimensions(*reversed(voxels.shape))
    imageData.AllocateScalars(voxelType, 1)
    target = vtk.util.numpy_support.vtk_to_numpy(imageData.GetPointData().GetScalars())
    target.reshape(voxels.shape)[:] = voxels
    return imageData


def showAsInput(node, inputNode) -> None:
    """The input's units, window/level, threshold and colours, so that the two can be compared by eye."""
    node.SetVoxelValueUnits(inputNode.GetVoxelValueUnits())
    node.SetVoxelValueQuantity(inputNode.GetVoxelValueQuantity())
    display, inputDisplay = node.GetDisplayNode(), inputNode.GetDisplayNode()
    if inputDisplay is None:
        display.AutoWindowLevelOn()
        display.SetAndObserveColorNodeID(GREY_ID)
        return
    display.SetWindowLevel(inputDisplay.GetWindow(), inputDisplay.GetLevel())
    display.SetAutoThreshold(0)
    display.SetApplyThreshold(inputDisplay.GetApplyThreshold())
    display.SetThreshold(inputDisplay.GetLowerThreshold(), inputDisplay.GetUpperThreshold())
    display.SetInterpolate(inputDisplay.GetInterpolate())
    display.SetAndObserveColorNodeID(inputDisplay.GetColorNodeID())


def _showAsMap(node, isSigned: bool) -> None:
    """Colours and display range for a map whose values say nothing about the input's window."""
    upper = _mapUpper(node)
    showMapRange(node, -upper if isSigned else 0.0, upper)


def showMapRange(node, lower: float, upper: float) -> None:
    """Colours for a map between two values; they diverge where the lower one is negative."""
    display = node.GetDisplayNode()
    display.SetWindowLevelMinMax(lower, upper)
    colors = divergingColors() if lower < 0 else sequentialColors()
    display.SetAndObserveColorNodeID(colors.GetID())


def _mapUpper(node) -> float:
    values = slicer.util.arrayFromVolume(node).ravel()
    values = values[:: max(1, values.size // MAP_RANGE_VOXELS)]
    values = np.abs(values[np.isfinite(values)])
    values = values[values > 0]
    return roundUpperEnd(float(np.percentile(values, MAP_PERCENTILE))) if values.size else 1.0


def placeBeside(node, inputNode) -> None:
    """Put the node into the input's study (its parent in the subject hierarchy)."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    inputItem = hierarchy.GetItemByDataNode(inputNode) if hierarchy else 0
    if not inputItem:
        return
    parentItem = hierarchy.GetItemParent(inputItem)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parentItem)
    else:
        hierarchy.CreateItem(parentItem, node)

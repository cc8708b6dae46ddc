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
from LRformerSlicerLib.scene.volume_input import LPS_FROM_RAS, ijkToRas

GEOMETRY_TOLERANCE_MM = 1e-3
"""File formats keep about six digits; a grid that differs by less is the input's own."""

MAP_PERCENTILE = 99.0
"""Upper end of a map's display range, among its voxels above zero: a few outliers must not flatten the rest."""

DICOM_INSTANCE_ATTRIBUTE = "DICOM.instanceUIDs"


def addResultNodes(inputNode, files: dict[str, Path]) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Make one volume node per result file, named after the input, in its study and under its parent transform.

    files: "restored", "prior", "uncertainty", "consistency", "difference" -> path.  The restored volume keeps the
    input's voxel type, window/level and colours; the others are float maps.  Raises UserError for a file that cannot
    be read, and whatever else happens leaves no new node behind.
    """
    nodes = {}
    with nothingLeftBehindOnError():
        for name, path in files.items():
            image = _readImage(path)
            label = _("{input} {result}").format(input=inputNode.GetName(), result=_resultLabel(name))
            node = slicer.modules.volumes.logic().CloneVolumeWithoutImageData(slicer.mrmlScene, inputNode, label)
            # A derived volume is not that DICOM series any more; with the UIDs it would be taken for it on export.
            node.RemoveAttribute(DICOM_INSTANCE_ATTRIBUTE)
            isMap = name != "restored"
            voxelType = vtk.VTK_FLOAT if isMap else inputNode.GetImageData().GetScalarType()
            _setImage(node, inputNode, image, voxelType)
            if isMap:
                _showAsMap(node, isSigned=name == "difference")
            _placeBeside(node, inputNode)
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


def _resultLabel(name: str) -> str:
    return {
        "restored": _("restored"),
        "prior": _("prior"),
        "consistency": _("consistency"),
        "uncertainty": _("uncertainty"),
        "difference": _("difference"),
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


def _setImage(node, inputNode, image: sitk.Image, voxelType: int) -> None:
    """Give `node` the voxels of `image` as VTK type `voxelType`, and its geometry."""
    node.SetAndObserveImageData(_imageData(sitk.GetArrayViewFromImage(image), voxelType))
    matrix = ijkToRasOfImage(image)
    sameSize = image.GetSize() == inputNode.GetImageData().GetDimensions()
    # On the input's grid its geometry is taken exactly, not as the file rounded it.
    if sameSize and np.allclose(matrix, ijkToRas(inputNode), atol=GEOMETRY_TOLERANCE_MM):
        matrix = ijkToRas(inputNode)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


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


def _showAsMap(node, isSigned: bool) -> None:
    """Colours and display range for a map whose values say nothing about the input's window."""
    node.SetVoxelValueUnits(None)
    node.SetVoxelValueQuantity(None)
    values = slicer.util.arrayFromVolume(node)
    values = np.abs(values[np.isfinite(values)])
    values = values[values > 0]
    upper = float(np.percentile(values, MAP_PERCENTILE)) if values.size else 1.0
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(-upper if isSigned else 0.0, upper)
    colors = None if isSigned else slicer.mrmlScene.GetFirstNodeByName("Inferno")
    display.SetAndObserveColorNodeID(colors.GetID() if colors else "vtkMRMLColorTableNodeGrey")


def _placeBeside(node, inputNode) -> None:
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

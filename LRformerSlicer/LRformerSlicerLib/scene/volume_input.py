"""From a volume node to the file that a job reads: what can be restored, and how it is written.

Coordinates: a node's geometry is RAS millimetres, a file's is LPS millimetres; arrays are K, J, I.
The parent transform is not applied: the network works on the acquired grid, and results get the same parent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
import vtk.util.numpy_support
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.modality import check_stated
from LRformerSlicerLib.restoration.slicing import SLICE_AXIS_KEY
from LRformerSlicerLib.scene.result_volumes import isResult

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
MODALITY_ATTRIBUTE = "LRformerSlicer.Modality"


def checkInput(volumeNode) -> None:
    """Raise UserError, one sentence saying what to do, when `volumeNode` cannot be restored."""
    if volumeNode is None:
        raise UserError(_("Choose the volume to restore."))
    name = volumeNode.GetName()
    if volumeNode.IsA("vtkMRMLSequenceNode"):
        raise UserError(
            _(
                "'{name}' is a sequence: choose its volume, which shows the current frame, to restore that frame."
            ).format(name=name)
        )
    if not volumeNode.IsA("vtkMRMLScalarVolumeNode"):
        raise UserError(_("'{name}' is not a volume: choose a CT or MR volume.").format(name=name))
    image = volumeNode.GetImageData()
    isEmpty = image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None
    # Diffusion tensors keep their values outside the scalars, so ask the class before asking the voxels.
    if (
        volumeNode.IsA("vtkMRMLTensorVolumeNode")
        or volumeNode.IsA("vtkMRMLVectorVolumeNode")
        or (not isEmpty and image.GetNumberOfScalarComponents() != 1)
    ):
        raise UserError(
            _(
                "'{name}' has several values per voxel (colour or vector): choose a volume with one, or "
                "convert it with the module Vector to Scalar Volume."
            ).format(name=name)
        )
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise UserError(_("'{name}' is a label map: choose the CT or MR volume itself.").format(name=name))
    if modality := modalityOf(volumeNode):
        check_stated(modality)
    if isEmpty:
        raise UserError(_("'{name}' is empty: load its voxels, or choose another volume.").format(name=name))
    if image.GetScalarType() == vtk.VTK_BIT:
        raise UserError(_("'{name}' has one bit per voxel: choose a CT or MR volume.").format(name=name))
    if np.linalg.matrix_rank(ijkToRas(volumeNode)[:3, :3]) < 3:
        raise UserError(
            _("'{name}' has no valid spacing or directions: correct them in the module Volumes.").format(name=name)
        )
    voxels = slicer.util.arrayFromVolume(volumeNode)
    ends = voxels.min(), voxels.max()
    if ends[0] == ends[1]:
        raise UserError(
            _("All voxels of '{name}' have the same value: choose a volume with an image.").format(name=name)
        )
    if not np.isfinite(ends).all() and not np.isfinite(voxels).any():
        raise UserError(
            _("'{name}' holds no numbers, only NaN or infinite voxels: repair it, or choose another volume.").format(
                name=name
            )
        )


def firstSuitableVolume():
    """The first volume in the scene that can be restored and is no result of a restoration, or None."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if isResult(node) or node.GetHideFromEditors():
            continue
        try:
            checkInput(node)
        except UserError:
            continue
        return node
    return None


def ijkToRas(volumeNode) -> np.ndarray:
    """The node's 4x4 matrix from voxel indices to RAS millimetres, without the parent transform."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def modalityOf(volumeNode) -> str | None:
    """The DICOM modality that the volume came with, such as "CT", or None.

    From the subject hierarchy, else from the DICOM database by the volume's instance UIDs. A volume that stands for
    another one, such as a frame of a sequence, says it in its attribute MODALITY_ATTRIBUTE.
    """
    stated = volumeNode.GetAttribute(MODALITY_ATTRIBUTE)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if not stated and hierarchy is not None:
        item = hierarchy.GetItemByDataNode(volumeNode)
        stated = hierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    uids = (volumeNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not stated and uids and getattr(database, "isOpen", False):
        stated = database.instanceValue(uids[0], "0008,0060")
    return (stated or "").strip().upper() or None


def imageFromVolume(volumeNode, besideNode=None) -> sitk.Image:
    """The node's voxels and geometry as an image in LPS, type unchanged; the voxels are copied.

    besideNode: a node in whose space, under its parent transform, the image is to lie; without it in the node's own.
    Raises UserError where the transform between them is not linear.
    """
    image = sitk.GetImageFromArray(slicer.util.arrayFromVolume(volumeNode))
    matrix = ijkToRas(volumeNode)
    if besideNode is not None:
        matrix = _between(volumeNode, besideNode) @ matrix
    columns = LPS_FROM_RAS @ matrix[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((columns / spacing).flatten().tolist())
    image.SetOrigin((LPS_FROM_RAS @ matrix[:3, 3]).tolist())
    if (axis := storedSliceAxis(volumeNode)) is not None:
        image.SetMetaData(SLICE_AXIS_KEY, str(axis))
    return image


def storedSliceAxis(volumeNode) -> int | None:
    """The image axis across the slices of a volume from DICOM, whose slices are read along K; None for others."""
    return 2 if volumeNode.GetAttribute("DICOM.instanceUIDs") else None


def _between(fromNode, toNode) -> np.ndarray:
    """4x4 matrix from the space of one node to that of another, as their parent transforms place them."""
    here, there = fromNode.GetParentTransformNode(), toNode.GetParentTransformNode()
    if here is there:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(here, there, matrix):
        message = _("'{name}' lies under a transform that is not linear: harden the transform first.")
        raise UserError(message.format(name=fromNode.GetName()))
    return slicer.util.arrayFromVTKMatrix(matrix)


def writeVolume(volumeNode, path: Path, besideNode=None) -> None:
    """Write the node to `path`, uncompressed (a worker on the same disk reads it at once). Raises UserError.

    besideNode: see imageFromVolume.
    """
    try:
        sitk.WriteImage(imageFromVolume(volumeNode, besideNode), str(path), useCompression=False)
    except RuntimeError as error:
        message = _(
            "The volume could not be written to the temporary folder {folder}: free some disk space, or choose "
            "another folder in Edit / Application Settings."
        )
        raise UserError(message.format(folder=path.parent)) from error

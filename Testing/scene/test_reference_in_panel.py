"""A reference in the panel is compared where it lies in the scene: under whatever transform, with whatever axes."""

import numpy as np
import pytest
import SimpleITK as sitk


def test_the_reference_is_written_into_the_space_of_the_input(host, scene, add_ct):
    import slicer
    import vtk

    from LRformerSlicerLib.scene.volume_input import imageFromVolume

    node = add_ct()  # under a transform that moves it by 17.5 mm
    hardened = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(node), name="hardened")
    matrix, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    node.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    vtk.vtkMatrix4x4.Multiply4x4(parent, matrix, matrix)
    hardened.SetIJKToRASMatrix(matrix)
    here, beside = imageFromVolume(node), imageFromVolume(hardened, node)
    assert np.allclose(here.GetOrigin(), beside.GetOrigin(), atol=1e-6)
    assert np.allclose(here.GetDirection(), beside.GetDirection(), atol=1e-9)
    apart = np.subtract(imageFromVolume(hardened).GetOrigin(), here.GetOrigin())
    assert np.linalg.norm(apart) == pytest.approx(17.5)
    assert isinstance(here, sitk.Image)

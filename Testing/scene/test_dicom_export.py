"""What Slicer's DICOM export gets of a restored volume, and what the exporter of ours writes.

The MRML scene, the subject hierarchy, the restoration and the DICOM files are real.  Slicer's DICOM database and the
classes of its export dialog are not in slicer-core: small recorders stand in for them, with the names that the dialog
uses.
"""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

CT = "1.2.840.10008.5.1.4.1.1.2"


class Exportable:
    """slicer.qSlicerDICOMExportable: attributes and nothing else."""


@pytest.fixture
def dicom_part(application, monkeypatch):
    """Stand-ins for the DICOM part of Slicer; returns the database, UID -> file."""
    import slicer

    class Plugin:
        def __init__(self):
            self.loadType, self.tags = "", {}

    files = {}
    monkeypatch.setitem(sys.modules, "DICOMLib", types.SimpleNamespace(DICOMPlugin=Plugin))
    database = types.SimpleNamespace(fileForInstance=lambda uid: files.get(uid, ""))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    monkeypatch.setattr(slicer, "qSlicerDICOMExportable", Exportable, raising=False)
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {}, raising=False)
    return files


@pytest.fixture
def loaded_series(dicom_part, add_ct, tmp_path):
    """A CT volume as if loaded from DICOM: its files are in the database, its item has what Slicer's import sets."""
    import slicer

    from LRformerSlicerLib.scene.volume_input import imageFromVolume

    volume = add_ct(slices=3, name="3: Thorax")
    image = imageFromVolume(volume)
    direction = image.GetDirection()
    (tmp_path / "source").mkdir()
    uids = []
    for index, pixels in enumerate(slicer.util.arrayFromVolume(volume)):
        one = pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = CT, f"1.2.826.0.1.3680043.2.1125.7.{index + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID = "1.2.826.0.1.3680043.2.1125.5", "1.2.826.0.1.3680043.2.1125.6"
        one.FrameOfReferenceUID = "1.2.826.0.1.3680043.2.1125.4"
        one.PatientName, one.PatientID, one.Modality, one.SeriesNumber = "A^B", "P-17", "CT", 3
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        place = image.TransformIndexToPhysicalPoint((0, 0, index))
        one.ImagePositionPatient = [f"{coordinate:.9g}" for coordinate in place]
        one.ImageOrientationPatient = [f"{direction[axis]:.9g}" for axis in (0, 3, 6, 1, 4, 7)]
        one.PixelSpacing = [f"{image.GetSpacing()[1]:.9g}", f"{image.GetSpacing()[0]:.9g}"]
        one.Rows, one.Columns = pixels.shape
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleSlope, one.RescaleIntercept = 1, 0
        one.PixelData = pixels.astype("<i2").tobytes()
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        path = tmp_path / "source" / f"{index}.dcm"
        one.save_as(path, enforce_file_format=True)
        dicom_part[one.SOPInstanceUID] = str(path)
        uids.insert(0, one.SOPInstanceUID)  # the other way round: places, not the order, tell which slice is which
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(volume), "DICOM.SeriesNumber", "3")
    return volume


@pytest.fixture
def restored_series(loaded_series, panel, wait_for):
    """The restored volume of `loaded_series`, and its item in the subject hierarchy."""
    import slicer

    panel.ui.inputSelector.setCurrentNode(loaded_series)
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    node = panel._parameterNode.restoredVolume
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return node, hierarchy.GetItemByDataNode(node)


def exporter():
    import slicer

    (key,) = slicer.modules.dicomPlugins
    return slicer.modules.dicomPlugins[key](), key


def test_the_item_says_what_the_export_dialog_reads(restored_series, loaded_series):
    import slicer

    node, item = restored_series
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(loaded_series))
    assert hierarchy.GetItemParent(item) == study and hierarchy.GetItemName(study) == "Study"
    attributes = {tag: hierarchy.GetItemAttribute(item, f"DICOM.{tag}") for tag in ("Modality", "SeriesNumber")}
    assert attributes == {"Modality": "CT", "SeriesNumber": "1003"}
    assert hierarchy.GetItemAttribute(item, "DICOM.SeriesDescription") == "3: Thorax LRformer ct-denoise"
    assert node.GetAttribute("DICOM.instanceUIDs") is None
    assert node.GetImageData().GetScalarTypeAsString() == "short"  # Slicer exports integers only


def test_a_volume_without_dicom_says_its_modality_too(panel, add_ct, wait_for):
    import slicer

    volume = add_ct(name="From a file")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    hierarchy.RemoveItemAttribute(hierarchy.GetItemByDataNode(volume), "DICOM.Modality")
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.restoreButton.click()
    wait_for(lambda: not panel.logic.busy)
    item = hierarchy.GetItemByDataNode(panel._parameterNode.restoredVolume)
    assert hierarchy.GetItemAttribute(item, "DICOM.Modality") == "CT"
    assert hierarchy.GetItemAttribute(item, "DICOM.SeriesNumber") == "1000"


def test_the_exporter_writes_a_derived_series_with_the_nodes_voxels_and_geometry(
    restored_series, loaded_series, panel, tmp_path
):
    import SimpleITK as sitk
    import slicer

    from LRformerSlicerLib.scene.volume_input import imageFromVolume

    node, item = restored_series
    panel.ui.strengthSlider.value = 50
    plugin, key = exporter()
    (exportable,) = plugin.examineForExport(item)
    assert exportable.pluginClass == key and exportable.confidence > 0.5
    assert plugin.examineForImport([["a.dcm"]]) == []
    exportable.directory = str(tmp_path / "export")
    assert plugin.export([exportable]) == ""
    (folder,) = Path(exportable.directory).iterdir()
    files = sorted(folder.iterdir())
    assert len(files) == 3
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(list(map(str, files)))
    back, there = reader.Execute(), imageFromVolume(node)
    assert (sitk.GetArrayFromImage(back) == slicer.util.arrayFromVolume(node)).all()
    assert (sitk.GetArrayFromImage(back) != slicer.util.arrayFromVolume(loaded_series)).any()
    for method in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(back, method)(), getattr(there, method)(), atol=1e-5), method
    for index, file in enumerate(files):
        header = pydicom.dcmread(file)
        assert header.ImageType == ["DERIVED", "SECONDARY", "AXIAL"] and header.PatientID == "P-17"
        assert header.StudyInstanceUID == "1.2.826.0.1.3680043.2.1125.5"
        assert header.FrameOfReferenceUID == "1.2.826.0.1.3680043.2.1125.4"
        assert header.SourceImageSequence[0].ReferencedSOPInstanceUID.endswith(f".7.{index + 1}")
        assert "strength 0.5" in header.DerivationDescription and "SHA256" in header.DerivationDescription


def test_nothing_is_offered_for_other_volumes_or_when_the_source_is_gone(restored_series, loaded_series, dicom_part):
    import slicer

    _node, item = restored_series
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    plugin, _key = exporter()
    assert plugin.examineForExport(hierarchy.GetItemByDataNode(loaded_series)) == []
    assert plugin.examineForExport(hierarchy.GetItemParent(item)) == []
    dicom_part.popitem()
    assert plugin.examineForExport(item) == []


def test_slices_that_are_not_the_sources_are_refused_with_one_sentence(restored_series, tmp_path):
    node, item = restored_series
    plugin, _key = exporter()
    (exportable,) = plugin.examineForExport(item)
    exportable.directory = str(tmp_path / "export")
    node.SetIJKToRASDirections(1, 0, 0, 0, 1, 0, 0, 0, 1)
    answer = plugin.export([exportable])
    assert answer.startswith("The volume is not made of its source's slices") and answer.endswith(".")


def test_a_slicer_without_dicom_gets_no_exporter(application, monkeypatch):
    import slicer

    from LRformerSlicerLib.scene.dicom_export import registerExporter

    monkeypatch.setattr(slicer.modules, "dicomPlugins", {}, raising=False)
    monkeypatch.setitem(sys.modules, "DICOMLib", None)
    registerExporter()
    assert slicer.modules.dicomPlugins == {}

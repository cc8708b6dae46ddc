"""Restored volumes in Slicer's DICOM export: a derived series of the input's study.

Slicer's export dialog (module DICOM, or Export to DICOM in the subject hierarchy) takes patient and study from the
items above the volume's and the series' tags from attributes "DICOM.<tag>" of its own item: `describeSeries` sets them,
for whichever plugin exports.  Slicer's own plugin for scalar volumes states every image as ORIGINAL and knows no
source; `registerExporter` therefore offers one of ours beside it, which writes what the command line's --format dicom
writes.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.strength import shownStrength
from LRformerSlicerLib.scene.volume_input import imageFromVolume, modalityOf

PLUGIN_NAME = "LRformerDerivedSeriesPlugin"
SOURCE_ATTRIBUTE = "LRformerSlicer.SourceInstanceUIDs"
"""On the restored volume: the SOP instance UIDs of its input's slices, space-separated; not DICOM.instanceUIDs, with
which Slicer would take it for the original."""
ORIGIN_ATTRIBUTE = "LRformerSlicer.Origin"
"""On the restored volume: JSON of what made it (task, model, prior), kept with the scene."""
SERIES_NUMBERS_APART = 1000
LONGEST_DESCRIPTION = 64
CONFIDENCE = 0.9
"""Above the 0.5 of Slicer's plugin for scalar volumes, so that the derived series is what the dialog proposes."""


def describeSeries(restoredNode, inputNode, report) -> None:
    """Say on the restored volume and its subject hierarchy item what a DICOM export must know.

    report: the worker's report of the restoration.
    """
    origin = {key: report[key] for key in ("task", "model", "prior") if key in report}
    restoredNode.SetAttribute(ORIGIN_ATTRIBUTE, json.dumps(origin))
    source = inputNode.GetAttribute("DICOM.instanceUIDs")
    if source:
        restoredNode.SetAttribute(SOURCE_ATTRIBUTE, source)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(restoredNode) if hierarchy is not None else 0
    if not item:
        return
    inputItem = hierarchy.GetItemByDataNode(inputNode)
    number = hierarchy.GetItemAttribute(inputItem, "DICOM.SeriesNumber") if inputItem else ""
    number = int(number) if number.strip().isdigit() else 0
    description = f"{inputNode.GetName()} LRformer {report.get('task', '')}".strip()
    values = {
        "Modality": modalityOf(inputNode) or report.get("modality", ""),
        "SeriesDescription": description[-LONGEST_DESCRIPTION:],
        "SeriesNumber": str(number + SERIES_NUMBERS_APART),
    }
    for tag, value in values.items():
        if value:
            hierarchy.SetItemAttribute(item, f"DICOM.{tag}", value)


def exportDerivedSeries(restoredNode, folder: Path) -> None:
    """Write the restored volume into `folder` as a derived series of its source. Raises UserError.

    The source's files are looked up in Slicer's DICOM database.
    """
    from LRformerSlicerLib.restoration.dicom_output import files_by_slice, write_derived_series

    image = imageFromVolume(restoredNode)
    files = files_by_slice(sourceFiles(restoredNode), image)
    report = {**json.loads(restoredNode.GetAttribute(ORIGIN_ATTRIBUTE)), "strength": shownStrength(restoredNode)}
    write_derived_series(folder, image, files, report)


def sourceFiles(restoredNode) -> tuple[Path, ...]:
    """The files that the volume's input was read from. Raises UserError where the DICOM database lacks one of them."""
    uids = (restoredNode.GetAttribute(SOURCE_ATTRIBUTE) or "").split()
    files = [slicer.dicomDatabase.fileForInstance(uid) for uid in uids]
    if not files or not all(files):
        raise UserError(
            _(
                "The files of '{name}' are not in Slicer's DICOM database: import them into the module DICOM first."
            ).format(name=restoredNode.GetName())
        )
    return tuple(Path(file) for file in files)


def isExportable(node) -> bool:
    """Whether `node` is a restored volume whose source is at hand."""
    if node is None or not node.GetAttribute(SOURCE_ATTRIBUTE) or not node.GetAttribute(ORIGIN_ATTRIBUTE):
        return False
    try:
        sourceFiles(node)
    except UserError:
        return False
    return True


def registerExporter() -> None:
    """Offer derived series in Slicer's DICOM export; nothing happens in a Slicer built without DICOM."""
    try:
        from DICOMLib import DICOMPlugin
    except ImportError:
        return

    class LRformerDerivedSeriesPluginClass(DICOMPlugin):
        """Exports restored volumes; reads nothing, because Slicer's own plugins read what it writes."""

        def __init__(self):
            super().__init__()
            self.loadType = _("Restored volume (LRformer)")

        def examineForImport(self, fileLists):
            return []

        def examineForExport(self, subjectHierarchyItemID):
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
            if not isExportable(hierarchy.GetItemDataNode(subjectHierarchyItemID)):
                return []
            exportable = slicer.qSlicerDICOMExportable()
            exportable.name = self.loadType
            exportable.tooltip = _(
                "A derived series of the same patient, study and frame of reference that names its source images, the "
                "model and its SHA256. Patient, study and series are the source's own and not taken from the table."
            )
            exportable.subjectHierarchyItemID = subjectHierarchyItemID
            exportable.pluginClass = PLUGIN_NAME
            exportable.confidence = CONFIDENCE
            return [exportable]

        def export(self, exportables):
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
            for exportable in exportables:
                node = hierarchy.GetItemDataNode(exportable.subjectHierarchyItemID)
                folder = Path(exportable.directory) / f"LRformer_{exportable.subjectHierarchyItemID}"
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    exportDerivedSeries(node, folder)
                except UserError as error:
                    logging.error(error.message)
                    return error.message
                except OSError:
                    return _("{folder} cannot be written to: choose another folder.").format(folder=folder)
            return ""

    if not hasattr(slicer.modules, "dicomPlugins"):
        slicer.modules.dicomPlugins = {}
    slicer.modules.dicomPlugins[PLUGIN_NAME] = LRformerDerivedSeriesPluginClass

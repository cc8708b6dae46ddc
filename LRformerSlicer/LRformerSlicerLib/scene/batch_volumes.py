"""The volumes that several can be chosen from, and the studies and folders they lie in."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.scene.result_volumes import isResult


def batchVolumes() -> list:
    """The scalar volumes of the scene that a user sees, without what restorations have made, in the scene's order."""
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors() and not isResult(node)
    ]


def volumeGroups(volumes: list) -> list[tuple[str, list[str]]]:
    """(name, ids of volumes) of all volumes, and of each patient, study and folder that holds some but not all."""
    groups = [(_("All volumes"), [volume.GetID() for volume in volumes])]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return groups
    inside: dict[int, list[str]] = {}
    for volume in volumes:
        item = hierarchy.GetItemByDataNode(volume)
        for ancestor in _ancestors(hierarchy, item):
            inside.setdefault(ancestor, []).append(volume.GetID())
    for item, ids in inside.items():
        if len(ids) < len(volumes):
            path = [hierarchy.GetItemName(one) for one in reversed([item, *_ancestors(hierarchy, item)])]
            groups.append((" / ".join(path), ids))
    return groups


def _ancestors(hierarchy, item: int) -> list[int]:
    """The items above `item`, nearest first, without the scene itself."""
    found: list[int] = []
    item = hierarchy.GetItemParent(item) if item else 0
    while item and item != hierarchy.GetSceneItemID():
        found.append(item)
        item = hierarchy.GetItemParent(item)
    return found

"""The layouts of a comparison, and the layout that the user had before.

Slicer keeps the number of the current layout in saved scenes and in its settings, also when it is one of ours.  Such a
number is never taken for the user's layout, and where it comes back without a comparison, the user's layout takes over.
"""

from __future__ import annotations

import enum

import qt
import slicer

ORIGINAL_VIEW, RESTORED_VIEW, DIFFERENCE_VIEW, SINGLE_VIEW = (
    f"LRformer{name}" for name in ("Original", "Restored", "Difference", "Single")
)
VIEW_COLORS = {
    ORIGINAL_VIEW: "#C8C8C8",
    RESTORED_VIEW: "#8FD18F",
    DIFFERENCE_VIEW: "#E0A85C",
    SINGLE_VIEW: "#8FB8E0",
}
USER_LAYOUT_SETTING = "LRformerSlicer/UserLayout"


class Mode(enum.Enum):
    """The ways to compare, and the views of each."""

    SIDE_BY_SIDE = (7311, (ORIGINAL_VIEW, RESTORED_VIEW))
    FLICKER = (7312, (SINGLE_VIEW,))
    SWIPE = (7312, (SINGLE_VIEW, "swipe"))
    DIFFERENCE = (7313, (RESTORED_VIEW, DIFFERENCE_VIEW))

    @property
    def layoutId(self) -> int:
        """The number of its layout in Slicer."""
        return self.value[0]

    @property
    def viewNames(self) -> tuple[str, ...]:
        """The layout names of its views, left to right."""
        return tuple(name for name in self.value[1] if name in VIEW_COLORS)


COMPARE_LAYOUTS = frozenset(mode.layoutId for mode in Mode)


def isCompareLayout(layoutId: int) -> bool:
    """Whether this is a layout of ours, and so never the user's."""
    return layoutId in COMPARE_LAYOUTS


def addCompareLayouts(layoutNode) -> None:
    """Make the layouts known to Slicer."""
    for mode in Mode:
        if not layoutNode.IsLayoutDescription(mode.layoutId):
            layoutNode.AddLayoutDescription(mode.layoutId, layoutDescription(mode.viewNames))


def layoutDescription(viewNames: tuple[str, ...]) -> str:
    """The XML that Slicer wants of a layout: the named slice views in a row."""
    items = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{name}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{name.removeprefix("LRformer")}</property>'
        f'<property name="viewcolor" action="default">{VIEW_COLORS[name]}</property></view></item>'
        for name in viewNames
    )
    return f'<layout type="horizontal" split="true">{items}</layout>'


def rememberUserLayout(layoutNode) -> None:
    """Keep the current layout as the user's, over restarts of Slicer too; does nothing in a comparison."""
    current = layoutNode.GetViewArrangement()
    if not isCompareLayout(current):
        qt.QSettings().setValue(USER_LAYOUT_SETTING, current)


def userLayout(layoutNode) -> int:
    """The layout that the user had last, Four-Up where that is unknown."""
    try:
        remembered = int(qt.QSettings().value(USER_LAYOUT_SETTING))
    except (TypeError, ValueError):
        remembered = -1
    isUsable = layoutNode.IsLayoutDescription(remembered) and not isCompareLayout(remembered)
    return remembered if isUsable else slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def leaveCompareLayout(layoutNode) -> None:
    """Show the user's layout in place of one of ours, which a scene, Slicer's settings or a crash have left."""
    if isCompareLayout(layoutNode.GetViewArrangement()):
        layoutNode.SetViewArrangement(userLayout(layoutNode))


def guardUserLayout() -> None:
    """Leave a comparison's layout that comes with a loaded scene, or from Slicer's settings when it starts."""
    scene = slicer.mrmlScene
    scene.AddObserver(scene.EndImportEvent, lambda caller, event: _leaveWithoutComparison())
    slicer.app.connect("startupCompleted()", _leaveWithoutComparison)


def _leaveWithoutComparison() -> None:
    manager = slicer.app.layoutManager()
    if manager is not None:
        leaveCompareLayout(manager.layoutLogic().GetLayoutNode())

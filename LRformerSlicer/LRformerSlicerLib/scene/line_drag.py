"""A vertical line of a slice view, moved with the left mouse button."""

from __future__ import annotations

from collections.abc import Callable

GRAB_PIXELS = 10
"""A press as near to the line as this takes hold of it; farther away it is window/level, as ever."""

PRIORITY = 20.0
"""Before the view's own mouse functions, which then do not see what was meant for the line."""


class LineDrag:
    """Calls onDragged(x) with the mouse's place, in the view's pixels from the left, while the line is dragged.

    place: says where the line stands now.
    """

    def __init__(self, place: Callable[[], float], onDragged: Callable[[float], None]) -> None:
        self._place = place
        self._onDragged = onDragged
        self._interactor = None
        self._tags: dict[str, int] = {}
        self._isDragging = False

    def start(self, interactor) -> None:
        """Listen to this view's vtkRenderWindowInteractor."""
        self.stop()
        self._interactor = interactor
        slots = {
            "LeftButtonPressEvent": self._onPress,
            "MouseMoveEvent": self._onMove,
            "LeftButtonReleaseEvent": self._onRelease,
        }
        self._tags = {event: interactor.AddObserver(event, slot, PRIORITY) for event, slot in slots.items()}

    def stop(self) -> None:
        """Listen no more."""
        for tag in self._tags.values():
            self._interactor.RemoveObserver(tag)
        self._interactor, self._tags, self._isDragging = None, {}, False

    def _onPress(self, caller, event) -> None:
        if abs(caller.GetEventPosition()[0] - self._place()) <= GRAB_PIXELS:
            self._isDragging = True
            self._keepToOurselves(event)

    def _onMove(self, caller, event) -> None:
        if self._isDragging:
            self._keepToOurselves(event)
            self._onDragged(float(caller.GetEventPosition()[0]))

    def _onRelease(self, caller, event) -> None:
        if self._isDragging:
            self._isDragging = False
            self._keepToOurselves(event)

    def _keepToOurselves(self, event) -> None:
        self._interactor.GetCommand(self._tags[event]).SetAbortFlag(1)

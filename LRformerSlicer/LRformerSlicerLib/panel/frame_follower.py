"""Notices that a sequence browser shows another frame."""

from __future__ import annotations

from collections.abc import Callable

import qt
import vtk

from LRformerSlicerLib.scene.frames import browserAndSequenceOf


class FrameFollower:
    """Calls onFrame(number) when a browser shows another frame than before, once its proxies have that frame."""

    def __init__(self, onFrame: Callable[[int], None]) -> None:
        self._onFrame = onFrame
        self._browser = self._tag = None
        self._number = -1
        # Slicer changes the number first and then the proxies, which are wanted here: both in one turn of the loop.
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._tell)

    def follow(self, volumeNode) -> None:
        """Watch the browser of this volume (None: of nothing)."""
        browser, _sequence = browserAndSequenceOf(volumeNode)
        if browser is self._browser:
            return
        if self._browser is not None:
            self._browser.RemoveObserver(self._tag)
        self._timer.stop()
        self._browser = browser
        if browser is not None:
            self._number = browser.GetSelectedItemNumber()
            self._tag = browser.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._timer.start())

    def _tell(self) -> None:
        number = self._browser.GetSelectedItemNumber() if self._browser is not None else self._number
        if number != self._number:
            self._number = number
            self._onFrame(number)

"""Several restorations, one after another."""

from __future__ import annotations

from collections.abc import Callable

from LRformerSlicerLib.panel.messages import userMessage


class RestorationQueue:
    """Lets the Logic do `count` restorations, and hears of them in the place of whoever hears of single ones.

    startOne(place) starts the one at that place and may raise; onProgress(place, event), onOne(place, nodes, report)
    and onOneFailed(place, message) tell of it; onEnd(isCancelled) comes once, when the Logic's own callbacks are back.
    One that fails does not keep the others from their turn.
    """

    CALLBACKS = ("onProgress", "onFinished", "onFailed", "onCancelled")

    def __init__(self, logic, count: int, startOne: Callable, onProgress, onOne, onOneFailed, onEnd) -> None:
        self._logic, self._count, self._startOne = logic, count, startOne
        self._onProgress, self._onOne, self._onOneFailed, self._onEnd = onProgress, onOne, onOneFailed, onEnd
        self._place = -1
        self._before: dict | None = None

    @property
    def isRunning(self) -> bool:
        """Whether the queue has begun and not ended."""
        return self._before is not None

    def begin(self) -> None:
        """Start the first one."""
        logic = self._logic
        self._before = {name: getattr(logic, name) for name in (*self.CALLBACKS, "showsResults")}
        logic.onProgress = lambda event: self._onProgress(self._place, event)
        logic.onFinished = self._oneFinished
        logic.onFailed = self._oneFailed
        logic.onCancelled = lambda: self._end(True)
        logic.showsResults = False
        self._next()

    def stop(self) -> None:
        """Start no further one."""
        self._place = self._count

    def _oneFinished(self, inputVolume, nodes, report) -> None:
        try:
            self._onOne(self._place, nodes, report)
        except Exception as error:
            self._onOneFailed(self._place, userMessage(error))
        self._next()

    def _oneFailed(self, message) -> None:
        self._onOneFailed(self._place, message)
        self._next()

    def _next(self) -> None:
        while self.isRunning:
            self._place += 1
            if self._place >= self._count:
                self._end(False)
                return
            try:
                self._startOne(self._place)
                return
            except Exception as error:
                self._onOneFailed(self._place, userMessage(error))

    def _end(self, isCancelled: bool) -> None:
        before, self._before = self._before, None
        for name, value in before.items():
            setattr(self._logic, name, value)
        self._onEnd(isCancelled)

"""What the scene tests do to the application around the panel, in the test host and in Slicer itself.

The tests use Slicer's API and, for what it has no name for (keys, mouse, dialogs, pictures of views), the methods here.
HostApplication works in Testing/SlicerHost, SlicerApplication in a running Slicer (Testing/run_in_slicer.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

IS_SLICER = os.environ.get("LRFORMER_TESTS_IN_SLICER") == "1"
"""Set by Testing/run_in_slicer.py."""


class Application:
    """One a process. What is not here is of the two below."""

    def __init__(self):
        self._panel = None
        self._uncaught: list[BaseException] = []  # of slots and observers, where the host does not keep them itself

    def open_module(self, path):
        """Load the module file at `path` and open its panel, made anew; returns the module's widget object.

        Raises what setup and enter have raised.
        """
        self._panel = None  # nothing to close where it cannot be opened
        self._panel = self._open(Path(path))
        return self._panel

    def close_module(self):
        """Leave the module that is open, if any, and unload its panel.

        Raises what went wrong in slots and observers meanwhile, which Qt and VTK only print.
        """
        if self._panel is not None:
            panel, self._panel = self._panel, None
            self._close(panel)
        uncaught, self._uncaught = self._uncaught, []
        if uncaught:
            raise uncaught[0]

    def answer_file_dialogs(self, monkeypatch, *answers):
        """Let the next file dialogs give these paths, and those after them be cancelled."""
        import qt

        waiting = [str(answer) for answer in answers]

        class AnsweredDialog:
            """The static functions of QFileDialog."""

            @staticmethod
            def getOpenFileName(parent, title, folder, filters):
                return waiting.pop(0) if waiting else ""

            getSaveFileName = getOpenFileName

            @staticmethod
            def getExistingDirectory(parent, title, folder):
                return waiting.pop(0) if waiting else ""

        monkeypatch.setattr(qt, "QFileDialog", AnsweredDialog)

    def replace_in_app(self, monkeypatch, **members):
        """Let ``slicer.app`` have these members instead of its own; nothing can be set on the real one."""
        import slicer

        real = slicer.app

        class Replaced:
            def __getattr__(self, name):
                return members[name] if name in members else getattr(real, name)

        monkeypatch.setattr(slicer, "app", Replaced())

    def visible_slice_widgets(self):
        """The slice widgets of the present layout."""
        import slicer

        manager = slicer.app.layoutManager()
        widgets = [manager.sliceWidget(name) for name in manager.sliceViewNames()]
        return [widget for widget in widgets if widget.mrmlSliceNode().IsMappedInLayout()]

    def pictures(self):
        """What every slice view of the present layout shows, by layout name: arrays of pixels."""
        import slicer

        slicer.app.processEvents()
        shown = self.visible_slice_widgets()
        return {widget.mrmlSliceNode().GetLayoutName(): self.pixels(widget.sliceView()).copy() for widget in shown}


class HostApplication(Application):
    """The test host: PySide6 with its QTest."""

    def __init__(self):
        super().__init__()
        import SlicerHost

        self.host = SlicerHost.start()  # catches what slots and observers raise

    def _open(self, path):
        return self.host.openModule(path)

    def _close(self, panel):
        import slicer

        # After a Reload another panel stands in its place.
        self.host.closeModule(getattr(slicer.modules, f"{panel.moduleName}Widget"))

    def open_main_window(self):
        """The main window with Slicer's default layout; a panel that is opened later stands in it."""
        return self.host.openMainWindow(1400, 1000)

    def close_main_window(self):
        """Back to a Slicer that has no main window."""
        self.host.closeMainWindow()

    def press_key(self, key, widget=None):
        """Press a key such as "X" or "Ctrl+Return" in `widget`, or in the main window."""
        import slicer
        from PySide6 import QtGui, QtTest

        widget = widget or slicer.util.mainWindow()
        slicer.util.mainWindow().activateWindow()
        combination = QtGui.QKeySequence(key)[0]
        QtTest.QTest.keyClick(widget, combination.key(), combination.keyboardModifiers())

    def drag(self, view, share_from, share_to):
        """Drag the mouse, left button down, across a slice view between two shares of its width."""
        from PySide6 import QtCore, QtTest

        button, keys = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
        first, last = (QtCore.QPoint(round(share * view.width), view.height // 2) for share in (share_from, share_to))
        QtTest.QTest.mousePress(view, button, keys, first)
        for step in range(1, 5):
            QtTest.QTest.mouseMove(view, first + (last - first) * step / 4)
        QtTest.QTest.mouseRelease(view, button, keys, last)

    def emit(self, sender, signal, *arguments):
        """Let a Qt object say that something happened, as if the user had done it."""
        getattr(sender, signal).emit(*arguments)

    def pixels(self, view):
        """What a slice view shows now: (rows, columns, 3), first row on top."""
        return view.pixels()


class SlicerApplication(Application):
    """A running Slicer with a main window."""

    def __init__(self):
        super().__init__()
        self._catch_errors()

    def _catch_errors(self):
        """Keep what slots and observers raise from now on for close_module."""
        print_it = sys.excepthook

        def hook(kind, error, traceback):
            self._uncaught.append(error)
            print_it(kind, error, traceback)

        sys.excepthook = hook

    def _open(self, path):
        import slicer

        name = path.stem
        if not hasattr(slicer.modules, name.lower()):
            self._register(path)
        loaded = Path(slicer.util.modulePath(name)).resolve()
        if loaded != path.resolve():
            raise RuntimeError(f"Slicer has loaded {name} from {loaded}: remove that copy, then run the tests again.")
        if hasattr(slicer.modules, f"{name}Widget"):
            slicer.util.reloadScriptedModule(name)
        getattr(slicer.modules, name.lower()).widgetRepresentation()  # sets the panel up when first asked for
        slicer.util.selectModule(name)
        panel = getattr(slicer.modules, f"{name}Widget")
        if self._uncaught:
            first, self._uncaught = self._uncaught[0], []
            self._close(panel)
            self._uncaught = []
            raise first
        return panel

    def _register(self, path):
        import qt
        import slicer

        manager = slicer.app.moduleManager().factoryManager()
        manager.registerModule(qt.QFileInfo(str(path)))
        if not manager.isRegistered(path.stem):
            raise RuntimeError(f"Slicer does not take {path} for a module.")
        manager.loadModules([path.stem])

    def _close(self, panel):
        import slicer

        panel = getattr(slicer.modules, f"{panel.moduleName}Widget")
        slicer.util.selectModule("Welcome")  # after "" Slicer would not enter the same module again
        panel.cleanup()
        panel.cleanup = lambda: None  # a later Reload calls it again

    def open_main_window(self):
        """The main window with Slicer's default layout."""
        import slicer

        window = slicer.util.mainWindow()
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        slicer.app.processEvents()
        return window

    def close_main_window(self):
        """Nothing: a running Slicer keeps it."""

    def press_key(self, key, widget=None):
        """As Qt does it with a key that is pressed: the widget may claim it, else a shortcut gets it, else the widget.

        (QtTest is not in Slicer.)
        """
        import qt
        import slicer

        window = slicer.util.mainWindow()
        widget = widget or window
        wanted = qt.QKeySequence(key).toString()
        claim = self._key_event(qt.QEvent.ShortcutOverride, key)
        claim.ignore()
        qt.QCoreApplication.sendEvent(widget, claim)
        found = window.findChildren(qt.QShortcut)
        shortcuts = [one for one in found if one.enabled and one.key.toString() == wanted]
        if not claim.isAccepted() and len(shortcuts) == 1:  # of two Qt takes neither
            self.emit(shortcuts[0], "activated")
        else:
            qt.QCoreApplication.sendEvent(widget, self._key_event(qt.QEvent.KeyPress, key))
            qt.QCoreApplication.sendEvent(widget, self._key_event(qt.QEvent.KeyRelease, key))

    def _key_event(self, kind, key):
        import qt

        *modifiers, name = key.split("+")
        states = qt.Qt.ControlModifier if modifiers == ["Ctrl"] else qt.Qt.NoModifier
        return qt.QKeyEvent(kind, getattr(qt.Qt, f"Key_{name}"), states, name.lower() if len(name) == 1 else "")

    def drag(self, view, share_from, share_to):
        """Drag the mouse, left button down, across a slice view between two shares of its width."""
        import qt

        canvas = view.VTKWidget()
        left, none, keys = qt.Qt.LeftButton, qt.Qt.NoButton, qt.Qt.NoModifier
        row = canvas.height // 2
        columns = [round((share_from + (share_to - share_from) * step / 4) * canvas.width) for step in range(5)]
        events = [(qt.QEvent.MouseButtonPress, columns[0], left, left)]
        events += [(qt.QEvent.MouseMove, column, none, left) for column in columns[1:]]
        events += [(qt.QEvent.MouseButtonRelease, columns[-1], left, none)]
        for kind, column, button, buttons in events:
            place = qt.QPointF(column, row)
            qt.QCoreApplication.sendEvent(canvas, qt.QMouseEvent(kind, place, button, buttons, keys))

    def emit(self, sender, signal, *arguments):
        """Let a Qt object say that something happened, as if the user had done it."""
        getattr(sender, signal)(*arguments)  # PythonQt's signals are called

    def pixels(self, view):
        """What a slice view shows now: (rows, columns, 3), first row on top."""
        import vtk
        from vtk.util.numpy_support import vtk_to_numpy

        view.forceRender()
        window = view.renderWindow()
        width, height = window.GetSize()
        values = vtk.vtkUnsignedCharArray()
        window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, values)
        return vtk_to_numpy(values).reshape(height, width, 4)[::-1, :, :3]


_application: Application | None = None


def start() -> Application:
    """The application of this process, started when first asked for."""
    global _application
    if _application is None:
        _application = SlicerApplication() if IS_SLICER else HostApplication()
    return _application

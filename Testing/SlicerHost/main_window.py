"""The main window: the module panel as tall as Slicer makes it, beside the views."""

from __future__ import annotations

from PySide6 import QtWidgets

from SlicerHost import ctk_widgets, views

FRAME_PIXELS = 302
"""What Slicer's menu, tool bars, module title, help header and Data Probe take of a window's height.

Measured in Slicer 5.12: on a screen of 1080 lines 778 are left for a module's panel.
"""
DATA_PROBE_PIXELS = 130
PANEL_WIDTH_PIXELS = 460


class MainWindow(QtWidgets.QWidget):
    """``slicer.util.mainWindow()``: the panel scrolls where it is taller than what Slicer leaves it."""

    def __init__(self, applicationLogic):
        super().__init__()
        self.setWindowTitle("LRformer Slicer in the project's test host (not the 3D Slicer application)")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        frame = QtWidgets.QWidget()
        frame.setFixedWidth(PANEL_WIDTH_PIXELS)
        row.addWidget(frame)
        column = QtWidgets.QVBoxLayout(frame)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QtWidgets.QLabel("Menu, tool bars, module title")
        head.setEnabled(False)
        help_ = ctk_widgets.ctkCollapsibleButton()
        help_.setText("Help && Acknowledgement")
        help_.collapsed = True
        head.setFixedHeight(FRAME_PIXELS - DATA_PROBE_PIXELS - help_.sizeHint().height())
        column.addWidget(head)
        column.addWidget(help_)
        self._scrollArea = QtWidgets.QScrollArea()
        self._scrollArea.setWidgetResizable(True)
        self._scrollArea.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        column.addWidget(self._scrollArea, 1)
        probe = QtWidgets.QLabel("Data Probe")
        probe.setEnabled(False)
        probe.setFixedHeight(DATA_PROBE_PIXELS)
        column.addWidget(probe)
        viewFrame = QtWidgets.QWidget()
        row.addWidget(viewFrame, 1)
        self.viewsOfLayout = views.LayoutManager(applicationLogic, viewFrame)

    def holdPanel(self, panel):
        """Show the panel of a module, in place of the one before."""
        before = self._scrollArea.takeWidget()
        if before is not None and before is not panel:
            before.hide()
            before.setParent(None)
        panel.layout().setContentsMargins(0, 0, 0, 0)
        self._scrollArea.setWidget(panel)
        panel.show()

    def panelHeight(self):
        """Pixels that a panel has without scrolling."""
        return self._scrollArea.viewport().height

    def picture(self, path):
        """Save the whole window as a PNG."""
        for _ in range(3):  # hidden widgets give their place away only with the next events
            QtWidgets.QApplication.processEvents()
        if not self.grab().save(str(path)):
            raise OSError(f"{path} could not be written")

    def open(self, width, height):
        """Show the window in this size, in pixels, with Slicer's default layout."""
        import slicer

        self.resize(width, height)
        self.viewsOfLayout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.show()

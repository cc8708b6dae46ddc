"""Input: which volume, what it was taken for, and a sample for those who have none."""

import qt
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.choices import Task
from LRformerSlicerLib.scene.recognition import recognise
from LRformerSlicerLib.scene.sample_data import SAMPLE_NAMES, loadSampleVolume


class InputChoice:
    """Calls onChosen(volume) when the user chooses another volume."""

    def __init__(self, ui, onChosen, onProblem) -> None:
        self._ui = ui
        self._onChosen = onChosen
        self._onProblem = onProblem
        self._recognised = None
        self._isShowing = False
        self._sampleMenu = qt.QMenu(ui.sampleDataButton)
        self.sampleActions = {}
        for name in SAMPLE_NAMES:
            action = self._sampleMenu.addAction(name)
            action.connect("triggered(bool)", self._slotFor(name))
            self.sampleActions[name] = action
        ui.sampleDataButton.setMenu(self._sampleMenu)
        ui.inputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onInputChanged)

    def show(self, volume) -> None:
        """Let the selector show `volume`, without asking anybody to follow."""
        self._recognised = None
        self._isShowing = True
        try:
            self._ui.inputSelector.setCurrentNode(volume)
        finally:
            self._isShowing = False

    def update(self, parameters) -> bool:
        """Say what the input of `parameters` was taken for, or why it cannot be restored; returns whether it can."""
        volume = parameters.inputVolume if parameters is not None else None
        if volume is None:
            self._recognised = None
            self._ui.recognisedLabel.text = _("Choose a CT or MR volume.")
            return False
        image = volume.GetImageData()
        key = (volume.GetID(), image.GetMTime() if image is not None else 0, parameters.task)
        if self._recognised is None or self._recognised[0] != key:
            labels = {task.value: task.label() for task in Task}
            try:
                self._ui.recognisedLabel.text = recognise(volume, parameters.task.value, labels).line
                self._recognised = key, True
            except UserError as error:
                self._ui.recognisedLabel.text = error.message
                self._recognised = key, False
        return self._recognised[1]

    def onInputChanged(self, node) -> None:
        """Another volume was chosen."""
        if not self._isShowing:
            self._onChosen(node)

    def loadSample(self, name) -> None:
        """Load Slicer's own sample of this name and choose it."""
        try:
            volume = loadSampleVolume(name)
        except UserError as error:
            self._onProblem(error.message)
            return
        self._ui.inputSelector.setCurrentNode(volume)

    def _slotFor(self, name):
        return lambda checked=False: self.loadSample(name)

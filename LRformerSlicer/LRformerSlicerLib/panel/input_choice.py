"""Input: which volume, what it was taken for, and a sample for those who have none."""

import qt
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.choices import Task
from LRformerSlicerLib.panel.node_choice import followChoice
from LRformerSlicerLib.scene.recognition import recognise
from LRformerSlicerLib.scene.result_volumes import resultVolumes
from LRformerSlicerLib.scene.sample_data import SAMPLE_NAMES, loadSampleVolume
from LRformerSlicerLib.scene.volume_input import firstSuitableVolume

LOAD_INTERVAL_MS, LOAD_LOOKS = 100, 300
"""How often to look whether the voxels of a new volume have come: it enters the scene before them."""


class InputChoice:
    """Calls onChosen(volume) when the user chooses another volume."""

    def __init__(self, ui, onChosen, onProblem) -> None:
        self._ui = ui
        self._onChosen = onChosen
        self._onProblem = onProblem
        self._recognised = None
        self._isShowing = False
        self._shown = None
        self._looksLeft = 0
        self._loadTimer = qt.QTimer()
        self._loadTimer.setSingleShot(True)
        self._loadTimer.setInterval(LOAD_INTERVAL_MS)
        self._loadTimer.connect("timeout()", self.onLoaded)
        self._sampleMenu = qt.QMenu(ui.sampleDataButton)
        self.sampleActions = {}
        for name in SAMPLE_NAMES:
            action = self._sampleMenu.addAction(name)
            action.connect("triggered(bool)", self._slotFor(name))
            self.sampleActions[name] = action
        ui.sampleDataButton.setMenu(self._sampleMenu)
        followChoice(ui.inputSelector, self.onInputChanged)

    def show(self, volume) -> None:
        """Let the selector show `volume`, without asking anybody to follow."""
        self._recognised = None
        self._shown = volume
        self._isShowing = True
        try:
            self._ui.inputSelector.setCurrentNode(volume)
        finally:
            self._isShowing = False

    def update(self, parameters) -> bool:
        """Say what the input of `parameters` was taken for, or why it cannot be restored; returns whether it can."""
        if parameters is not None:
            self.updateOffered(parameters)
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

    def updateOffered(self, parameters) -> None:
        """Offer the volumes of the scene without what restorations have made, unless the user asks for those too."""
        chosen = parameters.inputVolume
        hidden = [] if parameters.offersResults else [node.GetID() for node in resultVolumes() if node is not chosen]
        model = self._ui.inputSelector.sortFilterProxyModel()
        if list(model.hiddenNodeIDs) != hidden:
            model.hiddenNodeIDs = hidden

    def chooseWhenLoaded(self) -> None:
        """A volume was added: where none is chosen, choose it as soon as its voxels are there."""
        if self._ui.inputSelector.currentNode() is None:
            self._looksLeft = LOAD_LOOKS
            self._loadTimer.start()

    def onLoaded(self) -> None:
        """Choose the first suitable volume, unless the user has chosen meanwhile."""
        if self._ui.inputSelector.currentNode() is not None:
            return
        volume = firstSuitableVolume()
        self._looksLeft -= 1
        if volume is not None:
            self._ui.inputSelector.setCurrentNode(volume)
        elif self._looksLeft > 0:
            self._loadTimer.start()

    def close(self) -> None:
        """Wait for no volume any more."""
        self._loadTimer.stop()

    def onInputChanged(self, node) -> None:
        """Another volume was chosen."""
        if not self._isShowing and node is not self._shown:
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

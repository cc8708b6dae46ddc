"""What is missing before anything can be restored: one explanation and one button."""

import slicer
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.dependencies import ensureDependencies, missingRequirements, packageNames
from LRformerSlicerLib.scene.offline_files import offlineList


class SetupState:
    """The box at the top of the panel; hidden when nothing is missing."""

    def __init__(self, ui, onProblem) -> None:
        self._ui = ui
        self._onProblem = onProblem
        self.isMissing = False
        """Asked in place of the box's visibility, which Qt denies as long as the panel itself is not shown."""
        ui.setupButton.connect("clicked(bool)", self.onSetup)

    def update(self) -> None:
        """Look what is missing, and say it."""
        missing = missingRequirements()
        self._ui.setupBox.visible = bool(missing)
        if bool(missing) != self.isMissing:
            self.isMissing = bool(missing)
            # Nothing was restored yet: its place is better used for what to do first.
            self._ui.reportSection.collapsed = self.isMissing
        if missing:
            self._ui.setupLabel.text = _(
                "Before the first restoration these Python packages must be installed: {packages}. The button asks "
                "first; the weights of the restoration came with this extension."
            ).format(packages=", ".join(missing))
            self._ui.offlineLabel.text = offlineList(packageNames(missing))

    def onSetup(self, checked=False) -> None:
        """Install with consent; the panel says what is still missing afterwards."""
        self._ui.setupLabel.text = _(
            "Installing: this can take minutes, and Slicer may stand still meanwhile. The Python console says how far "
            "it is."
        )
        slicer.app.processEvents()  # Slicer 5.10 shows nothing else of it
        try:
            ensureDependencies()
        except UserError as error:
            self._onProblem(error.message)
        self.update()

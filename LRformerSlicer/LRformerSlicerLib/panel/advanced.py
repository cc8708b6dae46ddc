"""Advanced: the choices that the first click does without."""

import qt
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.choices import Device, Prior
from LRformerSlicerLib.panel.model_files import ModelFiles, downloadedMedsam
from LRformerSlicerLib.scene.model_consent import allow, requireConsent

DEFAULTS = {
    "device": Device.AUTOMATIC,
    "prior": Prior.LITE_MEDSAM,
    "samples": 4,
    "seed": 0,
    "medsamCheckpoint": "",
    "modelFile": "",
    "offersResults": False,
}


class Advanced:
    """The buttons of the section; its other widgets are bound to the parameter node by name."""

    def __init__(self, ui, onProblem) -> None:
        self._ui = ui
        self._parameters = None
        self.files = ModelFiles(ui, onProblem)
        ui.restoreDefaultsButton.connect("clicked(bool)", self.onRestoreDefaults)
        ui.chooseMedsamButton.connect("clicked(bool)", self.onChooseMedsam)
        ui.chooseModelButton.connect("clicked(bool)", self.onChooseModel)

    def update(self, parameters) -> None:
        """Follow `parameters`."""
        self._parameters = parameters
        self.files.update()

    def close(self) -> None:
        """Leave no process behind."""
        self.files.close()

    def onRestoreDefaults(self, checked=False) -> None:
        """Everything in this section as it comes; the model folder stays."""
        if self._parameters is not None:
            for name, value in DEFAULTS.items():
                setattr(self._parameters, name, value)

    def onChooseMedsam(self, checked=False) -> None:
        """Name the file of MedSAM's weights."""
        self._choose("medsamCheckpoint", _("MedSAM checkpoint (medsam_vit_b.pth)"), "PyTorch (*.pth)")

    def onChooseModel(self, checked=False) -> None:
        """Name a model file of one's own."""
        self._choose("modelFile", _("Model for the restoration"), "safetensors (*.safetensors)")

    def _choose(self, parameterName, title, filters) -> None:
        path = qt.QFileDialog.getOpenFileName(self._ui.restoreDefaultsButton, title, "", filters)
        if path and self._parameters is not None:
            allow(path)
            setattr(self._parameters, parameterName, path)


def optionsOf(parameters) -> dict:
    """The fields of restoration.options.RestorationOptions in which this section differs from its defaults.

    Asks for a model file that the scene names and that is not the user's own. Raises UserError where that is not
    allowed, and where MedSAM is chosen and its file is nowhere.
    """
    medsam = parameters.medsamCheckpoint.strip()
    if not medsam and parameters.prior is Prior.MEDSAM:
        medsam = downloadedMedsam()
        if not medsam:
            raise UserError(
                _("The prior network MedSAM needs its file: click Download in Advanced, or choose one that you have.")
            )
    values = {
        "prior": parameters.prior.value if parameters.prior is not DEFAULTS["prior"] else None,
        "samples": parameters.samples if parameters.samples != DEFAULTS["samples"] else None,
        "seed": parameters.seed or None,
        "medsam_checkpoint": medsam or None,
        "model": parameters.modelFile.strip() or None,
    }
    requireConsent(values)
    return {name: value for name, value in values.items() if value is not None}

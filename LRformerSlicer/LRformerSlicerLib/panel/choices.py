"""What the user can choose from; the names of the members are what a saved scene holds."""

import enum

from slicer.i18n import tr as _


class Task(enum.Enum):
    """What is to be restored; the values are the command line's."""

    AUTOMATIC = "auto"
    CT_DENOISE = "ct-denoise"
    MR_SUPER_RESOLUTION_2 = "mr-sr2"
    MR_SUPER_RESOLUTION_4 = "mr-sr4"
    MR_ARTIFACT = "mr-artifact"

    def label(self):
        """Text in the panel's list."""
        return {
            Task.AUTOMATIC: _("Automatic"),
            Task.CT_DENOISE: _("CT: remove low-dose noise"),
            Task.MR_SUPER_RESOLUTION_2: _("MR: double the in-plane resolution"),
            Task.MR_SUPER_RESOLUTION_4: _("MR: quadruple the in-plane resolution"),
            Task.MR_ARTIFACT: _("MR: remove noise and artifacts"),
        }[self]


class Device(enum.Enum):
    """Where the network runs; the values are the command line's."""

    AUTOMATIC = "auto"
    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"

    def label(self):
        """Text in the panel's list."""
        return {
            Device.AUTOMATIC: _("Automatic"),
            Device.CUDA: _("NVIDIA graphics card (CUDA)"),
            Device.MPS: _("Apple graphics (MPS)"),
            Device.CPU: _("Processor (CPU)"),
        }[self]


class Prior(enum.Enum):
    """Which network finds the structures; the values are the command line's."""

    LITE_MEDSAM = "lite-medsam"
    MEDSAM = "medsam"
    NONE = "none"

    def label(self):
        """Text in the panel's list."""
        return {
            Prior.LITE_MEDSAM: _("LiteMedSAM (fast)"),
            Prior.MEDSAM: _("MedSAM (needs its checkpoint file)"),
            Prior.NONE: _("None"),
        }[self]


class CompareMode(enum.Enum):
    """How original and restored volume are compared."""

    OFF = "off"
    SIDE_BY_SIDE = "side by side"
    FLICKER = "flicker"
    SWIPE = "swipe"
    DIFFERENCE = "difference"


class Orientation(enum.Enum):
    """How the views of a comparison cut the patient; the values are Slicer's."""

    AXIAL = "Axial"
    CORONAL = "Coronal"
    SAGITTAL = "Sagittal"

    def label(self):
        """Text in the panel's list."""
        return {
            Orientation.AXIAL: _("Axial"),
            Orientation.CORONAL: _("Coronal"),
            Orientation.SAGITTAL: _("Sagittal"),
        }[self]


class OverlayMap(enum.Enum):
    """The map drawn over the views; the values are the names of results."""

    NONE = "none"
    PRIOR = "prior"
    CONSISTENCY = "consistency"
    UNCERTAINTY = "uncertainty"
    EXPECTED_ERROR = "expected_error"

    def label(self):
        """Text in the panel's list."""
        return {
            OverlayMap.NONE: _("Off"),
            OverlayMap.PRIOR: _("Prior U: where structures are"),
            OverlayMap.CONSISTENCY: _("Consistency C: where the model is sure"),
            OverlayMap.UNCERTAINTY: _("Uncertainty D: where it is not"),
            OverlayMap.EXPECTED_ERROR: _("Expected error: how far off values may be"),
        }[self]

    def legend(self):
        """Title of the colour legend; all but the expected error are shares from 0 to 1 and have no unit."""
        return {
            OverlayMap.PRIOR: _("Prior U"),
            OverlayMap.CONSISTENCY: _("Consistency C"),
            OverlayMap.UNCERTAINTY: _("Uncertainty D"),
            OverlayMap.EXPECTED_ERROR: _("Expected error"),
        }[self]


def resultParameter(name):
    """The parameter that holds the result called `name`: "expected_error" is in expectedErrorVolume."""
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others) + "Volume"

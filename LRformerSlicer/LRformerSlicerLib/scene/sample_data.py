"""Slicer's own sample volumes, for a first try."""

import logging

from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError

SAMPLE_NAMES = ("CTChest", "MRHead")
"""As Slicer's module Sample Data calls them."""


def loadSampleVolume(name: str):
    """The sample called `name`, downloaded by Slicer's module Sample Data when first asked for. Raises UserError."""
    try:
        import SampleData

        volume = SampleData.SampleDataLogic().downloadSample(name)
    except Exception as error:  # no such module, no internet, a proxy, a full disk: each raises its own
        logging.exception("The sample could not be loaded")
        volume, cause = None, error
    else:
        cause = None
    if volume is None:
        raise UserError(
            _(
                "The sample {name} could not be loaded: check the internet connection, or open a volume of your own."
            ).format(name=name)
        ) from cause
    return volume

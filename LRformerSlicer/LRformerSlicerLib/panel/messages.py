"""What the panel says of a run, in sentences for people."""

import html
import logging

from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError


def userMessage(error):
    """One sentence for the user; an error that is not meant for users goes into the log with its traceback."""
    if isinstance(error, UserError):
        return error.message
    logging.error("Restoration failed", exc_info=error)
    return _(
        "The restoration failed unexpectedly ({error}): please report it with the messages in the Python console."
    ).format(error=f"{type(error).__name__}: {error}")


def toolTipOf(text):
    """`text` as a tool tip that shows every character of it.

    Qt and Slicer take tool tips for HTML: a volume called "<img src=...>" would load the picture.
    """
    return "<p>" + html.escape(text).replace("\n", "<br>") + "</p>" if text else ""


def progressText(event):
    """`event` (worker.messages.ProgressEvent) as one line for a person."""
    stages = {
        "load": _("Loading the network"),
        "prior": _("Finding structures"),
        "restore": _("Restoring"),
        "write": _("Saving the result"),
    }
    text = stages.get(event.stage, event.stage.capitalize())
    if event.total > 0:
        # What is saved are whole images: the restored volume and its maps.
        form = (
            _("{stage}: image {done} of {total}") if event.stage == "write" else _("{stage}: slice {done} of {total}")
        )
        text = form.format(stage=text, done=event.done, total=event.total)
    if event.seconds_left is not None:
        text = _("{text}, about {seconds:.0f} s left").format(text=text, seconds=event.seconds_left)
    if event.device:
        text = _("{text}, on {device}").format(text=text, device=event.device.upper())
    return text


def finishedText(nodes, report):
    """What a finished run made, and its warnings."""
    text = _("Restored as '{name}' in {seconds:.0f} s on {device}.").format(
        name=nodes["restored"].GetName(),
        seconds=report.get("worker_seconds", 0),
        device=str(report.get("device", "?")).upper(),
    )
    return "\n".join([text, *(str(warning) for warning in report.get("warnings", []))])

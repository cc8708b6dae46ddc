"""The report of a run: a small table, its text for the clipboard, its JSON for a file."""

import json
from pathlib import Path

import qt
from slicer.i18n import tr as _

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.panel.messages import toolTipOf
from LRformerSlicerLib.scene.views import jumpTo, rasOfVoxel

RESEARCH_USE = "For research use, not for diagnosis."
LARGEST_HINT = _(", click to see")
PATCHES_HINT = _(" (see tool tip)")
"""Of use in the table only: the copied text leaves both out."""


def reportRows(report) -> list[tuple[str, str, str]]:
    """(name, value, key) of the table.

    report: the worker's report of a restoration; key: "largest", "patches", "model" or "", for the row's tool tip.
    """
    change = report.get("change", {})
    unit = change.get("unit", "")
    model = report.get("model") or {}
    name = model.get("name") or model.get("card", {}).get("name") or ""
    sha256 = model.get("sha256", "")
    rows = [
        (_("Task"), str(report.get("task", "")), ""),
        (
            _("Device, time"),
            _("{device}, {seconds:.0f} s").format(device=deviceText(report), seconds=report.get("worker_seconds", 0)),
            "",
        ),
        (_("Model"), f"{name} ({sha256[:12]})" if sha256 else str(name), "model"),
    ]
    if "frame" in report:
        rows.insert(0, (_("Frame"), _("{frame} of {frames}").format(**report), ""))
    if change.get("noise_sd_before") is not None:
        before, after = change["noise_sd_before"], change["noise_sd_after"]
        share = round(100 * (after / before - 1)) if before else 0
        text = _("{before:.3g} to {after:.3g} {unit} ({share:+d} %)")
        text = text.format(before=before, after=after, unit=unit, share=share).replace("  ", " ")
        rows.append((_("Noise SD"), text, "patches"))
        rows.append(
            (_("Measured in"), _("{count} flat patches").format(count=len(change["patches"])) + PATCHES_HINT, "patches")
        )
    else:
        rows.append((_("Noise SD"), _("no flat patch found to measure it in"), ""))
    if change:
        where = _("Mean shift in the box") if change.get("within") == "box" else _("Mean shift in the body")
        rows.append((where, f"{change['mean_shift']:+.2g} {unit}".strip(), ""))
        largest = f"{change['largest_change']:+.4g} {unit}".strip()
        rows.append((_("Largest change"), largest + LARGEST_HINT, "largest"))
        if change.get("share_clearly_changed") is not None:
            rows.append((_("Changed above 3 noise SD"), f"{100 * change['share_clearly_changed']:.2f} %", ""))
    metrics = report.get("metrics")
    if metrics:
        before, after = metrics["before"], metrics["after"]
        for label, key, form in ((_("PSNR"), "psnr_db", "{:.2f} dB"), (_("SSIM"), "ssim", "{:.4f}")):
            values = [form.format(one[key]) if one.get(key) is not None else "-" for one in (before, after)]
            rows.append((label, _("{before} to {after}").format(before=values[0], after=values[1]), ""))
    return rows


def reportText(report, volumeName: str) -> str:
    """The report as plain text: the table, the patches, the warnings, and what it is for."""
    lines = [_("LRformer Slicer, report of '{name}'").format(name=volumeName)]
    for name, value, key in reportRows(report):
        value = value.removesuffix(LARGEST_HINT).removesuffix(PATCHES_HINT)
        if key == "largest":
            value = _("{value} at {place}").format(
                value=value, place=placeText(report["change"]["largest_change_lps_mm"])
            )
        lines.append(f"{name}: {value}")
    lines += patchLines(report)
    lines += [str(warning) for warning in report.get("warnings", [])]
    lines.append(_("Figures at 100 % strength. {use}").format(use=_(RESEARCH_USE)))
    return "\n".join(lines)


def deviceText(report) -> str:
    """What computed, such as "CPU (2 threads)" or "CUDA (NVIDIA H100)"."""
    device, name = str(report.get("device", "")).upper(), report.get("device_name") or ""
    return f"{device} ({name})" if name and name.upper() != device else device


def placeText(lpsMillimetres) -> str:
    """A position in the words of a reader of images: left or right, posterior or anterior, superior or inferior."""
    pairs = (("L", "R"), ("P", "A"), ("S", "I"))
    return (
        " ".join(
            f"{positive if value >= 0 else negative} {abs(value):.0f}"
            for (positive, negative), value in zip(pairs, lpsMillimetres, strict=True)
        )
        + " mm"
    )


def modelTip(report) -> str:
    """Where the model and its card lie, and its whole SHA256."""
    model = report.get("model") or {}
    if not model.get("file"):
        return ""
    lines = [
        _("Model: {path}"),
        _("Its card, with what it was trained on and how well it does: {card}"),
        "SHA256 {sha256}",
    ]
    path = Path(model["file"])
    return "\n".join(lines).format(path=path, card=path.with_suffix(".json"), sha256=model.get("sha256", ""))


def patchLines(report) -> list[str]:
    """One line a patch: where it is and its noise."""
    change = report.get("change", {})
    return [
        _("{name} at {place}, mean {mean:.4g}, SD {before:.3g} to {after:.3g} {unit}")
        .format(
            name=patch["name"],
            place=placeText(patch["center_lps_mm"]),
            mean=patch["mean"],
            before=patch["noise_before"],
            after=patch["noise_after"],
            unit=change["unit"],
        )
        .strip()
        for patch in change.get("patches", [])
    ]


class ReportTable:
    """Shows the parameter node's report."""

    def __init__(self, ui, onProblem) -> None:
        self._ui = ui
        self._onProblem = onProblem
        self._parameters = None
        self._shown = None
        self._keys: list[str] = []
        ui.reportTable.setColumnCount(2)
        ui.reportTable.horizontalHeader().setStretchLastSection(True)
        ui.reportTable.connect("cellClicked(int,int)", self.onCellClicked)
        ui.copyReportButton.connect("clicked(bool)", self.onCopy)
        ui.saveReportButton.connect("clicked(bool)", self.onSave)

    def update(self, parameters) -> None:
        """Follow `parameters` (None: an empty table)."""
        self._parameters = parameters
        text = parameters.report if parameters is not None else ""
        if text == self._shown:
            return
        self._shown = text
        report = json.loads(text) if text else {}
        rows = reportRows(report) if report else []
        table = self._ui.reportTable
        table.setRowCount(len(rows))
        tips = {
            "patches": "\n".join(patchLines(report)),
            "largest": _("Click to show the place in the middle of all views."),
            "model": modelTip(report),
        }
        for index, (name, value, key) in enumerate(rows):
            for column, content in enumerate((name, value)):
                item = qt.QTableWidgetItem(content)
                item.setToolTip(toolTipOf(tips.get(key, content)))
                table.setItem(index, column, item)
        table.resizeColumnToContents(0)
        self._keys = [key for _name, _value, key in rows]
        self._ui.copyReportButton.enabled = self._ui.saveReportButton.enabled = bool(rows)

    def onCellClicked(self, row, column) -> None:
        """Jump to the largest change."""
        if row >= len(self._keys) or self._keys[row] != "largest":
            return
        change = json.loads(self._shown)["change"]
        if self._parameters.restoredVolume is not None:
            jumpTo(rasOfVoxel(self._parameters.restoredVolume, change["largest_change_lps_mm"]))

    def onCopy(self, checked=False) -> None:
        """The report as text into the clipboard."""
        qt.QApplication.clipboard().setText(reportText(json.loads(self._shown), self._name()))

    def onSave(self, checked=False) -> None:
        """The whole report as JSON into a file that the user names."""
        path = qt.QFileDialog.getSaveFileName(
            self._ui.reportTable, _("Save the report"), f"{self._name()} report.json", "JSON (*.json)"
        )
        if not path:
            return
        try:
            Path(path).write_text(json.dumps(self._whole(), indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            problem = _("The report could not be saved ({reason}): choose another folder.")
            self._onProblem(UserError(problem.format(reason=error.strerror)).message)

    def _whole(self) -> dict:
        """What is saved: the report, of a sequence those of all frames, and what it is for."""
        frames = json.loads(self._parameters.frameReports or "[]")
        return {"use": RESEARCH_USE, **({"frames": frames} if frames else json.loads(self._shown))}

    def _name(self) -> str:
        volume = self._parameters.inputVolume if self._parameters is not None else None
        return volume.GetName() if volume is not None else _("volume")

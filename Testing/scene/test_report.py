"""The report of a run: its table, what is copied and what is saved."""

import json
import re

import numpy as np
import pytest

from panel_contents import parameters_of, report_rows, slice_node


def test_the_report_says_what_was_done(restored):
    rows = report_rows(restored)
    assert rows["Task"] == "ct-denoise"
    assert "untrained ct-denoise" in rows["Model"]
    assert rows["Device, time"].startswith("CPU (") and restored.ui.statusLabel.text.endswith(" on CPU.")
    assert "HU" in rows["Noise SD"] and "HU" in rows["Largest change"]
    before = json.loads(parameters_of(restored).report)["change"]["noise_sd_before"]
    assert before == pytest.approx(30, rel=0.25)  # the phantom's noise


def test_the_model_row_says_where_the_card_lies(restored, checkpoints):
    table = restored.ui.reportTable
    row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == "Model")
    tip = table.item(row, 1).toolTip()
    assert str(checkpoints["ct-denoise"].with_suffix(".json")) in tip
    assert len(tip.split("SHA256 ")[1].removesuffix("</p>")) == 64


def test_a_click_on_the_largest_change_jumps_there(restored, application):
    import slicer

    table = restored.ui.reportTable
    row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == "Largest change")
    application.emit(table, "cellClicked", row, 1)
    change = slicer.util.arrayFromVolume(parameters_of(restored).differenceVolume)
    node = slice_node("LRformerRestored")
    ras = [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    layer = slicer.app.applicationLogic().GetSliceLogicByLayoutName("LRformerRestored").GetBackgroundLayer()
    columns, rows, _depth = node.GetDimensions()
    i, j, k = np.rint(layer.GetXYToIJKTransform().TransformPoint((columns / 2, rows / 2, 0))).astype(int)
    assert abs(change[k, j, i]) == pytest.approx(np.abs(change).max()), ras


def test_the_report_is_copied_and_saved(restored, tmp_path, application, monkeypatch):
    import qt

    restored.ui.copyReportButton.click()
    text = qt.QApplication.clipboard().text()
    assert "Noise SD" in text and "not for diagnosis" in text and "Patch 1" in text
    assert re.search(r"^Largest change: [+-]\d+ HU at [LR] \d+ [PA] \d+ [SI] \d+ mm$", text, re.MULTILINE), text
    assert "click" not in text and "tool tip" not in text
    path = tmp_path / "report.json"
    application.answer_file_dialogs(monkeypatch, path, tmp_path / "no such folder" / "report.json")
    restored.ui.saveReportButton.click()
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved["task"] == "ct-denoise" and "not for diagnosis" in saved["use"]
    restored.ui.saveReportButton.click()
    assert "choose another folder" in restored.ui.statusLabel.text


def test_psnr_is_reported_with_a_reference(restored, wait_for):
    pytest.importorskip("skimage")
    restored.ui.referenceSelector.setCurrentNode(parameters_of(restored).inputVolume)
    restored.ui.restoreButton.click()
    wait_for(lambda: not restored.logic.busy)
    assert {"PSNR", "SSIM"} <= set(report_rows(restored))

"""The rows MedSAM file and Model folder, clicked: a real server, a real download process, real files."""

import hashlib
import json

import psutil
import pytest

from LRformerSlicerLib.errors import UserError
from range_server import CONTENT


@pytest.fixture
def files(panel, server, tmp_path, application, monkeypatch):
    """The panel's ModelFiles with a folder of its own and a file that the server has."""
    description = tmp_path / "weights.json"
    content = {"name": "medsam_vit_b.pth", "title": "Test weights", "size_bytes": len(CONTENT)}
    content |= {"url": f"http://127.0.0.1:{server.server_port}/w", "sha256": hashlib.sha256(CONTENT).hexdigest()}
    description.write_text(json.dumps(content))
    panel.advanced.files.description = description
    application.answer_file_dialogs(monkeypatch, tmp_path / "my models")
    panel.ui.changeModelFolderButton.click()
    assert panel.ui.modelFolderLineEdit.text == str(tmp_path / "my models")
    yield panel.advanced.files
    panel.advanced.close()


@pytest.fixture
def folder(files, tmp_path):
    return tmp_path / "my models"


def test_a_download_ends_with_the_file_that_restore_then_uses(panel, files, folder, wait_for):
    from LRformerSlicerLib.panel.advanced import optionsOf
    from LRformerSlicerLib.panel.choices import Prior

    panel._parameterNode.prior = Prior.MEDSAM
    with pytest.raises(UserError, match="click Download in Advanced"):
        optionsOf(panel._parameterNode)
    panel.ui.advancedSection.collapsed = False
    panel.ui.downloadMedsamButton.click()
    assert panel.ui.downloadMedsamButton.text == "Cancel" and panel.ui.downloadBar.visible
    process = psutil.Process(files._client.pid)
    wait_for(lambda: not files.isDownloading, 60)
    assert panel.ui.downloadLabel.text == f"Downloaded and checked: {folder / 'medsam_vit_b.pth'}"
    assert (folder / "medsam_vit_b.pth").read_bytes() == CONTENT
    assert panel.ui.downloadMedsamButton.text == "Download" and not panel.ui.downloadBar.visible
    assert not process.is_running()
    assert optionsOf(panel._parameterNode)["medsam_checkpoint"] == str(folder / "medsam_vit_b.pth")
    assert panel.ui.medsamLineEdit.placeholderText == "the one in the model folder"


def test_cancel_ends_the_process_and_the_next_click_goes_on(panel, files, folder, server, wait_for):
    server.pause_s = 0.05
    panel.ui.downloadMedsamButton.click()
    wait_for(lambda: " of 4 MB" in panel.ui.downloadLabel.text, 60)
    assert panel.ui.downloadBar.maximum == len(CONTENT) // 1024
    process = psutil.Process(files._client.pid)
    panel.ui.downloadMedsamButton.click()
    assert not process.is_running() and not files.isDownloading
    assert "goes on from there" in panel.ui.downloadLabel.text
    assert [path.name for path in folder.iterdir()] == ["medsam_vit_b.pth.part"]
    server.pause_s = 0.0
    panel.ui.downloadMedsamButton.click()
    wait_for(lambda: not files.isDownloading, 60)
    assert (folder / "medsam_vit_b.pth").read_bytes() == CONTENT
    assert server.requests[-1].startswith("bytes=")


@pytest.mark.parametrize(("trouble", "words"), [("cut", "connection broke"), ("wrong", "SHA256"), ("gone", "404")])
def test_trouble_is_one_sentence_and_leaves_no_file_that_passes_for_complete(
    panel, files, folder, server, wait_for, trouble, words
):
    if trouble == "cut":
        server.cut_after = 1_000_000
    elif trouble == "wrong":
        server.content = CONTENT[:-1] + b"!"
    else:
        server.status = 404
    panel.ui.downloadMedsamButton.click()
    wait_for(lambda: not files.isDownloading, 60)
    said = panel.ui.downloadLabel.text
    assert words in said and said.endswith(".") and "\n" not in said
    assert not (folder / "medsam_vit_b.pth").exists()
    assert panel.ui.downloadMedsamButton.text == "Download" and panel.ui.changeModelFolderButton.enabled


def test_slicer_stays_usable_and_closing_the_module_ends_the_download(panel, files, server, wait_for, add_ct):
    import slicer

    server.pause_s = 0.2
    panel.ui.downloadMedsamButton.click()
    wait_for(lambda: " of 4 MB" in panel.ui.downloadLabel.text, 60)
    process = psutil.Process(files._client.pid)
    panel.ui.inputSelector.setCurrentNode(add_ct())
    slicer.app.processEvents()
    assert panel.ui.restoreButton.enabled and files.isDownloading
    panel.cleanup()
    assert not process.is_running()
    panel.setup()


def test_emptying_names_what_goes_and_asks(panel, files, folder, monkeypatch):
    import slicer

    panel.ui.emptyModelFolderButton.click()
    assert "nothing to remove" in panel.ui.downloadLabel.text
    folder.mkdir(exist_ok=True)
    for name in ("medsam_vit_b.pth", "own.safetensors", "thesis.pdf"):
        (folder / name).write_bytes(b"x" * 1000)
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: asked.append(text))  # Cancel
    panel.ui.emptyModelFolderButton.click()
    assert len(list(folder.iterdir())) == 3
    assert "medsam_vit_b.pth" in asked[0] and "own.safetensors" in asked[0] and "thesis.pdf" not in asked[0]
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **_: True)
    panel.ui.emptyModelFolderButton.click()
    assert [path.name for path in folder.iterdir()] == ["thesis.pdf"]
    assert panel.ui.downloadLabel.text == "Removed: medsam_vit_b.pth, own.safetensors."


def test_the_extensions_own_folder_is_refused(panel, files, folder, application, monkeypatch):
    from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER

    application.answer_file_dialogs(monkeypatch, EXTENSION_FOLDER / "Resources" / "Models")
    panel.ui.changeModelFolderButton.click()
    assert "belongs to the extension" in panel.ui.statusLabel.text
    assert panel.ui.modelFolderLineEdit.text == str(folder)


def test_the_folder_outlives_the_panel(application, panel, files, folder):
    from LRformerSlicerLib.weights.folder import EXTENSION_FOLDER

    application.close_module()
    second = application.open_module(EXTENSION_FOLDER / "LRformerSlicer.py")
    assert second.ui.modelFolderLineEdit.text == str(folder)


def test_restore_with_medsam_and_without_its_file_says_what_to_do(panel, files, add_ct, scene_state):
    from LRformerSlicerLib.panel.choices import Prior

    panel.ui.inputSelector.setCurrentNode(add_ct())
    panel._parameterNode.prior = Prior.MEDSAM
    before = scene_state()
    panel.ui.restoreButton.click()
    assert not panel.logic.busy and "click Download in Advanced" in panel.ui.statusLabel.text
    assert scene_state() == before


def test_restore_defaults_keeps_the_folder(panel, files, folder):
    panel.ui.restoreDefaultsButton.click()
    assert panel.ui.modelFolderLineEdit.text == str(folder)

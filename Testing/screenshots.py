"""Pictures of the whole window in every way of comparing, into Resources/Screenshots.

    python3 Testing/run.py screenshots

They are made in the project's test host, not in the Slicer application (docs/SLICER_HOST.md): real slice views and
widgets, without Slicer's menus and tool bars.  The scan is the abdominal CT slice that pydicom-data carries, brought to
a quarter of its dose; the weights are the shipped ones, the prior is LiteMedSAM's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURES = REPOSITORY / "Resources" / "Screenshots"
MODULE = REPOSITORY / "LRformerSlicer" / "LRformerSlicer.py"
LONGEST_JOB_S = 600
WINDOW_HU, LEVEL_HU = 400, 40


def main(folder: Path = PICTURES) -> int:
    """Make all pictures; returns the exit status."""
    import SlicerHost

    host = SlicerHost.start()
    import slicer

    window = host.openMainWindow()
    with tempfile.TemporaryDirectory() as temporary:
        low_dose, full_dose = scans(Path(temporary))
        volume, reference = add_volume(low_dose, "Abdomen quarter dose"), add_volume(full_dose, "Abdomen full dose")
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.PropagateVolumeSelection(1)
    panel = host.openModule(MODULE)
    ui = panel.ui
    ui.inputSelector.setCurrentNode(volume)
    ui.referenceSelector.setCurrentNode(reference)
    ui.restoreButton.click()
    deadline = time.monotonic() + LONGEST_JOB_S
    while panel.logic.busy and time.monotonic() < deadline:
        slicer.app.processEvents()
        time.sleep(0.02)
    if panel._parameterNode.restoredVolume is None:
        print(ui.statusLabel.text, file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    overlays = {"prior": 1, "uncertainty": 3}
    for name, button in (
        ("side-by-side", ui.sideBySideButton),
        ("flicker", ui.flickerButton),
        ("swipe", ui.swipeButton),
        ("difference", ui.differenceButton),
    ):
        button.click()
        window.picture(folder / f"panel-{name}.png")
    ui.sideBySideButton.click()
    for name, index in overlays.items():
        ui.overlaySelector.currentIndex = index
        window.picture(folder / f"panel-overlay-{name}.png")
    ui.contourCheckBox.checked = True
    ui.overlaySelector.currentIndex = 1
    ui.thresholdSlider.value = 0.3
    window.picture(folder / "panel-overlay-contour.png")
    host.closeModule(panel)
    print(f"The pictures are in {folder}.")
    return 0


def scans(folder: Path):
    """The scan at a quarter of its dose, and as it was (SimpleITK images in HU)."""
    import SimpleITK as sitk

    from LRformerSlicerLib.evaluation.example_scans import abdomen_ct

    full = folder / "full.nii.gz"
    low = folder / "low.nii.gz"
    sitk.WriteImage(abdomen_ct(), str(full))
    # In a process of its own: Slicer's process, which the host stands for, holds no torch and no projector.
    command = [sys.executable, "-m", "LRformerSlicerLib", "simulate", str(full), str(low), "--dose", "0.25"]
    subprocess.run(command, check=True, cwd=REPOSITORY / "LRformerSlicer")
    return sitk.ReadImage(str(low)), sitk.ReadImage(str(full))


def add_volume(image, name: str):
    """A volume node of the image, shown in the soft-tissue window."""
    import numpy as np
    import SimpleITK as sitk
    import slicer

    from LRformerSlicerLib.scene.volume_output import ijkToRasOfImage

    node = slicer.util.addVolumeFromArray(sitk.GetArrayFromImage(image).astype(np.int16), name=name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRasOfImage(image)))
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevel(WINDOW_HU, LEVEL_HU)
    return node


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "LRformerSlicer"))
    sys.exit(main())

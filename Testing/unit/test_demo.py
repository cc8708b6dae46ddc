"""What the demo shows: the scans that packages carry, the picture, and the whole of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation import demo
from LRformerSlicerLib.evaluation.example_scans import abdomen_ct, packaged_file, template_t1
from LRformerSlicerLib.evaluation.figure import SideBySide, save_side_by_side


def test_the_ct_slice_is_in_hounsfield_units() -> None:
    image = abdomen_ct()
    pixels = sitk.GetArrayViewFromImage(image)[0]
    assert image.GetSize() == (512, 512, 1)
    assert image.GetSpacing()[:2] == pytest.approx((0.859375, 0.859375))
    assert pixels.min() == -1024
    assert 30 < np.median(pixels[(pixels > -100) & (pixels < 300)]) < 150, "soft tissue, with contrast"


def test_the_template_can_be_halved() -> None:
    image = template_t1()
    assert image.GetSize() == (196, 232, 5)
    coarse = demo.coarse_mr().degraded
    assert coarse.GetSize() == (98, 116, 5)
    assert coarse.GetSpacing() == pytest.approx((2.0, 2.0, 1.0))


def test_a_missing_package_or_file_is_named() -> None:
    with pytest.raises(UserError, match="no-such-package"):
        packaged_file("no-such-package", "scan.dcm")
    with pytest.raises(UserError, match="no-such-scan.dcm"):
        packaged_file("pydicom-data", "no-such-scan.dcm")


@pytest.fixture()
def picture() -> SideBySide:
    """A bright square that was darkened, with the prior in its lower right corner."""
    reference = np.zeros((64, 96), dtype=np.float32)
    reference[16:48, 16:80] = 100.0
    prior = np.zeros_like(reference)
    prior[40:60, 70:90] = 0.5
    return SideBySide(
        "A square", reference * 0.5, reference, reference, prior, (0.0, 100.0), "HU", ("before", "after", ""), 1.0
    )


def panels(path: Path) -> list[np.ndarray]:
    """The five columns of the picture's upper half, (H, W, 3) each."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 5
    return [pixels[:height, place * width : (place + 1) * width] for place in range(5)]


def test_the_picture_shows_each_thing_in_its_place(picture: SideBySide, tmp_path: Path) -> None:
    save_side_by_side(picture, tmp_path / "p.png")
    degraded, restored, reference, overlay, difference = panels(tmp_path / "p.png")

    def share(panel: np.ndarray, colour: np.ndarray) -> float:
        return float(np.mean(np.abs(panel - colour).max(axis=2) < 12))

    grey, white = np.full(3, 127), np.full(3, 255)
    assert share(degraded, grey) > 0.1 > share(restored, grey), "the same window: half as bright before as after"
    assert abs(share(restored, white) - share(reference, white)) < 0.02
    coloured = (np.ptp(overlay, axis=2) > 40).mean()
    assert 0.01 < coloured < 0.2, "the prior has colour where it is, and nowhere else"
    red = (difference[..., 0] - difference[..., 2] > 60).mean()
    blue = (difference[..., 2] - difference[..., 0] > 60).mean()
    assert red > 0.1 > blue, "what became brighter is red"


def test_the_view_keeps_the_body_and_leaves_out_the_air() -> None:
    pixels = sitk.GetArrayFromImage(abdomen_ct())[0].astype(np.float32)
    rows, columns = demo.body_view(pixels, "CT")
    seen = pixels[rows, columns]
    assert seen.size < 0.6 * pixels.size
    soft_tissue = (pixels > 0) & (pixels < 200)
    assert soft_tissue[rows, columns].sum() > 0.9 * soft_tissue.sum()


def test_a_folder_that_is_not_there_is_told(picture: SideBySide, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make it first"):
        save_side_by_side(picture, tmp_path / "missing" / "p.png")


def test_tasks_without_weights_are_left_out_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "MODELS_FOLDER", tmp_path / "none")
    said: list[str] = []
    assert demo.run_demo(tmp_path / "out", said.append) == []
    assert [line.split(" come")[0] for line in said[:2]] == ["No weights for ct-denoise", "No weights for mr-sr2"]


def test_the_demo_improves_the_scan_and_writes_everything(tmp_path: Path) -> None:
    folder = tmp_path / "ä folder"
    said: list[str] = []
    reports = demo.run_demo(folder, said.append)

    assert reports[0]["task"] == "ct-denoise", "the denoising weights are shipped"
    # 1.9 and 0.27 dB with the weights that ship.
    for report, name, gain_db in zip(reports, ("ct", "mr"), (1.0, 0.2), strict=True):
        metrics = report["metrics"]
        assert metrics["after"]["psnr_db"] > metrics["before"]["psnr_db"] + gain_db
        assert metrics["after"]["ssim"] > metrics["before"]["ssim"]
        assert f"{metrics['after']['psnr_db']:.2f} dB" in "\n".join(said)
        restored = sitk.ReadImage(str(folder / f"{name}-restored.nii.gz"))
        reference = sitk.ReadImage(str(folder / f"{name}-reference.nii.gz"))
        assert restored.GetSize() == reference.GetSize()
        assert restored.GetPixelID() == reference.GetPixelID()
        assert restored.GetOrigin() == pytest.approx(reference.GetOrigin(), abs=1e-3)
        for kind in ("degraded", "prior", "uncertainty", "difference"):
            assert (folder / f"{name}-{kind}.nii.gz").stat().st_size > 0
        assert Image.open(folder / f"{name}-side-by-side.png").width > 1500
    assert str(folder) in said[-1]

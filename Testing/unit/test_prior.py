"""RLPP with real LiteMedSAM weights on real scans, and with a ViT-B of the true architecture."""

import time

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.prior.backbones import load_backbone
from LRformerSlicerLib.prior.foreground import body_box, body_mask
from LRformerSlicerLib.prior.rlpp import ReliablePriorProducer, pairwise_maps


@pytest.fixture(scope="module")
def lite_medsam():
    return load_backbone("lite-medsam")


def window(slice_hu):
    return np.clip((slice_hu + 160.0) / 400.0, 0.0, 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def head(shared_data):
    """A head CT slice above the skull base: HU, and the box around the body."""
    volume = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_data / "train" / "ct_head_cptac.nii.gz")))
    slice_hu = volume[40].astype(np.float32)
    return slice_hu, body_box(body_mask(slice_hu, "CT"))


@pytest.fixture(scope="module")
def disc():
    """A synthetic slice that needs no data: a bright organ in a body, (1, 96, 80), and its box."""
    y, x = np.mgrid[:96, :80]
    body = ((y - 48) / 40.0) ** 2 + ((x - 40) / 34.0) ** 2 < 1
    organ = ((y - 44) / 14.0) ** 2 + ((x - 34) / 11.0) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 0.03, (96, 80))
    slice_values = np.clip(0.35 * body + 0.4 * organ + noise, 0, 1).astype(np.float32)
    return slice_values[None], np.array([body_box(body)], dtype=np.float32)


@pytest.mark.parametrize("passes", [2, 3, 4, 7])
def test_maps_equal_the_sums_over_pairs(passes):
    masks = torch.rand(passes, 20, 20, generator=torch.Generator().manual_seed(passes)) > 0.4
    consistency, discrepancy = pairwise_maps(masks)
    pairs = [(i, j) for i in range(passes) for j in range(i + 1, passes)]
    plain_c = sum((masks[i] & masks[j]).float() for i, j in pairs) / len(pairs)
    plain_d = sum((masks[i].float() - masks[j].float()).abs() for i, j in pairs) / len(pairs)
    torch.testing.assert_close(consistency, plain_c)
    torch.testing.assert_close(discrepancy, plain_d)


def test_one_pass_has_no_disagreement(lite_medsam, disc):
    maps = ReliablePriorProducer(lite_medsam, samples=1).produce(*disc)
    assert set(np.unique(maps.consistency)) <= {0.0, 1.0}
    assert maps.discrepancy.max() == 0.0


def test_maps_are_on_the_slices_grid_and_in_range(lite_medsam, disc):
    maps = ReliablePriorProducer(lite_medsam).produce(*disc)
    for one in (maps.consistency, maps.discrepancy, maps.prior):
        assert one.shape == disc[0].shape
        assert one.dtype == np.float32
        assert one.min() >= 0.0 and one.max() <= 1.0
    np.testing.assert_array_equal(maps.prior, 0.5 * maps.consistency + 0.5 * maps.discrepancy)
    assert maps.consistency.max() == 1.0, "something is found"


def test_same_seed_same_bytes_whatever_the_batch(lite_medsam, disc):
    slices, boxes = disc
    alone = ReliablePriorProducer(lite_medsam, seed=3).produce(slices, boxes)
    again = ReliablePriorProducer(lite_medsam, seed=3).produce(slices, boxes)
    assert alone.prior.tobytes() == again.prior.tobytes()
    together = ReliablePriorProducer(lite_medsam, seed=3).produce(
        np.concatenate([slices[:, ::-1], slices]), np.concatenate([boxes, boxes])
    )
    # A batched matrix product may round in another order; a pixel on the edge of the mask may then vote otherwise.
    assert np.mean(together.prior[1] != alone.prior[0]) < 1e-3


def test_dropout_is_on_and_depends_on_the_seed(lite_medsam, disc):
    maps = [ReliablePriorProducer(lite_medsam, samples=8, seed=seed).produce(*disc) for seed in (0, 1)]
    assert maps[0].discrepancy.max() > 0.0
    assert maps[0].prior.tobytes() != maps[1].prior.tobytes()


def test_consistency_covers_the_brain(lite_medsam, head):
    slice_hu, box = head
    maps = ReliablePriorProducer(lite_medsam).produce(window(slice_hu)[None], np.array([box]))
    brain = ndimage.binary_opening((slice_hu > 0) & (slice_hu < 80), iterations=3)
    labels, _ = ndimage.label(brain)
    brain = ndimage.binary_fill_holes(labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1)
    sure = maps.consistency[0] > 0.5
    assert 2 * (sure & brain).sum() / (sure.sum() + brain.sum()) >= 0.8


def test_encoder_runs_once_a_slice(lite_medsam, disc):
    calls = []
    handle = lite_medsam._network.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        ReliablePriorProducer(lite_medsam, samples=6).produce(*disc)
    finally:
        handle.remove()
    assert len(calls) == 1


@pytest.fixture(scope="module")
def vit_b_checkpoint(tmp_path_factory):
    """Random weights in the architecture that segment-anything's own registry builds, as medsam_vit_b.pth is."""
    from LRformerSlicerLib.prior.torchvision_guard import ensure_torchvision_imports

    ensure_torchvision_imports()
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("medsam") / "medsam_vit_b.pth"
    torch.save(sam_model_registry["vit_b"]().state_dict(), path)
    return path


def test_vit_b_path(vit_b_checkpoint, disc):
    backbone = load_backbone("medsam", vit_b_checkpoint)
    assert backbone.name == "medsam" and len(backbone.sha256) == 64
    calls = []
    handle = backbone._network.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    maps = ReliablePriorProducer(backbone, samples=3).produce(*disc)
    handle.remove()
    assert len(calls) == 1
    assert maps.prior.shape == disc[0].shape
    assert maps.prior.min() >= 0 and maps.prior.max() <= 1


def test_missing_and_foreign_checkpoints_are_refused(tmp_path):
    with pytest.raises(UserError, match="needs its weights"):
        load_backbone("medsam")
    with pytest.raises(UserError, match="no MedSAM checkpoint at"):
        load_backbone("medsam", tmp_path / "nowhere.pth")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="not a MedSAM ViT-B checkpoint"):
        load_backbone("medsam", tmp_path / "other.pth")
    with pytest.raises(UserError, match="Unknown prior backbone"):
        load_backbone("sam3")


class _Malicious:
    def __reduce__(self):
        return (time.sleep, (0,))


def test_a_checkpoint_cannot_run_code(tmp_path):
    import pickle

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"a": _Malicious()}))
    with pytest.raises(UserError, match="not a MedSAM ViT-B checkpoint"):
        load_backbone("medsam", tmp_path / "evil.pth")


def ellipse(shape, centre, axes):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((y - centre[0]) / axes[0]) ** 2 + ((x - centre[1]) / axes[1]) ** 2 < 1


def test_body_mask_leaves_out_table_and_air_and_keeps_lungs():
    shape = (256, 256)
    body, lung = ellipse(shape, (110, 128), (70, 100)), ellipse(shape, (105, 90), (40, 30))
    table = np.zeros(shape, dtype=bool)
    table[195:198, 30:226] = True
    slice_hu = np.full(shape, -1000.0)
    slice_hu[body], slice_hu[lung], slice_hu[table] = 40.0, -850.0, 100.0
    slice_hu += np.random.default_rng(0).normal(0, 60, shape)
    mask = body_mask(slice_hu, "CT")
    assert not mask[190:].any(), "the table is not the body"
    assert mask[lung].all(), "the lungs are"
    assert 2 * (mask & body).sum() / (mask.sum() + body.sum()) > 0.98
    x0, y0, x1, y1 = body_box(mask)
    np.testing.assert_allclose([x0, y0, x1, y1], [28, 40, 229, 181], atol=4)


def test_mr_head_and_empty_slices():
    shape = (128, 128)
    head = ellipse(shape, (64, 60), (50, 40))
    random = np.random.default_rng(0)
    slice_values = np.hypot(random.normal(300.0 * head, 10), random.normal(0, 10, shape))
    mask = body_mask(slice_values, "MR")
    assert 2 * (mask & head).sum() / (mask.sum() + head.sum()) > 0.97
    for empty in (np.full(shape, -1000.0), np.zeros(shape)):
        assert body_box(body_mask(empty, "CT" if empty[0, 0] < 0 else "MR")) is None

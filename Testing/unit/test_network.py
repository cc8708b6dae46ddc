"""LRformer: sizes, budget, what the prior does, and checkpoints that vouch for themselves."""

import json
import pickle

import pytest
import torch

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.network.architecture_limits import checked_architecture
from LRformerSlicerLib.network.attention import CPU_CHUNK_TOKENS, GuidedFrequencyCrossAttention
from LRformerSlicerLib.network.checkpoint import card_path, load_checkpoint, save_checkpoint
from LRformerSlicerLib.network.lrformer import Block, LRformer, LRformerArchitecture

SMALL = {"channels": 16, "prior_channels": 8, "heads": 2, "groups": 2, "blocks": 2, "window": 8}


def trained_looking(**changes):
    """A small network whose output layer is not zero, so that everything before it shows."""
    torch.manual_seed(0)
    network = LRformerArchitecture(**{**SMALL, **changes}).build().eval()
    torch.nn.init.normal_(network.reconstruction.weight, std=0.05)
    return network


@pytest.mark.parametrize(("scale", "budget"), [(1, 1.31e6), (2, 1.61e6), (4, 1.61e6)])
def test_parameter_budget(scale, budget):
    fold = 2 if scale == 1 else 1
    network = LRformer(LRformerArchitecture(scale=scale, fold=fold))
    assert sum(parameter.numel() for parameter in network.parameters()) <= budget


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("size", [(16, 16), (17, 40), (64, 64), (33, 130)])
@torch.inference_mode()
def test_any_size_comes_out_scaled(levels, scale, size):
    network = trained_looking(levels=levels, scale=scale)
    restored = network(torch.rand(2, 1, *size), torch.rand(2, 2, *size))
    assert restored.shape == (2, 1, scale * size[0], scale * size[1])
    assert torch.isfinite(restored).all()


@pytest.mark.parametrize("levels", [1, 2, 3])
@torch.inference_mode()
def test_new_network_returns_its_input(levels):
    image = torch.rand(1, 1, 40, 50)
    network = LRformerArchitecture(**SMALL, levels=levels).build().eval()
    torch.testing.assert_close(network(image, torch.rand(1, 2, 40, 50)), image)


@pytest.mark.parametrize(("levels", "count"), [(1, 4), (3, 12)])
@torch.inference_mode()
def test_the_prior_reaches_every_block(levels, count):
    """Changing the prior changes the result even where only the last block still listens to it."""
    network = trained_looking(levels=levels)
    image, prior = torch.rand(1, 1, 64, 64), torch.rand(1, 2, 64, 64)
    changed = []
    for block in (part for part in network.modules() if isinstance(part, Block)):
        before = network(image, prior)
        kept = block.attention.key.weight.clone()
        block.attention.key.weight.mul_(-20.0)
        changed.append((network(image, prior) - before).abs().max())
        block.attention.key.weight.copy_(kept)
    assert len(changed) == count and min(changed) > 1e-6
    assert (network(image, torch.zeros_like(prior)) - network(image, prior)).abs().max() > 1e-6


def test_a_pyramid_halves_its_grid_and_widens_level_by_level():
    network = trained_looking(levels=3)
    seen = []
    for block in (part for part in network.modules() if isinstance(part, Block)):
        block.register_forward_hook(lambda block, inputs, output: seen.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        network(torch.rand(1, 1, 64, 64), torch.rand(1, 2, 64, 64))
    fine, half, quarter = (32, 32, 16), (16, 16, 32), (8, 8, 48)
    assert seen == [fine] * 2 + [half] * 2 + [quarter] * 4 + [half] * 2 + [fine] * 2


@torch.inference_mode()
def test_a_wide_window_at_the_foot_sees_from_one_end_of_the_slice_to_the_other():
    """A speck in one corner changes the opposite one, 230 pixels away; with the usual windows it does not."""
    image, prior = torch.zeros(1, 1, 256, 256), torch.zeros(1, 2, 256, 256)
    speck = image.clone()
    speck[..., 4:8, 4:8] = 1.0
    reached = {}
    for foot_window in (0, 32):
        network = trained_looking(levels=3, blocks=1, foot_window=foot_window).double()
        difference = network(speck.double(), prior.double()) - network(image.double(), prior.double())
        reached[foot_window] = float(difference[..., 240:, 240:].abs().max())
        assert network.tile_multiple == (foot_window or 8) * 8
    assert reached[0] == 0.0 < 1e-9 < reached[32]


def test_a_wide_window_at_the_foot_takes_the_same_weights_and_leaves_other_levels_alone():
    usual, wide = (LRformerArchitecture(**SMALL, levels=3, foot_window=foot) for foot in (0, 20))
    wide.build().load_state_dict(usual.build().state_dict())
    assert [wide.window_at(level) for level in range(3)] == [8, 8, 20]
    assert wide.build().tile_multiple == 160, "whole windows at every level: of 16, 32 and 160 pixels"
    assert LRformerArchitecture(**SMALL, foot_window=20).window_at(0) == 8, "one level has no foot"
    tensors = wide.build().state_dict()
    assert checked_architecture(json.dumps(wide.as_dict()), tensors) == wide
    with pytest.raises(ValueError, match="foot_window is out of range"):
        checked_architecture(json.dumps({**wide.as_dict(), "foot_window": 10**6}), tensors)


@torch.inference_mode()
def test_neighbouring_slices_are_used_where_there_is_context():
    network = trained_looking(context=1)
    stack, prior = torch.rand(1, 3, 32, 32), torch.zeros(1, 2, 32, 32)
    other = stack.clone()
    other[:, 0] += 0.1
    assert network(stack, prior).shape == (1, 1, 32, 32)
    assert (network(stack, prior) - network(other, prior)).abs().max() > 1e-6


@torch.inference_mode()
def test_windows_in_chunks_equal_windows_at_once(monkeypatch):
    module = GuidedFrequencyCrossAttention(8, 8, 2).double()
    count = CPU_CHUNK_TOKENS // 64 + 3
    image, prior = torch.randn(2, count, 8, 8, 8, dtype=torch.float64)
    chunked = module(image, module.represent(prior))
    monkeypatch.setattr("LRformerSlicerLib.network.attention.CPU_CHUNK_TOKENS", 1 << 30)
    torch.testing.assert_close(chunked, module(image, module.represent(prior)), rtol=0, atol=1e-12)


@torch.inference_mode()
def test_a_pyramid_comes_back_from_its_checkpoint(tmp_path):
    network = trained_looking(levels=3)
    save_checkpoint(tmp_path / "pyramid.safetensors", network, {"name": "a test", "task": "ct-denoise"})
    again = load_checkpoint(tmp_path / "pyramid.safetensors").network
    image, prior = torch.rand(1, 1, 40, 40), torch.rand(1, 2, 40, 40)
    torch.testing.assert_close(again(image, prior), network(image, prior), rtol=0, atol=0)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "größe und maß" / "ct-denoise.safetensors"
    path.parent.mkdir()
    save_checkpoint(path, trained_looking(), {"name": "a test", "task": "ct-denoise", "note": "ü"})
    return path


@torch.inference_mode()
def test_checkpoint_round_trip(checkpoint):
    loaded = load_checkpoint(checkpoint, "ct-denoise")
    image, prior = torch.rand(1, 1, 32, 32), torch.rand(1, 2, 32, 32)
    torch.testing.assert_close(loaded.network(image, prior), trained_looking()(image, prior), rtol=0, atol=0)
    assert (loaded.task, loaded.scale, loaded.card["note"]) == ("ct-denoise", 1, "ü")
    assert loaded.card["sha256"] == loaded.sha256
    assert not loaded.network.training


def test_missing_file_and_card(checkpoint):
    with pytest.raises(UserError, match="no model file at"):
        load_checkpoint(checkpoint.with_name("nowhere.safetensors"))
    card_path(checkpoint).unlink()
    with pytest.raises(UserError, match="model card .* is missing"):
        load_checkpoint(checkpoint)


def test_truncated_tampered_and_pickled_files(checkpoint):
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="not a complete safetensors file"):
        load_checkpoint(checkpoint)
    checkpoint.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(UserError, match="not the file its model card describes"):
        load_checkpoint(checkpoint)
    checkpoint.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    with pytest.raises(UserError, match="or a pickle"):
        load_checkpoint(checkpoint)


def test_wrong_task_and_unreadable_card(checkpoint):
    with pytest.raises(UserError, match="made for ct-denoise, not for mr-sr2"):
        load_checkpoint(checkpoint, "mr-sr2")
    card_path(checkpoint).write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(checkpoint)


def test_weights_of_another_architecture_are_one_sentence(checkpoint):
    """A card that fits the file but weights that do not fit the architecture it names."""
    from safetensors.torch import load_file, save_file

    from LRformerSlicerLib.hashing import file_sha256

    architecture = json.dumps(LRformerArchitecture(**{**SMALL, "channels": 32}).as_dict())
    save_file(load_file(checkpoint), checkpoint, {"task": "ct-denoise", "architecture": architecture})
    card = json.loads(card_path(checkpoint).read_text(encoding="utf-8"))
    card_path(checkpoint).write_text(json.dumps({**card, "sha256": file_sha256(checkpoint)}), encoding="utf-8")
    with pytest.raises(UserError, match="another version of LRformer") as caught:
        load_checkpoint(checkpoint)
    assert "\n" not in caught.value.message


def test_a_card_needs_a_name_and_a_task(tmp_path):
    with pytest.raises(ValueError, match="task"):
        save_checkpoint(tmp_path / "x.safetensors", trained_looking(), {"name": "x"})

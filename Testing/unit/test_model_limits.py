"""Models from files: what they may ask for is bounded before anything is built."""

from __future__ import annotations

import json
import time

import psutil
import pytest
import torch
from safetensors.torch import save_file

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.hashing import file_sha256
from LRformerSlicerLib.network.architecture_limits import checked_architecture
from LRformerSlicerLib.network.checkpoint import LARGEST_CARD_BYTES, card_path, load_checkpoint
from LRformerSlicerLib.prior.backbones import load_backbone
from LRformerSlicerLib.restoration.expected_error import error_model_of

LONGEST_S = 10


@pytest.fixture
def model(tmp_path, small_network):
    """Writes a checkpoint whose metadata name another architecture; its path."""

    def make(changes: dict | str, card: dict | None = None):
        network = small_network()
        architecture = (
            changes if isinstance(changes, str) else json.dumps({**network.architecture.as_dict(), **changes})
        )
        path = tmp_path / "m.safetensors"
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, str(path), {"task": "ct-denoise", "architecture": architecture})
        card = {"name": "made", "task": "ct-denoise", "sha256": file_sha256(path), **(card or {})}
        card_path(path).write_text(json.dumps(card))
        return path

    return make


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks": 1_000_000},
        {"groups": 1_000_000},
        {"groups": 64, "blocks": 64},
        {"channels": 1_000_000},
        {"channels": 17},
        {"channels": 1024, "prior_channels": 1024},
        {"levels": 1000},
        {"scale": 10**9},
        {"window": -8},
        {"heads": 0},
        {"blocks": "2"},
        {"blocks": True},
        {"blocks": 2.0},
        {"attention": "none"},
        {"colour": 1},
        "[]",
        "null",
        "[" * 9000,
        "x" * 20_000,
    ],
)
def test_an_architecture_out_of_bounds_is_refused_at_once(model, changes):
    path = model(changes)
    started, before = time.perf_counter(), psutil.Process().memory_info().rss
    with pytest.raises(UserError, match="was made by another version of LRformer"):
        load_checkpoint(path)
    assert time.perf_counter() - started < LONGEST_S
    assert psutil.Process().memory_info().rss - before < 256 * 2**20


def test_the_true_architecture_is_built(model, small_network):
    loaded = load_checkpoint(model({}))
    assert loaded.network.architecture == small_network().architecture
    state = small_network().state_dict()
    assert checked_architecture(json.dumps(small_network().architecture.as_dict()), state).blocks == 2


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, "[]", '{"name": 5}', '{"name": "' + "x" * 300 + '"}', "\ud800", " " * (LARGEST_CARD_BYTES + 1)],
)
def test_a_card_that_is_none_is_refused(model, content):
    path = model({})
    card_path(path).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match="model card"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "found",
    [5, [], {"factor": 1.0}, {"factor": "1", "exponents": {}}, {"factor": 0, "exponents": {"change": 1}},
     {"factor": 1.0, "exponents": {"change": 1e300}}, {"factor": 1.0, "exponents": {"colour": 1}},
     {"factor": 1.0, "exponents": ["change"]}, {"factor": float("nan"), "exponents": {"change": 1}}],
)  # fmt: skip
def test_an_expected_error_that_is_none_is_refused(found):
    with pytest.raises(UserError, match="expected error is not one"):
        error_model_of({"expected_error": found or ["nothing"]})


def test_a_medsam_checkpoint_that_unpacks_to_far_more_is_refused(tmp_path):
    import zipfile

    torch.save({"a": torch.zeros(4_000_000)}, tmp_path / "whole.pth")
    with (
        zipfile.ZipFile(tmp_path / "whole.pth") as whole,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for member in whole.infolist():
            bomb.writestr(member.filename, whole.read(member))
    with pytest.raises(UserError, match="is not a MedSAM ViT-B checkpoint"):
        load_backbone("medsam", tmp_path / "bomb.pth")

"""lrformer average: between two models of one training."""

import json

import pytest
import torch

from LRformerSlicerLib.__main__ import main
from LRformerSlicerLib.network.checkpoint import card_path, load_checkpoint, save_checkpoint


@pytest.fixture
def models(tmp_path, small_network):
    """Two models of one task and architecture."""
    files = [tmp_path / "late.safetensors", tmp_path / "early.safetensors"]
    for seed, file in enumerate(files):
        card = {
            "name": "small",
            "task": "ct-denoise",
            "scores": {},
            "expected_error": {},
            "validation": {},
            "limits": ["few"],
        }
        save_checkpoint(file, small_network(1, seed=seed), card)
    return files


def test_the_mean_of_the_weights_and_a_card_that_says_of_which(models, tmp_path):
    out = tmp_path / "mean.safetensors"
    assert main(["average", *map(str, models), str(out), "--share", "0.75"]) == 0
    late, early, mean = (load_checkpoint(file) for file in (*models, out))
    states = [one.network.state_dict() for one in (late, early, mean)]
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])
    for name, tensor in states[2].items():
        torch.testing.assert_close(tensor, 0.75 * states[0][name] + 0.25 * states[1][name])
    card = json.loads(card_path(out).read_text())
    assert card["averaged"] == [{"sha256": late.sha256, "share": 0.75}, {"sha256": early.sha256, "share": 0.25}]
    assert card["limits"] == ["few"] and not {"scores", "expected_error", "validation"} & card.keys()


def test_what_cannot_be_averaged_is_one_sentence(models, tmp_path, small_network, capsys):
    out = tmp_path / "mean.safetensors"
    coarse, folder = tmp_path / "coarse.safetensors", tmp_path / "folder.safetensors"
    folder.mkdir()
    save_checkpoint(coarse, small_network(2), {"name": "small", "task": "mr-sr2"})
    for arguments, telling in (
        ([*models, out, "--share", "1"], "above 0 and below 1"),
        ([models[0], coarse, out], "one task and architecture"),
        ([models[0], tmp_path / "none.safetensors", out], "no model file"),
        ([*models, tmp_path / "mean.pt"], "end OUT in .safetensors"),
        ([*models, models[1]], "is one of the models"),
        ([*models, folder], "cannot be written"),
    ):
        assert main(["average", *map(str, arguments)]) == 2
        sentence = capsys.readouterr().err
        assert telling in sentence and sentence.count("\n") == 1
    assert not out.exists() and load_checkpoint(models[1]).card["scores"] == {}, "nothing was written over"

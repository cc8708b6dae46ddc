"""The benchmark's part on slices of context, on a few synthetic scans."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from LRformerSlicerLib.evaluation.benchmark import context_rows
from LRformerSlicerLib.evaluation.benchmark.context_rows import HELD_OUT_SCAN, evaluate_context
from LRformerSlicerLib.evaluation.benchmark.quality_tables import context_lines
from LRformerSlicerLib.evaluation.benchmark.same_budget import BudgetRow, train_and_judge
from LRformerSlicerLib.network.lrformer import LRformerArchitecture
from LRformerSlicerLib.training.pair_cache import fill_pair_cache, folder_jobs
from LRformerSlicerLib.training.patches import load_pairs
from LRformerSlicerLib.training.task_choice import training_task

SMALL = LRformerArchitecture(channels=12, prior_channels=12, groups=1, blocks=1, window=8)


def write_body(path, slices):
    y, x = np.mgrid[:96, :96]
    volume = np.full((slices, 96, 96), -1000.0)
    volume[:, ((y - 48) / 34) ** 2 + ((x - 48) / 42) ** 2 < 1] = 40.0
    volume[:, ((y - 40) / 9) ** 2 + ((x - 50) / 12) ** 2 < 1] = 110.0
    image = sitk.GetImageFromArray(volume.astype(np.int16))
    image.SetSpacing((5.0, 5.0, 5.0))
    path.parent.mkdir(exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    data, work = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("work")
    write_body(data / "train" / f"{HELD_OUT_SCAN}.nii.gz", 12)
    write_body(data / "train" / "ct_abdomen_one.nii.gz", 3)
    write_body(data / "test" / "ct_chest_nysbu_one.nii.gz", 1)
    task = training_task("ct-denoise", 1)
    training, _ = load_pairs(fill_pair_cache(folder_jobs(task, data / "train", work / "pairs", 1), 2), task)
    rows = [BudgetRow("alone", SMALL), BudgetRow("with", LRformerArchitecture(**{**SMALL.as_dict(), "context": 1}))]
    torch.set_num_threads(1)
    withheld = []

    def watched(row, pairs, slices, folder, budget_seconds, device, further):
        withheld.extend(further["neighbours withheld"])
        assert all(one.pair.degraded_neighbours is not None for one in slices)
        return train_and_judge(row, pairs, slices, folder, budget_seconds, device, further)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context_rows, "context_rows", lambda _: rows)
        patch.setattr(context_rows, "train_and_judge", watched)
        found = evaluate_context(data, training, work / "judged", work, 4.0, torch.device("cpu"))
    assert len(withheld) == 2 and all(one.pair.degraded_neighbours is None for one in withheld)
    return found


def test_the_held_out_scan_is_judged_and_not_trained_on(result):
    assert result["training_pairs"] == 3 and result["with_neighbours"] == 1
    # Of four thick slices the two inner ones have neighbours, and of these every third is judged.
    assert result["judged"] == [f"{HELD_OUT_SCAN}-006-0"]


def test_neighbours_are_withheld_from_the_same_weights(result):
    alone, beside, withheld = result["rows"]
    assert [row["name"] for row in result["rows"]] == ["alone", "with", "the same, neighbours withheld"]
    assert all("further" not in row for row in result["rows"])
    assert withheld["steps"] == beside["steps"] and withheld["parameters"] == beside["parameters"]
    assert beside["parameters"] > alone["parameters"]


def test_the_table_has_a_row_for_each_network(result):
    lines = list(context_lines(result, "pictures"))
    assert sum(line.startswith(("| alone |", "| with |", "| the same, neighbours withheld |")) for line in lines) == 3
    assert HELD_OUT_SCAN in lines[0] and "judged on 1 slices" in lines[0]


def test_the_rows_differ_in_seed_or_neighbours_alone():
    first, seed, beside = context_rows.context_rows(training_task("ct-denoise").architecture)
    assert [row.architecture.context for row in (first, seed, beside)] == [0, 0, 1]
    assert [row.seed for row in (first, seed, beside)] == [0, 1, 0]

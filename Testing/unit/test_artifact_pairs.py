"""What the training of mr-artifact learns from: slices as the engine hands them over, with noise of their own."""

import numpy as np
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.degradation.mr.ghosting import Pulsation, pulsating
from LRformerSlicerLib.degradation.mr.kspace import to_image, to_kspace
from LRformerSlicerLib.training.mr_artifacts import ArtifactTask
from LRformerSlicerLib.training.pair_cache import fill_pair_cache, folder_jobs
from LRformerSlicerLib.training.patches import Pair, PatchSampler, load_pairs
from unit.kspace_phantom import sharp_head

TASK = ArtifactTask()


def test_the_network_learns_from_slices_without_what_k_space_tells():
    clean = sharp_head()
    ghosted = np.abs(to_image(pulsating(to_kspace(clean), Pulsation(0.3, 4.3, 0.4)))).astype(np.float32)
    left = np.abs(TASK.mended(ghosted) - clean)[clean > 100].mean()
    assert left < 0.3 * np.abs(ghosted - clean)[clean > 100].mean()


def test_further_realisations_have_the_prior_of_the_first(tmp_path):
    volume = np.stack([sharp_head(seed=seed) for seed in range(2)]).astype(np.int16)
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(image, str(tmp_path / "mr_flair_one.nii.gz"))
    jobs = folder_jobs(TASK, tmp_path, tmp_path / "pairs", 2)
    training, _ = load_pairs(fill_pair_cache(jobs, 1), TASK)
    assert [pair.name[-1] for pair in training] == ["0", "1", "0", "1"]
    for first, further in (training[:2], training[2:]):
        assert first.prior.max() > 0
        np.testing.assert_array_equal(first.prior, further.prior)
        assert np.abs(first.degraded.astype(int) - further.degraded).max() > 0
        # No signal is less than the darkest tissue, which the network's zero stands for.
        assert first.dark < 0


@pytest.mark.parametrize("magnitude", [0.0, 0.8])
def test_patches_get_noise_as_magnitudes_have_it(magnitude):
    """In air Rayleigh's mean, sd sqrt(pi / 2); in tissue the mean stays and the SD is that of one channel."""
    unit, dark = TASK.stored.unit, -800.0
    stored = np.full((128, 128), round(dark + magnitude * unit), dtype=np.int16)
    pair = Pair("one", stored, stored, np.zeros((2, 128, 128), dtype=np.uint8), np.ones((128, 128), dtype=bool), dark)
    degraded, clean, _ = PatchSampler(TASK, [pair], 128, 200, 0.0, 4).batch(0)
    noise = (degraded - clean)[:, 0].numpy().reshape(200, -1)
    noisy = noise[np.abs(noise).max(axis=1) > 0]
    assert len(noisy) / 200 == pytest.approx(TASK.augmentation.fresh_noise_share, abs=0.1)
    highest = TASK.augmentation.fresh_noise_range[1]
    if magnitude:
        assert noisy.std(axis=1).max() == pytest.approx(highest, rel=0.05)
        assert np.abs(noisy.mean(axis=1)).max() < 0.1 * highest
    else:
        assert noisy.mean(axis=1).max() == pytest.approx(highest * np.sqrt(np.pi / 2), rel=0.05)
        np.testing.assert_allclose(
            noisy.std(axis=1) / noisy.mean(axis=1), np.sqrt((2 - np.pi / 2) / (np.pi / 2)), rtol=0.05
        )

"""ct-denoise judged without bias, by methods of which it is known how well they do."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.evaluation.benchmark.noise_pictures import NoisePictures
from LRformerSlicerLib.evaluation.benchmark.unbiased_tables import noise_as_it_is_lines, unbiased_lines
from LRformerSlicerLib.evaluation.classical_denoisers import gaussian
from LRformerSlicerLib.evaluation.noise_as_it_is import evaluate_noise_as_it_is, flat_places, flat_sd
from LRformerSlicerLib.evaluation.quality import OURS
from LRformerSlicerLib.evaluation.unbiased_ct import (
    best_by_risk,
    evaluate_neighbours,
    evaluate_recorrupted,
    recorrupted_slice,
    tuning_slices,
)
from LRformerSlicerLib.network.checkpoint import save_checkpoint
from LRformerSlicerLib.restoration.options import RestorationOptions

NOISE_SD = 20.0


def clean_slice(seed):
    """A body of 60 HU with soft organs in air, (192, 192) HU."""
    y, x = np.mgrid[:192, :192]
    pixels = np.where(np.hypot((y - 96) / 0.8, x - 96) < 88, 60.0, -1000.0)
    pixels[np.hypot(y - 90, x - 70 - seed) < 18] = 110.0
    pixels[np.hypot(y - 110, x - 130) < 12] = 20.0
    return ndimage.gaussian_filter(pixels, 1.0)


def noisy(clean, seed):
    return (clean + NOISE_SD * np.random.default_rng(seed).standard_normal(clean.shape)).astype(np.float32)


def write(path, *slices):
    image = sitk.GetImageFromArray(np.rint(np.stack(slices)).astype(np.int16))
    image.SetSpacing((0.8, 0.8, 1.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of train/, test/ and test_only/ with white noise of 20 HU."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("train", "test", "test_only"):
        (folder / name).mkdir()
    write(folder / "train" / "ct_chest_nysbu_A1.nii.gz", noisy(clean_slice(1), 1))
    write(folder / "test" / "ct_chest_siim_B1.nii.gz", noisy(clean_slice(2), 2))
    write(folder / "test" / "ct_liver_dcmqi.nii.gz", *(noisy(clean_slice(3), seed) for seed in (3, 4, 5)))
    write(folder / "test_only" / "ct_head_c.nii.gz", noisy(clean_slice(4), 6))
    return folder


@pytest.fixture
def options(small_network, tmp_path):
    """A network that changes nothing."""
    network = small_network(change=0.0)
    save_checkpoint(tmp_path / "idle.safetensors", network, {"name": "idle", "task": "ct-denoise"})
    return RestorationOptions(task="ct-denoise", model=tmp_path / "idle.safetensors", prior="none", device="cpu")


def test_the_risk_tells_the_error_against_the_clean_slice():
    clean = clean_slice(0)
    one = recorrupted_slice("one", noisy(clean, 7), None, seed=0)
    assert np.sqrt(one.reference_variance / 2) == pytest.approx(NOISE_SD, rel=0.08)
    for made in (one.given, ndimage.gaussian_filter(one.given, 1.0), clean):
        true = np.square(made - clean)[one.counted].mean()
        assert one.risk(made) - one.reference_variance == pytest.approx(true, abs=0.15 * NOISE_SD**2)


def test_the_biased_reference_rewards_noise_and_this_one_does_not():
    """Half of the noise taken away and all of it: against the scan itself the half is better."""
    clean = clean_slice(0)
    scan = noisy(clean, 8)
    one = recorrupted_slice("one", scan, None, seed=1)
    half = (clean + one.given) / 2
    biased = [np.square(made - scan)[one.counted].mean() for made in (half, clean)]
    assert biased[0] < biased[1] and one.risk(half) > one.risk(clean)


def test_what_is_counted_does_not_depend_on_the_reference():
    scan = noisy(clean_slice(0), 9)
    one = recorrupted_slice("one", scan, None, seed=2)
    assert 0.2 < one.counted.mean() < 0.7
    noise = (one.reference - clean_slice(0))[one.counted]
    assert abs(noise.mean()) < 1.0


def test_filters_are_set_by_their_risk(data):
    best = best_by_risk([gaussian(0.4), gaussian(1.5), gaussian(6.0)], tuning_slices(data / "train"))
    assert [one.setting for one in best] == ["sigma 1.5 px"]


def test_every_scan_of_both_test_folders_is_judged(data, options):
    found = evaluate_recorrupted(data, options, lambda: [gaussian(0.6), gaussian(1.5)], slices_a_scan=1)
    names = [row["name"] for row in found["slices"]]
    assert names == ["ct_chest_siim_B1-000", "ct_liver_dcmqi-001", "ct_head_c-000"]
    for row in found["slices"]:
        assert row["error"][OURS] == pytest.approx(row["error"]["input"], abs=0.5), "an idle network, rounded to HU"
        assert row["error"]["input"] == pytest.approx(np.sqrt(2) * NOISE_SD, rel=0.15)
        assert row["error"]["Gaussian"] < 0.5 * row["error"]["input"]
    assert found["gain_db"]["Gaussian"] < -6 and abs(found["gain_db"]["input"]) < 0.2
    low, high = found["gain_interval_db"]["Gaussian"]
    assert low <= found["gain_db"]["Gaussian"] <= high
    assert found["settings"] == {"Gaussian": "sigma 1.5 px"}


def test_neighbours_are_the_reference_of_a_thin_slice(data, options):
    found = evaluate_neighbours(data, options, [gaussian(1.5)], doses=(1.0,))
    row = found["doses"]["1"]
    assert row["input"] == pytest.approx(NOISE_SD * np.sqrt(1.5), rel=0.1), "own noise and that of a mean of two"
    assert row["Gaussian"] < 0.75 * row["input"] and row[OURS] == pytest.approx(row["input"], abs=0.5)
    assert evaluate_neighbours(data / "train", options, []) is None


def test_noise_as_it_is_counts_what_goes(data, options):
    shown = []
    found = evaluate_noise_as_it_is(data, options, lambda *one: shown.append(one[0]))
    assert shown == [row["name"] for row in found["slices"]] and len(shown) == 3
    assert found["mean_reduction"] == pytest.approx(0.0, abs=0.02)
    for row in found["slices"]:
        assert 0.8 * NOISE_SD < row["before"] < NOISE_SD


def test_the_flat_sd_is_that_of_the_flattest_places():
    clean = clean_slice(0)
    scan, body = noisy(clean, 10), clean > -500
    places = flat_places(scan, body)
    assert places[96, 130] and not places[5, 5]
    whole = flat_sd(scan, places)
    assert flat_sd(clean + (scan - clean) / 4, places) == pytest.approx(whole / 4, rel=0.1)


def test_the_document_says_it(data, options):
    found = evaluate_recorrupted(data, options, lambda: [gaussian(1.5)], slices_a_scan=1)
    text = "\n".join(unbiased_lines({**found, "neighbours": evaluate_neighbours(data, options, [gaussian(1.5)])}, ""))
    assert "ct_head_c-000" in text and "sigma 1.5 px" in text and "| 0.25 |" in text
    assert "\n".join(unbiased_lines({**found, "neighbours": None}, "")).count("| dose |") == 0
    text = "\n".join(noise_as_it_is_lines(evaluate_noise_as_it_is(data, options), ""))
    assert text.count("| ct_") == 3 and "Mean over slices" in text


def test_a_picture_of_the_scans_that_are_to_be_shown(tmp_path):
    pictures = NoisePictures(tmp_path)
    scan = noisy(clean_slice(0), 11)
    for name in ("ct_liver_dcmqi-001", "ct_some_other-000"):
        pictures.add(name, scan, ndimage.gaussian_filter(scan, 1.0))
    assert pictures.names == ["noise-ct_liver_dcmqi.png"] and (tmp_path / pictures.names[0]).stat().st_size > 10_000


def test_folders_without_scans_are_refused(tmp_path, options):
    (tmp_path / "test").mkdir()
    for evaluate in (evaluate_recorrupted, evaluate_noise_as_it_is):
        with pytest.raises(UserError, match="no ct_"):
            evaluate(tmp_path, options)
    with pytest.raises(UserError, match="to set filters on"):
        tuning_slices(tmp_path)

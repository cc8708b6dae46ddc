"""NIfTI: where a volume lies by both of its forms, what ITK hides or refuses, and that a result has all of it."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.simulation import degrade_mr
from LRformerSlicerLib.restoration.volume_io import read_volume, write_volume

SHAPE = (40, 36, 5)
PLAIN = ("--prior", "none", "--device", "cpu", "--progress", "none")


def voxels(shape=SHAPE, dtype=np.int16) -> np.ndarray:
    i, j = np.mgrid[: shape[0], : shape[1]]
    head = 500.0 * (((i - shape[0] / 2) / 16) ** 2 + ((j - shape[1] / 2) / 14) ** 2 < 1)
    noise = np.random.default_rng(4).normal(0, 12, (2, *shape))
    return np.rint(np.hypot(head[..., None] + noise[0], noise[1])).astype(dtype)


def turned(degrees: float, axis: int = 2) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.eye(3)
    turn[np.ix_(others := [k for k in range(3) if k != axis], others)] = [[c, -s], [s, c]]
    return turn


def affine(turn=None, steps=(-0.9, -0.9, 4.0), origin=(17.0, 15.0, -30.0)) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(steps)
    matrix[:3, 3] = origin
    return matrix


def save(path, qform, qcode, sform, scode, array=None, units="mm"):
    image = nibabel.Nifti1Image(voxels() if array is None else array, None)
    image.header.set_xyzt_units(units)
    image.set_qform(qform, qcode)
    image.set_sform(sform, scode)
    nibabel.save(image, path)
    return path


SCANNER = affine()
FORMS = {
    "shifted": (SCANNER, 1, affine(origin=(27.0, 10.0, -27.0)), 2),
    "template": (SCANNER, 1, affine(turned(8, 0), origin=(3.0, 4.0, 5.0)), 4),
    "sform alone": (SCANNER, 0, affine(turned(10)), 2),
    "qform alone": (affine(turned(10)), 1, SCANNER, 0),
    "mirrored": (affine(steps=(0.9, -0.9, 4.0)), 1, affine(steps=(0.9, -0.9, 4.0), origin=(1.0, 2.0, 3.0)), 2),
    "half a turn": (affine(turned(180, 1) @ turned(90, 0)), 1, affine(turned(180, 1) @ turned(90, 0)), 1),
    "none": (SCANNER, 0, SCANNER, 0),
}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".img"])
@pytest.mark.parametrize("name", FORMS)
def test_a_result_on_the_same_grid_has_both_forms_and_their_codes(lrformer, tmp_path, checkpoints, name, suffix):
    source = save(tmp_path / f"in{suffix}", *FORMS[name])
    out = tmp_path / f"out{suffix}"
    maps = ("--difference-out", tmp_path / "difference.nii.gz")
    code, _, complaint = lrformer("restore", source, out, *PLAIN, *maps, "--model", checkpoints["mr-artifact"])
    assert code == 0, complaint
    before = nibabel.load(source)
    for path in (out, tmp_path / "difference.nii.gz"):
        after = nibabel.load(path)
        for field in ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x", "xyzt_units"):
            assert np.array_equal(after.header[field], before.header[field]), field
        assert np.array_equal(after.header["pixdim"][:4], before.header["pixdim"][:4])
        assert np.array_equal(after.affine, before.affine) and after.shape == before.shape
    assert ("two positions" in complaint) == (name in ("shifted", "template", "mirrored"))


def outer_corners(matrix: np.ndarray, shape) -> np.ndarray:
    ends = [[-0.5 if bit >> axis & 1 else shape[axis] - 0.5 for axis in range(3)] for bit in range(8)]
    return nibabel.affines.apply_affine(matrix, ends)


@pytest.mark.parametrize("name", FORMS)
def test_super_resolution_moves_both_forms_alike(lrformer, tmp_path, checkpoints, name):
    source = save(tmp_path / "in.nii.gz", *FORMS[name])
    out = tmp_path / "out.nii.gz"
    code, _, complaint = lrformer(
        *("restore", source, out, *PLAIN, "--task", "mr-sr2", "--model", checkpoints["mr-sr2"])
    )
    assert code == 0, complaint
    before, after = nibabel.load(source), nibabel.load(out)
    assert after.shape == (80, 72, 5)
    assert np.allclose(after.header.get_zooms(), (0.45, 0.45, 4.0))
    for form in ("get_qform", "get_sform"):
        (old, old_code), (new, new_code) = (getattr(one.header, form)(coded=True) for one in (before, after))
        assert old_code == new_code
        if old is not None:
            assert np.allclose(outer_corners(new, after.shape), outer_corners(old, before.shape), atol=1e-4)


@pytest.mark.parametrize("shear", [0.0005, 0.02, 0.2])
@pytest.mark.parametrize("axis", [0, 2])
def test_a_sheared_sform_is_restored_on_its_grid_and_kept(lrformer, tmp_path, checkpoints, shear, axis):
    sform = affine()
    sform[1, axis] += shear * abs(sform[axis, axis])
    source = save(tmp_path / "in.nii.gz", SCANNER, 0, sform, 2)
    for suffix in ("nii.gz", "nrrd", "mha"):
        out = tmp_path / f"out.{suffix}"
        code, _, complaint = lrformer("restore", source, out, *PLAIN, "--model", checkpoints["mr-artifact"])
        assert code == 0, complaint
        if suffix == "nii.gz":
            assert np.array_equal(nibabel.load(out).get_sform(), nibabel.load(source).get_sform())
        back = read_volume(out)
        for index in ((0, 0, 0), (39, 35, 4), (39, 0, 0), (0, 35, 0), (0, 0, 4)):
            place = np.array(back.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
            assert np.allclose(place, nibabel.affines.apply_affine(sform, index), atol=1e-4)


@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    steps=st.tuples(*[st.floats(0.2, 6.0)] * 3),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
)
@settings(max_examples=60, deadline=None)
def test_any_position_is_read_as_nibabel_reads_it_and_written_back(
    tmp_path_factory, angles, steps, signs, origin, codes
):
    folder = tmp_path_factory.mktemp("position")
    turn = turned(angles[0], 0) @ turned(angles[1], 1) @ turned(angles[2], 2)
    first = affine(turn, np.array(steps) * signs, origin)
    second = affine(turn @ turned(5), np.array(steps) * signs, np.array(origin) + 3)
    path = save(folder / "a.nii", first, codes[0], second, codes[1], voxels((18, 17, 2)))
    image, truth = read_volume(path), nibabel.load(path)
    for index in ((0, 0, 0), (17, 16, 1), (17, 0, 0), (0, 16, 1)):
        place = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        assert np.allclose(place, nibabel.affines.apply_affine(truth.affine, index), atol=1e-3)
    write_volume(image, folder / "b.nii")
    back = nibabel.load(folder / "b.nii")
    assert np.array_equal(back.affine, truth.affine) and np.array_equal(back.get_fdata(), truth.get_fdata())


@pytest.mark.parametrize(("units", "factor"), [("meter", 1000.0), ("micron", 0.001), ("unknown", 1.0)])
def test_units_of_space_are_heeded(tmp_path, units, factor):
    path = save(tmp_path / "a.nii", affine() / [[factor], [factor], [factor], [1]], 1, SCANNER, 0, units=units)
    image = read_volume(path)
    assert np.allclose(image.GetSpacing(), (0.9, 0.9, 4.0), rtol=1e-5)
    assert np.allclose(image.GetOrigin(), (-17.0, -15.0, -30.0), atol=1e-3)


def test_scaled_integers_and_analyze_are_read(tmp_path):
    image = nibabel.Nifti1Image(voxels().astype(np.float32) * 0.5 - 3, SCANNER)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "scaled.nii")
    truth = nibabel.load(tmp_path / "scaled.nii")
    back = read_volume(tmp_path / "scaled.nii")
    assert back.GetPixelID() == sitk.sitkFloat32
    assert np.allclose(sitk.GetArrayFromImage(back).T, truth.get_fdata(), atol=1e-3)
    nibabel.save(nibabel.Spm99AnalyzeImage(voxels(), SCANNER), tmp_path / "old.img")
    back = read_volume(tmp_path / "old.hdr")
    assert np.array_equal(sitk.GetArrayFromImage(back).T, voxels()) and np.allclose(back.GetSpacing(), (0.9, 0.9, 4.0))


def test_two_dimensions_time_and_colour(tmp_path):
    nibabel.save(nibabel.Nifti1Image(voxels()[:, :, 0], SCANNER), tmp_path / "flat.nii")
    assert read_volume(tmp_path / "flat.nii").GetDimension() == 2
    nibabel.save(nibabel.Nifti1Image(voxels()[..., None], SCANNER), tmp_path / "one.nii")
    assert read_volume(tmp_path / "one.nii").GetSize() == SHAPE
    nibabel.save(nibabel.Nifti1Image(np.stack([voxels()] * 3, -1), SCANNER), tmp_path / "time.nii")
    assert read_volume(tmp_path / "time.nii").GetDimension() == 4
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colour, SCANNER), tmp_path / "colour.nii")
    assert read_volume(tmp_path / "colour.nii").GetNumberOfComponentsPerPixel() == 3
    vectors = np.zeros((*SHAPE, 1, 3), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(vectors, SCANNER), tmp_path / "vectors.nii")
    assert read_volume(tmp_path / "vectors.nii").GetNumberOfComponentsPerPixel() == 3


def test_a_position_that_is_none_is_refused(tmp_path):
    flat = affine()
    flat[:3, 2] = flat[:3, 1]
    with pytest.raises(UserError, match="no place to the voxels"):
        read_volume(save(tmp_path / "a.nii", SCANNER, 0, flat, 1))


def test_simulated_volumes_have_both_forms_too(tmp_path):
    path = save(tmp_path / "a.nii", *FORMS["shifted"])
    before = nibabel.load(path)
    for name, options in {"coarse": {"factor": 2}, "thick": {"thickness": 5}}.items():
        write_volume(degrade_mr(read_volume(path), **options), tmp_path / f"{name}.nii")
        after = nibabel.load(tmp_path / f"{name}.nii")
        for form in ("get_qform", "get_sform"):
            (old, _), (new, _) = (getattr(one.header, form)(coded=True) for one in (before, after))
            assert np.allclose(outer_corners(new, after.shape), outer_corners(old, before.shape), atol=1e-3)


def test_equal_volumes_make_equal_files(tmp_path, ct_image):
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name[0]).mkdir()
        write_volume(ct_image, tmp_path / name[0] / "scan.nii.gz")
    assert (tmp_path / "a" / "scan.nii.gz").read_bytes() == (tmp_path / "b" / "scan.nii.gz").read_bytes()


def test_other_formats_get_no_key_of_ours(tmp_path):
    image = read_volume(save(tmp_path / "a.nii", *FORMS["shifted"]))
    write_volume(image, tmp_path / "a.nrrd")
    assert b"NIfTI position" not in (tmp_path / "a.nrrd").read_bytes()
    write_volume(image, tmp_path / "b.nii")
    assert nibabel.load(tmp_path / "b.nii").header["sform_code"] == 2

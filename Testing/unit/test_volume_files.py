"""Damaged and hostile volume files: refused in one sentence before ITK sees them, and no voxel is ever made up."""

from __future__ import annotations

import gzip
import os
import re
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk

from LRformerSlicerLib.errors import UserError
from LRformerSlicerLib.restoration.volume_io import read_volume, write_volume

NAMES = ("a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.nii", "a.nii.gz", "a.hdr", "a.img.gz")
LONGEST_S = 5
META = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = 16 16 2
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""
NRRD = """NRRD0004
type: short
dimension: 3
space: left-posterior-superior
sizes: 16 16 2
space directions: (1,0,0) (0,1,0) (0,0,1)
endian: little
encoding: raw
space origin: (0,0,0)

"""
VOXELS = np.arange(512, dtype=np.int16)


@pytest.fixture
def image() -> sitk.Image:
    return sitk.GetImageFromArray(VOXELS.reshape(2, 16, 16))


@pytest.fixture
def refused(tmp_path):
    """Asserts that a file is refused in one sentence, at once and with little memory."""

    def check(path: Path, words: str = "or it is damaged") -> None:
        started, before = time.perf_counter(), psutil.Process().memory_info().rss
        with pytest.raises(UserError, match=words) as found:
            read_volume(path)
        assert found.value.message.endswith(".") and "\n" not in found.value.message
        assert time.perf_counter() - started < LONGEST_S
        assert psutil.Process().memory_info().rss - before < 64 * 2**20

    return check


def largest_part(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.5, 0.9, -1])
def test_a_file_cut_short_is_refused(tmp_path, refused, name, kept):
    noise = np.random.default_rng(0).integers(-1000, 1000, (4, 32, 32)).astype(np.int16)
    write_volume(sitk.GetImageFromArray(noise), tmp_path / name)
    part = largest_part(tmp_path)
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] if kept < 0 else whole[: int(kept * len(whole))])
    refused(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr", "a.nii.gz"])
def test_damaged_compression_is_refused(tmp_path, refused, name):
    noise = np.random.default_rng(0).integers(-1000, 1000, (4, 64, 64)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(tmp_path / name), useCompression=True)
    part = largest_part(tmp_path)
    content = bytearray(part.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 40):
        content[place] ^= 0xFF
    part.write_bytes(bytes(content))
    refused(tmp_path / name)


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_a_header_that_lets_itk_stop_within_the_compressed_voxels(tmp_path, refused, image, name, share):
    sitk.WriteImage(image, str(tmp_path / name), useCompression=True)
    content = (tmp_path / name).read_bytes()
    size = re.search(rb"CompressedDataSize = (\d+)", content)[1]
    (tmp_path / name).write_bytes(content.replace(b"= " + size, b"= " + str(int(share * int(size))).encode()))
    refused(tmp_path / name, "cut short" if share else "CompressedDataSize is not a number from 1")


@pytest.mark.parametrize("name", ["a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
def test_compressed_volumes_come_back(tmp_path, image, name):
    sitk.WriteImage(image, str(tmp_path / name), useCompression=True)
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)), VOXELS.reshape(2, 16, 16))


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("NDims = 3", "NDims = 1000000"),
        ("NDims = 3", "NDims = -3"),
        ("NDims = 3", "NDims = 3\nNDims = 3"),
        ("NDims = 3", "a: NDims = 1000000\nNDims = 3"),
        ("DimSize = 16 16 2", "DimSize = 16 16"),
        ("DimSize = 16 16 2", "DimSize = 16 16 2 2"),
        ("DimSize = 16 16 2", "DimSize = 16 16 -2"),
        ("DimSize = 16 16 2", "DimSize = 65536 65536 65536"),
        ("DimSize = 16 16 2", "DimSize = 99999999999999999999 1 1"),
        ("Offset = 0 0 0", "Offset = 0 0 " + "0 " * 5000),
        ("Offset = 0 0 0", "Offset = 0 nan 0"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 1e-5 1e-5 1"),
        ("ElementSpacing = 1 1 1", "ElementSpacing = 0 1 1"),
        ("TransformMatrix = 1 0 0 0 1 0 0 0 1", "TransformMatrix = 1 0 0 0 1 0 0 0"),
        ("MET_SHORT", "MET_STRING"),
        ("MET_SHORT", "MET_SHORT_ARRAY"),
        ("BinaryData = True", "BinaryData = False"),
        ("BinaryData = True", "BinaryData = True\nHeaderSize = 4000000000"),
        ("BinaryData = True", "Comment = " + "x" * 100_000),
        ("BinaryData = True", "BinaryData = True\nColor = 1 2"),
        ("ObjectType = Image", "ObjectType = Tube"),
        ("ElementDataFile = LOCAL", "ElementDataFile = LIST\na.raw"),
        ("ElementDataFile = LOCAL", "ElementDataFile = %s%n 1 3 1"),
        ("ElementDataFile = LOCAL", "ElementDataFile = "),
        ("CompressedData = False", "CompressedData = True\nCompressedDataSize = 100000000000000"),
    ],
)
def test_hostile_meta_images(tmp_path, refused, line, instead):
    (tmp_path / "a.mha").write_bytes(META.encode() + VOXELS.tobytes())
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "a.mha")).ravel(), VOXELS)
    (tmp_path / "a.mha").write_bytes(META.replace(line, instead).encode() + VOXELS.tobytes())
    refused(tmp_path / "a.mha", "mm large" if "1e-5" in instead else "or it is damaged")


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("dimension: 3", "dimension: 1000000"),
        ("dimension: 3", "dimension: -3"),
        ("dimension: 3", "dimension: 3\ndimension: 3"),
        ("sizes: 16 16 2", "sizes: 16 16"),
        ("sizes: 16 16 2", "sizes: 16 16 0"),
        ("sizes: 16 16 2", "sizes: 2000000 2000000 2"),
        ("type: short", "type: block\nblock size: 1000000000"),
        ("type: short", "type: double"),
        ("encoding: raw", "encoding: ascii"),
        ("encoding: raw", "encoding: gzip"),
        ("encoding: raw", "encoding: raw\nbyte skip: 1000000"),
        ("encoding: raw", "encoding: raw\nline skip: 1000000"),
        ("encoding: raw", "encoding: raw\ndata file: %s%n 1 3 1"),
        ("encoding: raw", "encoding: raw\ndata file: LIST"),
        ("encoding: raw", "encoding: raw\ndata file: slice%03d.raw 1 30 1"),
        ("endian: little", "endian: middle"),
        ("(1,0,0)", "(nan,0,0)"),
        ("(1,0,0)", "(1e-5,0,0)"),
        ("NRRD0004", "NRRD9999"),
    ],
)
def test_hostile_nrrds(tmp_path, refused, line, instead):
    (tmp_path / "a.nrrd").write_bytes(NRRD.encode() + VOXELS.tobytes())
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "a.nrrd")).ravel(), VOXELS)
    (tmp_path / "a.nrrd").write_bytes(NRRD.replace(line, instead).encode() + VOXELS.tobytes())
    refused(tmp_path / "a.nrrd", "mm large" if "1e-5" in instead else "or it is damaged")


@pytest.mark.parametrize("kind", ["mhd", "nhdr"])
def test_data_files_outside_of_the_folder_are_not_read(tmp_path, refused, kind):
    inner, secret = tmp_path / "in", tmp_path / "secret.raw"
    (inner / "sub").mkdir(parents=True)
    secret.write_bytes(VOXELS.tobytes())
    (inner / "sub" / "a.raw").write_bytes(VOXELS.tobytes())
    os.mkfifo(inner / "pipe.raw")
    (inner / "link.raw").symlink_to(secret)

    def header(name: str) -> Path:
        text = META.replace("LOCAL", name) if kind == "mhd" else NRRD.replace("\n\n", f"\ndata file: {name}\n")
        (inner / f"a.{kind}").write_text(text)
        return inner / f"a.{kind}"

    for name in ("../secret.raw", str(secret), "sub/../../secret.raw", "pipe.raw", "link.raw", "/dev/zero", "sub",
                 "none.raw", "."):  # fmt: skip
        refused(header(name))
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(header("sub/a.raw"))).ravel(), VOXELS)


def test_links_into_a_store_of_blobs_are_read(tmp_path):
    store, shown = tmp_path / "store", tmp_path / "shown"
    store.mkdir()
    shown.mkdir()
    (store / "1").write_text(META.replace("LOCAL", "a.raw"))
    (store / "2").write_bytes(VOXELS.tobytes())
    (shown / "a.mhd").symlink_to(store / "1")
    (shown / "a.raw").symlink_to(store / "2")
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(shown / "a.mhd")).ravel(), VOXELS)


def nifti(**changes: object) -> bytes:
    """A NIfTI-1 file of 16 x 16 x 2 int16, with other fields where given."""
    header = bytearray(348)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, *changes.get("dim", (3, 16, 16, 2, 1, 1, 1, 1)))
    struct.pack_into("<2h", header, 70, changes.get("datatype", 4), 16)
    struct.pack_into("<8f", header, 76, *changes.get("pixdim", (1, 1, 1, 1, 1, 1, 1, 1)))
    struct.pack_into("<f", header, 108, changes.get("offset", 352.0))
    header[344:348] = changes.get("magic", b"n+1\0")
    return bytes(header) + b"\0\0\0\0" + VOXELS.tobytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"dim": (3, 32767, 32767, 32767, 1, 1, 1, 1)},
        {"dim": (7, 32767, 32767, 32767, 32767, 32767, 32767, 32767)},
        {"dim": (0, 16, 16, 2, 1, 1, 1, 1)},
        {"dim": (300, 16, 16, 2, 1, 1, 1, 1)},
        {"dim": (3, -16, 16, 2, 1, 1, 1, 1)},
        {"datatype": 64},
        {"datatype": 0},
        {"datatype": 12345},
        {"offset": float("nan")},
        {"offset": 1e30},
        {"offset": -352.0},
        {"offset": 700.0},
        {"magic": b"xxxx"},
        {"pixdim": (1, 1e-5, 1e-5, 1, 1, 1, 1, 1)},
        {"pixdim": (1, float("nan"), 1, 1, 1, 1, 1, 1)},
    ],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_hostile_niftis(tmp_path, refused, name, changes):
    pack = gzip.compress if name.endswith(".gz") else bytes
    (tmp_path / name).write_bytes(pack(nifti()))
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)).ravel(), VOXELS)
    (tmp_path / name).write_bytes(pack(nifti(**changes)))
    refused(tmp_path / name, "mm large" if 1e-5 in changes.get("pixdim", ()) else "or it is damaged")


def test_nifti_2_is_read(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    nibabel.Nifti2Image(VOXELS.reshape(2, 16, 16).T, np.eye(4)).to_filename(tmp_path / "a.nii")
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "a.nii")).ravel(), VOXELS)


@pytest.mark.parametrize("size", [-24, 0, 15, 64, 2**31 - 1])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_extensions_longer_than_their_place_are_refused(tmp_path, refused, name, size):
    pack = gzip.compress if name.endswith(".gz") else bytes

    def extended(size: int) -> bytes:
        plain = nifti(offset=384.0)
        return pack(plain[:348] + b"\1\0\0\0" + struct.pack("<2i", size, 6) + b"x" * 24 + plain[352:])

    (tmp_path / name).write_bytes(extended(32))
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)).ravel(), VOXELS)
    (tmp_path / name).write_bytes(extended(size))
    refused(tmp_path / name, "extensions are longer")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_position_of_nifti_in_another_format_counts_for_nothing(tmp_path, name):
    line = "NIfTI position" + (":=" if name == "a.nrrd" else " = ") + "{}\n"
    text = NRRD.replace("\n\n", f"\n{line}\n") if name == "a.nrrd" else META.replace("NDims", f"{line}NDims")
    (tmp_path / name).write_bytes(text.encode() + VOXELS.tobytes())
    image = read_volume(tmp_path / name)
    write_volume(image, tmp_path / "b.nii")
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "b.nii")).ravel(), VOXELS)


def test_a_header_alone_costs_no_memory(tmp_path, refused):
    (tmp_path / "a.nii").write_bytes(nifti(dim=(3, 1024, 1024, 1200, 1, 1, 1, 1))[:352])
    refused(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.nii"])
def test_zeros_without_end_behind_the_voxels_are_not_read(tmp_path, name):
    content = {"a.mha": META.encode(), "a.nrrd": NRRD.encode()}.get(name, nifti()[:352]) + VOXELS.tobytes()
    with open(tmp_path / name, "wb") as file:
        file.write(content)
        file.truncate(20 * 2**30)  # takes no room on the disk
    started = time.perf_counter()
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)).ravel(), VOXELS)
    assert time.perf_counter() - started < LONGEST_S


def test_compressed_zeros_behind_the_voxels_are_given_up(tmp_path, refused):
    packer, pieces = zlib.compressobj(9, zlib.DEFLATED, 31), []
    pieces.append(packer.compress(nifti()))
    for _ in range(200):
        pieces.append(packer.compress(bytes(2**22)))
    (tmp_path / "a.nii.gz").write_bytes(b"".join([*pieces, packer.flush()]))
    refused(tmp_path / "a.nii.gz", "holds more than its header says")


def test_a_gzip_of_several_members_is_read(tmp_path):
    content = nifti()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "a.nii.gz")).ravel(), VOXELS)


@pytest.mark.parametrize("name", ["a.gipl", "a.vtk", "a.tif", "a.png", "a.mnc", "a.h5"])
def test_formats_whose_completeness_nothing_tells_are_not_read(tmp_path, refused, name):
    (tmp_path / name).write_bytes(b"whatever it holds")
    refused(tmp_path / name, "nothing tells whether it is complete")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.7z"])
def test_archives_are_to_be_unpacked(tmp_path, refused, name):
    (tmp_path / name).write_bytes(b"PK")
    refused(tmp_path / name, "unpack it")


def test_a_format_under_the_name_of_another_is_refused(tmp_path, refused, image):
    sitk.WriteImage(image, str(tmp_path / "a.vtk"))
    (tmp_path / "a.vtk").rename(tmp_path / "a.nrrd")
    refused(tmp_path / "a.nrrd")


@pytest.mark.parametrize("name", ["A.NII", "A.NII.GZ", "A.NRRD", "A.NHDR", "A.MHA", "A.MHD", "A.HDR", "A.IMG", "A.Nii"])
def test_suffixes_in_capital_letters(tmp_path, image, name):
    write_volume(image, tmp_path / name)
    assert (tmp_path / name).exists()
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)).ravel(), VOXELS)


@pytest.mark.skipif(os.name == "nt", reason="names on Windows are UTF-16")
@pytest.mark.parametrize("name", [b"\xe4rzte.nii.gz", b"\xe4rzte.mha", b"\xe4rzte.nrrd"])
def test_names_that_are_not_utf8(tmp_path, image, name):
    path = tmp_path / os.fsdecode(b"stra\xdfe") / os.fsdecode(name)
    path.parent.mkdir()
    write_volume(image, path)
    assert os.listdir(os.fsencode(path.parent)) == [name]
    assert np.array_equal(sitk.GetArrayFromImage(read_volume(path)).ravel(), VOXELS)

"""Damaged DICOM headers by the thousand: a sentence or the same volume twice, within a limit of time and memory.

    python3 Testing/run.py test Testing/unit/test_dicom_fuzz.py -m nightly

reads 2,000 of them; the ordinary run reads a few.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from unit import dicom_phantom as phantom
from unit.test_fuzz import Reader

pytestmark = pytest.mark.skipif(os.name == "nt", reason="each file is read in a fork, which Windows has not")

SOURCES = ("classic", "enhanced", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm")
NIGHTLY, USUAL = 2000, 40

KEYWORDS = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope"),
    *("RescaleIntercept", "RescaleType", "NumberOfFrames", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("SeriesNumber", "InstanceNumber", "ImageType", "Modality", "SOPClassUID", "SliceThickness", "PatientName"),
    *("SpecificCharacterSet", "EchoTime", "AcquisitionNumber", "SeriesDescription", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "ModalityLUTSequence", "SeriesInstanceUID", "SOPInstanceUID"),
)
VALUES = (
    *(b"", b"0 ", b"-1", b"nan ", b"inf ", b"1e400 ", b"abc ", b"1\\2\\3 ", b"0\\0 ", b"99999999999 ", b"RGB "),
    *(b"\xff\xff", b"\0\0", b"\xff\xff\xff\xff", b"PALETTE COLOR ", b"\xe9\xe8", b"A" * 300, b"\1\0", b"\x10\0\x20\0"),
)
REPRESENTATIONS = ("US", "SS", "DS", "IS", "CS", "UI", "OB", "SQ", "UN", "LO", "PN", "FD", "UL")

change_of_element = st.tuples(
    st.sampled_from(KEYWORDS), st.none() | st.tuples(st.sampled_from(REPRESENTATIONS), st.sampled_from(VALUES))
)
change_of_byte = st.tuples(st.integers(0, 2**16), st.integers(0, 255))


def whole(name: str, folder: Path) -> bytes:
    """A DICOM file of one of the sources."""
    if name == "classic":
        path = phantom.store(folder / "x.dcm", phantom.ct_image(phantom.ct_slices()[0], (0, 0, 0), 1))
    elif name == "enhanced":
        one = phantom.enhanced_mr(phantom.mr_slices(), [4.0 * index for index in range(6)], [0, 2, 4, 1, 3, 5])
        path = phantom.store(folder / "x.dcm", one)
    else:
        path = Path(pydicom.data.get_testdata_file(name, download=False))
    return path.read_bytes()


def with_elements(content: bytes, changes: list) -> bytes:
    """The file with elements replaced by others of any representation and value, or taken out (None)."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    for keyword, change in changes:
        if change is None:
            if keyword in dataset:
                del dataset[keyword]
            continue
        representation, value = change
        value = b"" if representation == "SQ" else value
        dataset[Tag(keyword)] = RawDataElement(Tag(keyword), representation, len(value), value, 0, False, True)
    written = io.BytesIO()
    with pydicom.config.disable_value_validation():
        pydicom.dcmwrite(written, dataset)
    return written.getvalue()


def attack(name: str, folder: Path, count: int) -> None:
    """Read `count` damaged versions of a file."""
    content, reader = whole(name, folder), Reader()
    path = folder / "in" / "x.dcm"
    path.parent.mkdir()

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(change_of_element, max_size=3),
        st.lists(change_of_byte, max_size=4),
        st.sampled_from([None, None, None, 0.999, 0.6, 0.1]),
    )
    def read_damaged(elements, letters, share):
        try:
            changed = bytearray(with_elements(content, elements))
        except Exception:  # pydicom does not write everything
            return
        for place, letter in letters:
            changed[place % len(changed)] = letter
        path.write_bytes(changed if share is None else changed[: int(share * len(changed))])
        reader.judge(path)

    try:
        path.write_bytes(content)
        reader.judge(path)
        assert reader.outcomes["read"] == 1
        read_damaged()
    finally:
        reader.end()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SOURCES)
def test_a_few_damaged_files(tmp_path, name):
    attack(name, tmp_path, USUAL // len(SOURCES))


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SOURCES)
def test_two_thousand_damaged_files(tmp_path, name):
    attack(name, tmp_path, NIGHTLY // len(SOURCES))

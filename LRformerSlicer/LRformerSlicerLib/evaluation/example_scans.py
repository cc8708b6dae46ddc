"""Real scans that Python packages carry: they need no network, and anybody may have them."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import SimpleITK as sitk

from ..errors import UserError
from ..restoration.volume_io import read_volume

ABDOMEN_CT = ("pydicom-data", "explicit_VR-UN.dcm")
"""One 512 x 512 slice of a contrast-enhanced abdominal CT (NIH Pancreas-CT), JPEG 2000 lossless."""

TEMPLATE_T1 = ("nilearn", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
"""The ICBM 2009a symmetric T1 template, 1 mm: an average of 152 heads, nearly free of noise."""

TEMPLATE_SLICES = 5


def packaged_file(package: str, name: str) -> Path:
    """The file called `name` of an installed package. Raises UserError where either is not there."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"The package {package} with the example scan is missing: pip install {package}") from None
    for file in files:
        if file.name == name:
            return Path(file.locate())
    raise UserError(f"The installed {package} has no {name}: install the version in Testing/requirements.txt.")


def abdomen_ct() -> sitk.Image:
    """The CT slice as a volume of 512 x 512 x 1 voxels in HU, int16."""
    return sitk.DICOMOrient(read_volume(packaged_file(*ABDOMEN_CT)), "LPS")


def template_t1() -> sitk.Image:
    """The middle axial slices of the T1 template, with an even number of rows and columns.

    Even, so that halving the in-plane resolution leaves out nothing and the slab itself is the reference.
    """
    image = sitk.DICOMOrient(read_volume(packaged_file(*TEMPLATE_T1)), "LPS")
    columns, rows, slices = image.GetSize()
    first = slices // 2 - TEMPLATE_SLICES // 2
    return sitk.RegionOfInterest(image, [columns // 2 * 2, rows // 2 * 2, TEMPLATE_SLICES], [0, 0, first])

"""What ITK's NIfTI reader does not tell: where voxels were NaN or infinite.

The library behind it (niftilib) turns them into zeros without a word, as it does with the voxels that are missing in a
file that is cut short.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .volume_files.nifti import nifti_header
from .volume_files.voxel_data import FileProblem, voxel_chunks

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz", ".hdr.gz")


class DamagedNiftiError(Exception):
    """The file ends before its voxels do, or its compression is damaged."""


def non_finite_voxels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices (first image axis fastest) and values of the NaN and infinite voxels of a NIfTI file.

    Reads the whole file in chunks. Raises DamagedNiftiError where it is shorter than its header says.
    """
    places, values, first, rest = [np.empty(0, dtype=np.int64)], [np.empty(0)], 0, b""
    try:
        header = nifti_header(path)
        for chunk in voxel_chunks(header.data):
            if not header.float_type:
                continue
            chunk = rest + chunk
            whole = len(chunk) // np.dtype(header.float_type).itemsize
            voxels = np.frombuffer(chunk, dtype=header.float_type, count=whole)
            rest = chunk[voxels.nbytes :]
            found = np.flatnonzero(~np.isfinite(voxels))
            places.append(found + first)
            values.append(voxels[found].astype(np.float64))
            first += voxels.size
    except (FileProblem, OSError) as error:
        raise DamagedNiftiError(str(error)) from error
    return np.concatenate(places), np.concatenate(values)

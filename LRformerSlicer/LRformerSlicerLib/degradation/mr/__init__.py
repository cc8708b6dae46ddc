"""MR degradations, made in k-space.

Slices are magnitude images.  Phase encoding runs along the rows' axis: a line of k-space is a row.  Spectra are centred
(zero frequency at index n // 2 of both axes) and unitary, so that energy is the same in image and k-space (Parseval)
and noise of one standard deviation has it on both sides.
"""

from .motion import add_motion
from .resolution import truncate_kspace
from .thick_slices import thick_slices

__all__ = ["add_motion", "thick_slices", "truncate_kspace"]

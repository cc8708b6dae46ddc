"""Lower-dose CT, made in the projection domain.

Geometry: parallel beam, 720 views over 180 degrees, detector pitch equal to the pixel size (astra-toolbox, CPU).
Noise: the full-dose scan is taken to have counted ``FULL_DOSE_PHOTONS * exp(-p)`` photons behind each line integral p.
A scan at the fraction d of its tube current counts a binomial share d of those photons, which is exactly Poisson
statistics of the lower current and adds nothing to what full dose already shows: at d = 1 the slice comes back
unchanged.  Electronic noise does not fall with the current and is topped up accordingly.

Filtered back-projection is linear, so only the noise is reconstructed and added to the slice: the low-dose slice keeps
the resolution of the scanner that made it, and the noise is correlated and streaky as the kernel and the path lengths
make it.

Sources: Yu et al., J Comput Assist Tomogr 36 (2012) 477 (low-dose simulation by noise insertion);
Kak and Slaney, Principles of Computerized Tomographic Imaging, chapter 3 (filtered back-projection).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError

FULL_DOSE_PHOTONS = 1.0e6  # per detector element and view, in air; gives about 15 HU in a chest at full dose
ELECTRONIC_NOISE_PHOTONS = 8.0  # standard deviation, in photons
WATER_ATTENUATION_PER_MM = 0.02  # at about 65 keV, the mean energy of a 120 kVp beam
VIEW_COUNT = 720

# Apodisation of the ramp: astra's filter name and its cut-off as a fraction of the Nyquist frequency.
KERNELS = {"smooth": ("hann", 0.6), "standard": ("hann", 1.0), "sharp": ("shepp-logan", 0.8)}


class ParallelBeamScanner:
    """Projection and filtered back-projection of slices of one size.

    Args:
        rows, columns: of the slice.
        pixel_size_mm: side of the square pixel.
    """

    def __init__(self, rows: int, columns: int, pixel_size_mm: float) -> None:
        import astra

        self._astra = astra
        self._pixel_size_mm = float(pixel_size_mm)
        detectors = int(np.ceil(np.hypot(rows, columns) / 2)) * 2 + 8
        angles = np.linspace(0.0, np.pi, VIEW_COUNT, endpoint=False)
        # In pixel units; lengths are scaled to mm here, so that astra sees numbers near one.
        self._volume = astra.create_vol_geom(rows, columns)
        self._beam = astra.create_proj_geom("parallel", 1.0, detectors, angles)
        self._projector = astra.create_projector("linear", self._beam, self._volume)

    def close(self) -> None:
        """Free astra's memory."""
        self._astra.projector.delete(self._projector)

    def __enter__(self) -> ParallelBeamScanner:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def project(self, slice_hu: np.ndarray) -> np.ndarray:
        """Line integrals of attenuation (dimensionless) of a (rows, columns) slice in HU: (views, detectors)."""
        attenuation = WATER_ATTENUATION_PER_MM * np.maximum(1.0 + slice_hu / 1000.0, 0.0)
        data = np.ascontiguousarray(attenuation * self._pixel_size_mm, dtype=np.float32)
        identifier, sinogram = self._astra.create_sino(data, self._projector)
        self._astra.data2d.delete(identifier)
        return sinogram

    def reconstruct(self, line_integrals: np.ndarray, kernel: str) -> np.ndarray:
        """Filtered back-projection of (views, detectors) line integrals to attenuation over water's, in 1/1000."""
        if kernel not in KERNELS:
            raise UserError(f"Unknown kernel '{kernel}': choose one of {', '.join(KERNELS)}.")
        astra = self._astra
        filter_name, cutoff = KERNELS[kernel]
        sinogram = astra.data2d.create("-sino", self._beam, np.ascontiguousarray(line_integrals, dtype=np.float32))
        image = astra.data2d.create("-vol", self._volume)
        configuration = astra.astra_dict("FBP")
        configuration.update(ProjectorId=self._projector, ProjectionDataId=sinogram, ReconstructionDataId=image)
        configuration["option"] = {"FilterType": filter_name, "FilterD": cutoff}
        algorithm = astra.algorithm.create(configuration)
        try:
            astra.algorithm.run(algorithm)
            attenuation = astra.data2d.get(image)
        finally:
            astra.algorithm.delete(algorithm)
            astra.data2d.delete([sinogram, image])
        return attenuation * (1000.0 / (WATER_ATTENUATION_PER_MM * self._pixel_size_mm))


def thinned_line_integrals(
    line_integrals: np.ndarray, dose: float, random: np.random.Generator, full_dose_photons: float = FULL_DOSE_PHOTONS
) -> np.ndarray:
    """Line integrals as the fraction ``dose`` of the photons of a full-dose scan would have measured them.

    Args:
        line_integrals: p of the full-dose scan, its own noise included.
        dose: fraction of the full tube current, in (0, 1].
        random: source of the noise.
        full_dose_photons: photons in air per detector element and view at full dose.

    Returns:
        As ``line_integrals``; their added variance is (1/dose - 1) exp(p) / full_dose_photons, plus electronics.
    """
    counts = np.round(full_dose_photons * np.exp(-np.asarray(line_integrals, dtype=np.float64))).astype(np.int64)
    electronic = ELECTRONIC_NOISE_PHOTONS * np.sqrt(1.0 - dose**2)
    thinned = random.binomial(counts, dose) + electronic * random.standard_normal(counts.shape)
    # A detector that saw nothing still reports something; one photon is the customary floor.
    noisy = -np.log(np.maximum(thinned, 1.0) / (full_dose_photons * dose))
    floor = -np.log(np.maximum(counts, 1.0) / full_dose_photons)
    return (line_integrals + (noisy - floor)).astype(np.float32)


def dose_noise(
    slice_hu: np.ndarray,
    pixel_size_mm: float,
    dose: float,
    seed: int,
    kernel: str = "standard",
    full_dose_photons: float = FULL_DOSE_PHOTONS,
) -> np.ndarray:
    """The noise, in HU, that lowering the dose of a slice adds to it.  Arguments as :func:`simulate_low_dose`."""
    return dose_noises(slice_hu, pixel_size_mm, dose, (seed,), kernel, full_dose_photons)[0]


def dose_noises(
    slice_hu: np.ndarray,
    pixel_size_mm: float,
    dose: float,
    seeds: Sequence[int],
    kernel: str = "standard",
    full_dose_photons: float = FULL_DOSE_PHOTONS,
) -> np.ndarray:
    """Independent noises of a slice, one for each seed, (seeds, rows, columns) float32 HU: see :func:`dose_noise`."""
    if not 0.0 < dose <= 1.0:
        raise UserError(f"The dose is a fraction of the full dose above 0 and up to 1, not {dose:g}.")
    if slice_hu.ndim != 2:
        raise ValueError(f"a slice has two axes, not {slice_hu.ndim}")
    if dose == 1.0:
        return np.zeros((len(seeds), *slice_hu.shape), dtype=np.float32)
    with ParallelBeamScanner(*slice_hu.shape, pixel_size_mm) as scanner:
        line_integrals = scanner.project(slice_hu)
        thinned = (
            thinned_line_integrals(line_integrals, dose, np.random.default_rng(seed), full_dose_photons)
            for seed in seeds
        )
        return np.stack([scanner.reconstruct(noisy - line_integrals, kernel) for noisy in thinned])


def simulate_low_dose(
    slice_hu: np.ndarray,
    pixel_size_mm: float,
    dose: float,
    seed: int,
    kernel: str = "standard",
    full_dose_photons: float = FULL_DOSE_PHOTONS,
) -> np.ndarray:
    """The slice as a scan at a fraction of its dose would show it.

    Args:
        slice_hu: (rows, columns) in HU, at full dose.
        pixel_size_mm: side of the pixel.
        dose: tube current as a fraction of full dose, in (0, 1]; 1 returns the slice unchanged.
        seed: of the noise.
        kernel: "smooth", "standard" or "sharp".
        full_dose_photons: photons in air per detector element and view at full dose.

    Returns:
        (rows, columns) float32 in HU.

    Raises:
        UserError: dose out of range, unknown kernel.
    """
    noise = dose_noise(slice_hu, pixel_size_mm, dose, seed, kernel, full_dose_photons)
    return slice_hu.astype(np.float32) + noise

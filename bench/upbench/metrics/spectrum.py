"""Azimuthal spectrum: how much energy images have at each scale, whatever its direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upbench.metrics.base import Metric, check_sides
from upbench.metrics.checkerboard import power_spectrum


def spectral_distance(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Compute the root mean square difference, in decibels, between the azimuthal spectra of two sets of images.

    The mean is over all rings of frequencies but that of frequency 0, each ring alike.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.

    Returns:
        The distance in decibels, 0 or more; 0 is the spectrum of the real images. Infinite or NaN where a ring of
        either side is without energy.

    Raises:
        ValueError: for sides below 16.

    Source:
        The spectra are those of Durall et al., arXiv 2003.01826, section 3, eq. 2 and 3. The distance is this suite's
        own.
    """
    height, width = real.shape[1:3]
    check_sides(height, width, least=16)
    our_rings = azimuthal_average(power_spectrum(generated))
    real_rings = azimuthal_average(power_spectrum(real))
    with np.errstate(divide="ignore", invalid="ignore"):
        # the first ring is frequency 0: each image has lost its mean, and only what the window left of it is there
        ratios = our_rings[1:] / real_rings[1:]
        differences = 10 * np.log10(ratios)
        return float(np.sqrt(np.mean(differences**2)))


def azimuthal_average(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean power of each ring of frequencies.

    Ring k holds the frequencies that round to k / min(H, W) cycles a pixel. The last rings hold the corners only.

    Args:
        spectrum: float64 (H, W), a power spectrum with frequency 0 first.

    Returns:
        float64 (K,), in the unit of the spectrum, from frequency 0 on.

    Source:
        Durall et al., arXiv 2003.01826, section 3, eq. 2 and 3, as a mean rather than a sum over the ring.
    """
    height, width = spectrum.shape
    row_frequencies = np.fft.fftfreq(height)[:, None]
    column_frequencies = np.fft.fftfreq(width)
    frequencies = np.hypot(row_frequencies, column_frequencies).ravel()
    rings = np.rint(frequencies * min(height, width)).astype(int)
    # weighted by the spectrum a count of bins is the sum of their power
    power = np.bincount(rings, spectrum.ravel())
    bins = np.bincount(rings)
    return power / bins


SPECTRAL_DISTANCE = Metric(spectral_distance, "samples", "dB", "lower")

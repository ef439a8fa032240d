"""Azimuthal spectrum: how much energy images have at each scale, whatever its direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.base import Metric
from bench.metrics.checkerboard import power_spectrum


def azimuthal_average(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power of each ring of frequencies, (K,), of a power spectrum (H, W) with frequency 0 first.

    Ring k holds the frequencies that round to k / min(H, W) cycles a pixel; the last ones hold the corners only.
    Source: Durall et al., arXiv 2003.01826, section 3, eq. 2 and 3, as a mean rather than a sum over the ring.
    """
    rows, columns = (np.fft.fftfreq(side) for side in spectrum.shape)
    ring = np.rint(np.hypot(rows[:, None], columns) * min(spectrum.shape)).astype(int)
    return np.bincount(ring.ravel(), spectrum.ravel()) / np.bincount(ring.ravel())


def spectral_distance(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Root mean square difference between the azimuthal spectra of generated and real images, in decibels.

    Over all rings but that of frequency 0, each ring alike. 0 is the spectrum of the real images; infinite or NaN where
    a ring of either is without energy. Source: the spectra of Durall et al., arXiv 2003.01826; the distance is ours.
    Raises ValueError for sides below 16.
    """
    if min(real.shape[1:3]) < 16:
        raise ValueError(f"image sides must be at least 16 pixels, got {real.shape[1]} x {real.shape[2]}")
    ours, theirs = (azimuthal_average(power_spectrum(images))[1:] for images in (generated, real))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean((10 * np.log10(ours / theirs)) ** 2)))


SPECTRAL_DISTANCE = Metric(spectral_distance, "samples", "dB", "lower")

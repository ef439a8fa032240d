"""Checkerboard score: energy of generated images on the lattice of a x2 layer, relative to that of real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.base import Metric

NEIGHBOURS = (3, 6)  # the floor around a lattice frequency: bins at chessboard distance 3 to 6, clear of its own peak


def power_spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean power of the luminance of images (N, H, W, C), (H, W), frequency 0 first, in squared grey levels.

    Each image loses its mean and is tapered by a Hann window, so that its borders do not leak onto the axes.
    """
    grey = images.astype(np.float64).mean(-1)
    grey -= grey.mean((1, 2), keepdims=True)
    window = np.outer(np.hanning(grey.shape[1]), np.hanning(grey.shape[2]))
    return np.mean(np.abs(np.fft.fft2(grey * window)) ** 2, axis=0) / np.sum(window**2)


def lattice_excess(spectrum: NDArray[np.float64]) -> float:
    """Power at (pi, 0), (0, pi) and (pi, pi), as a multiple of the median power around each; sums over the three.

    The repetition of x2 phases puts its energy at exactly these frequencies: Odena et al., Deconvolution and
    Checkerboard Artifacts, Distill (2016); Sugawara et al., arXiv 1806.02658, section 3. Sides must be even.
    """
    height, width = spectrum.shape
    if height % 2 or width % 2 or min(height, width) < 16:
        raise ValueError(f"image sides must be even and at least 16 pixels, got {height} x {width}")
    near, far = NEIGHBOURS
    offsets = np.arange(-far, far + 1)
    rows, columns = np.meshgrid(offsets, offsets, indexing="ij")
    ring = (np.maximum(abs(rows), abs(columns)) >= near) & (rows != 0) & (columns != 0)
    peak = floor = 0.0
    for row, column in ((height // 2, 0), (0, width // 2), (height // 2, width // 2)):
        peak += spectrum[row, column]
        floor += np.median(spectrum[(row + rows[ring]) % height, (column + columns[ring]) % width])
    return float(peak / floor)


def checkerboard(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Lattice excess of generated over that of real images, in decibels: 0 is as clean as the real images.

    Raises ValueError for images of different size, odd sides, or none at all.
    """
    if generated.shape[1:] != real.shape[1:] or not (len(generated) and len(real)):
        raise ValueError(f"need images of one size, got {generated.shape} generated and {real.shape} real")
    ours, theirs = (lattice_excess(power_spectrum(images)) for images in (generated, real))
    return 10 * float(np.log10(ours / theirs))


CHECKERBOARD = Metric(checkerboard, "samples", "dB", "lower")

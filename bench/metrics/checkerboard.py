"""Checkerboards: energy of generated images on the lattice of a x2 or x4 layer, relative to that of real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.base import Metric

NEIGHBOURS = (3, 6)  # the floor around a lattice frequency: bins at chessboard distance 3 to 6, clear of its own peak
X2_LATTICE = {"pi,0": (2, 0), "0,pi": (0, 2), "pi,pi": (2, 2)}  # (row, column) frequencies in units of pi / 2
X4_LATTICE = {
    "pi/2,0": ((1, 0),),
    "0,pi/2": ((0, 1),),
    "pi/2,pi/2": ((1, 1), (1, -1)),
    "pi/2,pi": ((1, 2),),
    "pi,pi/2": ((2, 1),),
}
LATTICE = {name: (bin_,) for name, bin_ in X2_LATTICE.items()} | X4_LATTICE


def power_spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean power of the luminance of images (N, H, W, C), (H, W), frequency 0 first, in squared grey levels.

    Each image loses its mean and is tapered by a Hann window, so that its borders do not leak onto the axes.
    Raises ValueError for sides below 3, of which the window leaves nothing.
    """
    if min(images.shape[1:3]) < 3:
        raise ValueError(f"image sides must be at least 3 pixels, got {images.shape[1]} x {images.shape[2]}")
    grey = images.astype(np.float64).mean(-1)
    grey -= grey.mean((1, 2), keepdims=True)
    grey[(images == images[:, :1, :1]).all((1, 2, 3))] = 0  # or rounding would pass for energy
    window = np.outer(np.hanning(grey.shape[1]), np.hanning(grey.shape[2]))
    return np.mean(np.abs(np.fft.fft2(grey * window)) ** 2, axis=0) / np.sum(window**2)


def excess(spectrum: NDArray[np.float64], bins: list[tuple[int, int]]) -> float:
    """Power at the bins (row, column) as a multiple of the median power around each; sums over the bins.

    NaN for a spectrum that is 0 there.
    """
    height, width = spectrum.shape
    near, far = NEIGHBOURS
    offsets = np.arange(-far, far + 1)
    rows, columns = np.meshgrid(offsets, offsets, indexing="ij")
    ring = (np.maximum(abs(rows), abs(columns)) >= near) & (rows != 0) & (columns != 0)
    peak = floor = 0.0
    for row, column in bins:
        peak += spectrum[row % height, column % width]
        floor += np.median(spectrum[(row + rows[ring]) % height, (column + columns[ring]) % width])
    return float(peak / floor) if floor else float("nan")


def lattice_excess(spectrum: NDArray[np.float64]) -> float:
    """Power at (pi, 0), (0, pi) and (pi, pi), as a multiple of the median power around each; sums over the three.

    The repetition of x2 phases puts its energy at exactly these frequencies: Odena et al., Deconvolution and
    Checkerboard Artifacts, Distill (2016); Sugawara et al., arXiv 1806.02658, section 3. NaN for a spectrum that is 0
    there. Raises ValueError for sides that are odd or below 16.
    """
    height, width = spectrum.shape
    if height % 2 or width % 2 or min(height, width) < 16:
        raise ValueError(f"image sides must be even and at least 16 pixels, got {height} x {width}")
    return excess(spectrum, [(row * height // 4, column * width // 4) for row, column in X2_LATTICE.values()])


def checkerboard(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Lattice excess of generated over that of real images, in decibels: 0 is as clean as the real images.

    NaN if either side is blank. Raises ValueError for sides that are odd or below 16.
    """
    return decibels(*(lattice_excess(power_spectrum(images)) for images in (generated, real)))


def lattice_energy(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> dict[str, float]:
    """The checkerboard score of each lattice frequency by itself, in decibels: 0 is as clean as the real images.

    (vertical, horizontal) frequencies: pi is what one x2 layer repeats with, pi/2 what two of them or a x4 layer do;
    of pi/2,pi/2 both diagonals are taken. Sources as for `checkerboard`. NaN if either side is blank.
    Raises ValueError for sides that are no multiple of 4 or below 32.
    """
    height, width = real.shape[1:3]
    if height % 4 or width % 4 or min(height, width) < 32:
        raise ValueError(f"image sides must be multiples of 4 and at least 32 pixels, got {height} x {width}")
    spectra = [power_spectrum(images) for images in (generated, real)]
    places = {name: [(r * height // 4, c * width // 4) for r, c in bins] for name, bins in LATTICE.items()}
    return {name: decibels(*(excess(spectrum, bins) for spectrum in spectra)) for name, bins in places.items()}


def phase_variance(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Share of the high-pass variance that a pixel's phase explains, over that of real images, in decibels.

    See `phase_share`. Minus infinity if the phases of the generated images agree exactly; NaN if either side is blank.
    Raises ValueError for sides that are odd or below 4.
    """
    return decibels(phase_share(generated), phase_share(real))


def phase_share(images: NDArray[np.uint8]) -> float:
    """Share of the variance of high-pass luminance between the four phases of a x2 layer, 0 to 1; NaN if blank.

    The sum of squares of each image's phase means about that image's mean, weighted by their pixels, over that of its
    pixels, each summed over the images: the correlation ratio eta^2 of a one-way analysis of variance (Fisher, 1925).
    High-pass: less the [1 2 1]/4 mean in both directions, which leaves the lattice frequencies whole.
    """
    height, width = images.shape[1:3]
    if height % 2 or width % 2 or min(height, width) < 4:
        raise ValueError(f"image sides must be even and at least 4 pixels, got {height} x {width}")
    grey = images.sum(-1, dtype=np.int64)  # whole numbers, or rounding would pass for variance of blank images
    rows = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    high = 16 * grey[:, 1:-1, 1:-1] - (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:])
    detail = high - high.mean((1, 2), keepdims=True)
    phases = [detail[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    between = sum(float(np.sum(phase.mean((1, 2)) ** 2)) * phase[0].size for phase in phases)
    total = float(np.sum(detail**2))
    return between / total if total else float("nan")


def decibels(ours: float, theirs: float) -> float:
    """10 log10(ours / theirs); NaN for 0 / 0 and whatever holds a NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * float(np.log10(np.float64(ours) / theirs))


CHECKERBOARD = Metric(checkerboard, "samples", "dB", "lower")
LATTICE_ENERGY = Metric(lattice_energy, "samples", "dB", "lower", members=tuple(LATTICE))
PHASE_VARIANCE = Metric(phase_variance, "samples", "dB", "lower")

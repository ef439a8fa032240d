"""Checkerboards: energy of generated images on the lattice of a x2 or x4 layer, relative to that of real images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from upbench.metrics.base import Metric, check_sides

# The places of the lattice in a spectrum: (row, column) frequencies in units of pi / 2.
# The spectrum of real numbers is symmetric about frequency 0, so the places left out repeat what these show.
Places = tuple[tuple[int, int], ...]
X2_PLACES: Places = ((2, 0), (0, 2), (2, 2))
LATTICE: dict[str, Places] = {
    "pi,0": ((2, 0),),
    "0,pi": ((0, 2),),
    "pi,pi": ((2, 2),),
    "pi/2,0": ((1, 0),),
    "0,pi/2": ((0, 1),),
    "pi/2,pi/2": ((1, 1), (1, -1)),
    "pi/2,pi": ((1, 2),),
    "pi,pi/2": ((2, 1),),
}

# The floor around a place is taken from the bins at chessboard distance 3 to 6, which are clear of its own peak.
NEAREST_FLOOR = 3
FARTHEST_FLOOR = 6

LOW_PASS = (1, 2, 1)  # sums to 4 in one direction, and to 16 in both


def checkerboard(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Compute the lattice excess of generated images over that of real images, see `lattice_excess`.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.

    Returns:
        The ratio in decibels, any real number: 0 is as clean as the real images, and more is worse. NaN if either side
        is blank.

    Raises:
        ValueError: for sides that are odd or below 16.

    Source:
        The frequencies are those of Odena et al., Deconvolution and Checkerboard Artifacts, Distill (2016), and
        Sugawara et al., arXiv 1806.02658, section 3. The score is this suite's own.
    """
    our_excess = lattice_excess(power_spectrum(generated))
    real_excess = lattice_excess(power_spectrum(real))
    return to_decibels(our_excess, real_excess)


def lattice_energy(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> dict[str, float]:
    """Compute the checkerboard score of each lattice frequency by itself.

    A frequency is (vertical, horizontal). With pi repeats what one x2 layer draws, with pi/2 what two of them or a x4
    layer draw. Of pi/2,pi/2 both diagonals are taken.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.

    Returns:
        The ratio of the excesses, see `excess_at`, in decibels, by the name of the frequency, such as "pi,0": 0 is as
        clean as the real images, and more is worse. NaN if either side is blank.

    Raises:
        ValueError: for sides that are no multiple of 4 or below 32.

    Source:
        As for `checkerboard`: Odena et al., Distill (2016); Sugawara et al., arXiv 1806.02658, section 3.
    """
    height, width = real.shape[1:3]
    check_sides(height, width, least=32, multiple_of=4)
    our_spectrum = power_spectrum(generated)
    real_spectrum = power_spectrum(real)
    scores = {}
    for name, places in LATTICE.items():
        our_excess = excess_at(places, our_spectrum)
        real_excess = excess_at(places, real_spectrum)
        scores[name] = to_decibels(our_excess, real_excess)
    return scores


def phase_variance(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> float:
    """Compute the share of the high-pass variance that a pixel's phase explains, over that share of real images.

    Args:
        generated: uint8 (N, H, W, C), generated images.
        real: uint8 (M, H, W, C), real images.

    Returns:
        The ratio of the shares, see `phase_share`, in decibels: 0 is as clean as the real images, and more is worse.
        Minus infinity if the phases of the generated images agree exactly. NaN if either side is blank.

    Raises:
        ValueError: for sides that are odd or below 4.

    Source:
        The correlation ratio eta^2 of Fisher, Statistical Methods for Research Workers (1925). The score is this
        suite's own.
    """
    return to_decibels(phase_share(generated), phase_share(real))


def power_spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the mean power of the luminance of images.

    Each image loses its mean and is tapered by a Hann window, so that its borders do not leak onto the axes.

    Args:
        images: uint8 (N, H, W, C).

    Returns:
        float64 (H, W), frequency 0 first, in squared grey levels, 0 or more.

    Raises:
        ValueError: for sides below 3, of which the window leaves nothing.
    """
    height, width = images.shape[1:3]
    check_sides(height, width, least=3)
    window = np.outer(np.hanning(height), np.hanning(width))
    tapered = luminance_without_mean(images) * window
    amplitudes = np.abs(np.fft.fft2(tapered))
    power = np.mean(amplitudes**2, axis=0)
    # divided by the energy of the window, so that white noise keeps its variance
    return power / np.sum(window**2)


def luminance_without_mean(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Average the channels of images and subtract each image's mean: uint8 (N, H, W, C) -> float64 (N, H, W)."""
    luminance = images.astype(np.float64).mean(-1)
    luminance -= luminance.mean((1, 2), keepdims=True)
    # the mean of a blank image is rounded, and what is left of it would pass for energy
    first_pixels = images[:, :1, :1]
    is_blank = (images == first_pixels).all((1, 2, 3))
    luminance[is_blank] = 0
    return luminance


def lattice_excess(spectrum: NDArray[np.float64]) -> float:
    """Compute the power at (pi, 0), (0, pi) and (pi, pi), over the median power around each; both sum over the three.

    The repetition of x2 phases puts its energy at exactly these frequencies.

    Args:
        spectrum: float64 (H, W), a power spectrum with frequency 0 first.

    Returns:
        The ratio, 0 or more; about 1 without a lattice. NaN for a spectrum that is 0 there.

    Raises:
        ValueError: for sides that are odd or below 16.

    Source:
        Odena et al., Deconvolution and Checkerboard Artifacts, Distill (2016); Sugawara et al., arXiv 1806.02658,
        section 3.
    """
    height, width = spectrum.shape
    check_sides(height, width, least=16, multiple_of=2)
    return excess_at(X2_PLACES, spectrum)


def excess_at(places: Places, spectrum: NDArray[np.float64]) -> float:
    """Compute the power at some places of a spectrum, over the median power around each; both sum over the places.

    Args:
        places: (row, column) frequencies in units of pi / 2.
        spectrum: float64 (H, W), a power spectrum with frequency 0 first.

    Returns:
        The ratio, 0 or more. NaN for a spectrum that is 0 there.
    """
    height, width = spectrum.shape
    floor_rows, floor_columns = floor_offsets()
    # both are summed before they are divided, or a place with little power would weigh as much as the others
    peak = floor = 0.0
    for row_frequency, column_frequency in places:
        # pi / 2 is a quarter of the bins; the spectrum is periodic, hence the remainders
        row = row_frequency * height // 4
        column = column_frequency * width // 4
        peak += spectrum[row % height, column % width]
        around = spectrum[(row + floor_rows) % height, (column + floor_columns) % width]
        # the median, as the mean would rise with the peak of a place nearby
        floor += np.median(around)
    if not floor:
        return float("nan")
    return float(peak / floor)


def floor_offsets() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the bins of the floor around a place, as offsets (K,) from its row and (K,) from its column.

    The row and the column of the place are left out, as images have more power along the axes of a spectrum.
    """
    offsets = np.arange(-FARTHEST_FLOOR, FARTHEST_FLOOR + 1)
    rows, columns = np.meshgrid(offsets, offsets, indexing="ij")
    distances = np.maximum(abs(rows), abs(columns))
    off_axes = (rows != 0) & (columns != 0)
    chosen = off_axes & (distances >= NEAREST_FLOOR)
    return rows[chosen], columns[chosen]


def phase_share(images: NDArray[np.uint8]) -> float:
    """Compute the share of the variance of high-pass luminance that lies between the four phases of a x2 layer.

    The share is a ratio of sums of squares, each summed over the images: of the phase means about their image's mean,
    weighted by the pixels of a phase, over that of the pixels.

    Args:
        images: uint8 (N, H, W, C).

    Returns:
        The share, 0 to 1. NaN if all images are blank.

    Raises:
        ValueError: for sides that are odd or below 4.

    Source:
        The correlation ratio eta^2 of a one-way analysis of variance: Fisher, Statistical Methods for Research Workers
        (1925).
    """
    height, width = images.shape[1:3]
    check_sides(height, width, least=4, multiple_of=2)
    high = high_pass(images)
    detail = high - high.mean((1, 2), keepdims=True)
    total = float(np.sum(detail**2))
    if not total:
        return float("nan")
    between = 0.0
    for row in (0, 1):
        for column in (0, 1):
            phase = detail[:, row::2, column::2]
            phase_means = phase.mean((1, 2))
            pixels = phase[0].size
            between += float(np.sum(phase_means**2)) * pixels
    return between / total


def high_pass(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Subtract the [1 2 1] / 4 mean in both directions from the luminance, which leaves the lattice frequencies whole.

    Args:
        images: uint8 (N, H, W, C).

    Returns:
        int64 (N, H - 2, W - 2), in grey levels times 16 C. They are whole numbers, as rounding would pass for variance
        of blank images.
    """
    # the sum of the channels, not their mean, keeps all numbers whole
    luminance = images.sum(-1, dtype=np.int64)
    low = convolve1d(luminance, LOW_PASS, axis=1)
    low = convolve1d(low, LOW_PASS, axis=2)
    high = 16 * luminance - low
    # the mean of a pixel on the border would need pixels outside the image
    return high[:, 1:-1, 1:-1]


def to_decibels(ours: float, reference: float) -> float:
    """Compute 10 log10(ours / reference). It is NaN for 0 / 0 and for whatever holds a NaN."""
    # a ratio of 0 or infinity is a value here, not a mistake to warn of
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.float64(ours) / reference
        return 10 * float(np.log10(ratio))


CHECKERBOARD = Metric(checkerboard, "samples", "dB", "lower")
LATTICE_ENERGY = Metric(lattice_energy, "samples", "dB", "lower", members=tuple(LATTICE))
PHASE_VARIANCE = Metric(phase_variance, "samples", "dB", "lower")

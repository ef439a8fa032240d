"""How far an autoencoder's pictures are from its inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from upbench.metrics.base import Metric

PEAK = 255.0
SIGMA = 1.5  # of SSIM's window, the published one
RADIUS = 5  # of SSIM's window, which is 11 x 11
LUMINANCE_CONSTANT = (0.01 * PEAK) ** 2
STRUCTURE_CONSTANT = (0.03 * PEAK) ** 2


def reconstruction_rmse(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Compute the root mean square error over all images, pixels and channels.

    Args:
        ours: uint8 (N, H, W, C), reconstructed images.
        original: uint8 (N, H, W, C), the images that were to be reconstructed.

    Returns:
        The error in grey levels, 0 to 255. NaN without images.

    Source:
        The square root of the MSE of Wang et al., IEEE Transactions on Image Processing 13 (2004), section I.
    """
    if not ours.size:
        return float("nan")
    errors = ours.astype(np.float64) - original
    return float(np.sqrt(np.mean(errors**2)))


def reconstruction_psnr(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Compute the peak signal-to-noise ratio 10 log10(255^2 / MSE), with the MSE of all images together.

    Args:
        ours: uint8 (N, H, W, C), reconstructed images.
        original: uint8 (N, H, W, C), the images that were to be reconstructed.

    Returns:
        The ratio in decibels, 0 or more, infinite if all images are exact. NaN without images.

    Source:
        Wang et al., IEEE Transactions on Image Processing 13 (2004), section I.
    """
    # 10 log10 of the squares is 20 log10 of the roots
    error = reconstruction_rmse(ours, original)
    if error == 0:
        return float("inf")
    return float(20 * np.log10(PEAK / error))


def reconstruction_ssim(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Compute the mean structural similarity over images, channels and the windows that lie inside the image.

    The windows are Gaussian, 11 x 11 pixels with sigma 1.5; the constants are 0.01 and 0.03.

    Args:
        ours: uint8 (N, H, W, C), reconstructed images.
        original: uint8 (N, H, W, C), the images that were to be reconstructed.

    Returns:
        The mean, -1 to 1. NaN without images.

    Raises:
        ValueError: for images below 11 x 11 pixels.

    Source:
        Wang et al., IEEE Transactions on Image Processing 13 (2004), section III, eq. 13 to 17.
    """
    height, width = ours.shape[1:3]
    if min(height, width) <= 2 * RADIUS:
        raise ValueError(f"SSIM needs images of at least 11 x 11 pixels, got {height} x {width}")
    scores = []
    # one image at a time: all of them as float64, ten times over, would fill the memory
    for our_image, original_image in zip(ours, original, strict=True):
        scores.append(image_ssim(our_image, original_image))
    if not scores:
        return float("nan")
    return float(np.mean(scores))


def image_ssim(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Compute the mean structural similarity of two images.

    Args:
        ours: uint8 (H, W, C).
        original: uint8 (H, W, C).

    Returns:
        The mean over channels and windows, -1 to 1.

    Source:
        Wang et al., IEEE Transactions on Image Processing 13 (2004), section III, eq. 13 to 17.
    """
    x = ours.astype(np.float64)
    y = original.astype(np.float64)
    mean_x = window_means(x)
    mean_y = window_means(y)
    # the variance as E[x^2] - E[x]^2 takes the same windows as the means
    mean_xx = mean_x * mean_x
    mean_yy = mean_y * mean_y
    variance_x = window_means(x * x) - mean_xx
    variance_y = window_means(y * y) - mean_yy
    covariance = window_means(x * y) - mean_x * mean_y
    luminance = 2 * mean_x * mean_y + LUMINANCE_CONSTANT
    luminance /= mean_xx + mean_yy + LUMINANCE_CONSTANT
    structure = 2 * covariance + STRUCTURE_CONSTANT
    structure /= variance_x + variance_y + STRUCTURE_CONSTANT
    similarity = luminance * structure
    return float(np.mean(similarity))


def window_means(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the weighted means of all windows that lie inside an image: (H, W, C) -> (H - 10, W - 10, C)."""
    # sigma 0 on the last axis: channels do not mix
    means = gaussian_filter(image, (SIGMA, SIGMA, 0), radius=(RADIUS, RADIUS, 0))
    inside = slice(RADIUS, -RADIUS)
    return means[inside, inside]


RECONSTRUCTION_RMSE = Metric(reconstruction_rmse, "reconstructions", "grey levels", "lower")
RECONSTRUCTION_PSNR = Metric(reconstruction_psnr, "reconstructions", "dB", "higher")
RECONSTRUCTION_SSIM = Metric(reconstruction_ssim, "reconstructions", "1", "higher")

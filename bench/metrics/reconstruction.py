"""How far an autoencoder's pictures are from its inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bench.metrics.base import Metric

PEAK = 255.0
SIGMA, RADIUS = 1.5, 5  # SSIM's window: 11 x 11, the published one
STABILISERS = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def reconstruction_rmse(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Root mean square error over all pixels and channels, in grey levels, 0 to 255; NaN without images."""
    if not ours.size:
        return float("nan")
    return float(np.sqrt(np.mean((ours.astype(np.float64) - original) ** 2)))


def reconstruction_psnr(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio 10 log10(255^2 / MSE), MSE over all images, infinite if all are exact.

    NaN without images. Source: Wang et al., IEEE Transactions on Image Processing 13 (2004), section I.
    """
    error = reconstruction_rmse(ours, original)
    return float(20 * np.log10(PEAK / error)) if error else float("inf")


def reconstruction_ssim(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Mean structural similarity, -1 to 1, over images, channels and windows inside the image; NaN without images.

    Gaussian windows of 11 x 11 pixels with sigma 1.5, constants 0.01 and 0.03. Source: Wang et al., IEEE Transactions
    on Image Processing 13 (2004), section III, eq. 13 to 17. Raises ValueError for images below 11 x 11 pixels.
    """
    if min(ours.shape[1:3]) <= 2 * RADIUS:
        raise ValueError(f"SSIM needs images of at least 11 x 11 pixels, got {ours.shape[1]} x {ours.shape[2]}")
    scores = [_similarity(*pair) for pair in zip(ours, original, strict=True)]  # one at a time, for memory's sake
    return float(np.mean(scores)) if scores else float("nan")


def _similarity(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Mean structural similarity of two images (H, W, C)."""
    x, y = ours.astype(np.float64), original.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = STABILISERS
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float(np.mean(luminance * structure))


def _blur(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted means of all windows that lie inside the image, (H - 10, W - 10, C)."""
    return gaussian_filter(image, (SIGMA, SIGMA, 0), radius=(RADIUS, RADIUS, 0))[RADIUS:-RADIUS, RADIUS:-RADIUS]


RECONSTRUCTION_RMSE = Metric(reconstruction_rmse, "reconstructions", "grey levels", "lower")
RECONSTRUCTION_PSNR = Metric(reconstruction_psnr, "reconstructions", "dB", "higher")
RECONSTRUCTION_SSIM = Metric(reconstruction_ssim, "reconstructions", "1", "higher")

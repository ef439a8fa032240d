"""How far an autoencoder's pictures are from its inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.metrics.base import Metric


def reconstruction_rmse(ours: NDArray[np.uint8], original: NDArray[np.uint8]) -> float:
    """Root mean square error over all pixels and channels, in grey levels, 0 to 255; NaN without images.

    Raises ValueError for unequal shapes.
    """
    if ours.shape != original.shape:
        raise ValueError(f"reconstructions {ours.shape} and originals {original.shape} differ in shape")
    if not ours.size:
        return float("nan")
    return float(np.sqrt(np.mean((ours.astype(np.float64) - original) ** 2)))


RECONSTRUCTION_RMSE = Metric(reconstruction_rmse, "reconstructions", "grey levels", "lower")

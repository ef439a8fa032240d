"""Boundary IoU: overlap of the bands along the class contours, where up-sampling layers can differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from bench.data.base import VOID
from bench.metrics.base import Metric

DILATION_RATIO = 0.02  # band width as a share of the image diagonal, the published default


def boundary_iou(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int) -> float:
    """Mean over classes of the IoU of inner boundary bands, pooled over the data set, 0 to 1.

    The band of a mask is its pixels within round(0.02 * diagonal), at least 1, pixels of its contour; the image border
    counts as contour. Void pixels are left out. A class without band pixels in both is left out; NaN if all are.
    Source: Cheng et al., arXiv 2103.16562, section 4, eq. 2.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    width = max(1, round(DILATION_RATIO * float(np.hypot(*truth.shape[1:]))))
    kept = truth != VOID
    scores = []
    for label in range(classes):
        # void counts as inside while the bands are drawn, or its own outline would be taken for a contour
        ours, true = (band((labels == label) | ~kept, width) & kept for labels in (prediction, truth))
        if union := np.count_nonzero(ours | true):
            scores.append(np.count_nonzero(ours & true) / union)
    return float(np.mean(scores)) if scores else float("nan")


def band(masks: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Pixels of each mask, (N, H, W), that are at most `width` pixels (chessboard distance) from its contour."""
    square = np.ones((1, 3, 3), bool)
    return masks & ~binary_erosion(masks, square, iterations=width, border_value=0)


BOUNDARY_IOU = Metric(boundary_iou, "masks", "1", "higher")

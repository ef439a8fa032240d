"""Boundary IoU, boundary F and trimap IoU: agreement along the class contours, where up-sampling layers can differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, maximum_filter, minimum_filter

from bench.data.base import VOID
from bench.metrics.base import Metric
from bench.metrics.overlap import mean_iou

DILATION_RATIO = 0.02  # band width as a share of the image diagonal, the published default
TOLERANCE_RATIO = 0.0075  # distance at which contours still match, likewise
RADII = (1, 2, 3, 5, 10, 20)


def boundary_iou(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int) -> float:
    """Mean over classes of the IoU of inner boundary bands, pooled over the data set, 0 to 1.

    The band of a mask is its pixels within round(0.02 * diagonal), at least 1, pixels of its contour; the image border
    counts as contour. Void pixels are left out. A class without band pixels in both is left out; NaN if all are.
    Source: Cheng et al., arXiv 2103.16562, section 4, eq. 2.
    """
    width = pixels(DILATION_RATIO, truth)
    kept = truth != VOID
    scores = []
    for label in range(classes):
        # void counts as inside while the bands are drawn, or its own outline would be taken for a contour
        ours, true = (band((labels == label) | ~kept, width) & kept for labels in (prediction, truth))
        if union := np.count_nonzero(ours | true):
            scores.append(np.count_nonzero(ours & true) / union)
    return float(np.mean(scores)) if scores else float("nan")


def boundary_f(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int) -> float:
    """Mean over classes of the F-score of contour pixels, pooled over the data set, 0 to 1.

    Precision is the share of the predicted class's contour pixels within round(0.0075 * diagonal), at least 1, pixels
    of its true contour, recall the converse, F = 2 P R / (P + R). Contours are inner ones, 4-connected; the image
    border is none. Void pixels are left out. A class without contour on either side is left out; NaN if all are.
    Source: Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013, section 3, who take
    the mean of single images instead of pooling them; Perazzi et al., CVPR 2016, section 5.1, contour accuracy.
    """
    reach = pixels(TOLERANCE_RATIO, truth)
    kept = truth != VOID
    scores = []
    for label in range(classes):
        ours, true = (contour((labels == label) | ~kept) & kept for labels in (prediction, truth))
        if ours.any() or true.any():
            precision, recall = matched(ours, true, reach), matched(true, ours, reach)
            scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return float(np.mean(scores)) if scores else float("nan")


def trimap_iou(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int) -> dict[str, float]:
    """Mean IoU over the pixels near a true contour, for radii of 1, 2, 3, 5, 10 and 20 pixels; NaN where no contour is.

    Within radius r of a contour are the pixels whose (2 r + 1) x (2 r + 1) neighbourhood has more than one true label.
    Void is such a label, as it lies on the contours of PASCAL VOC, but its own pixels do not count.
    Source: Kraehenbuehl and Koltun, arXiv 1210.5644, section 5, after Kohli et al., IJCV 2009; void as by Chen et al.,
    arXiv 1606.00915, section 4.
    """
    return {str(radius): mean_iou(prediction, trimap(truth, radius), classes=classes) for radius in RADII}


def pixels(ratio: float, masks: NDArray) -> int:
    """A share of the diagonal of masks (N, H, W) in whole pixels, at least 1."""
    return max(1, round(ratio * float(np.hypot(*masks.shape[1:]))))


def band(masks: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Pixels of each mask, (N, H, W), that are at most `width` pixels (chessboard distance) from its contour."""
    square = np.ones((1, 3, 3), bool)
    return masks & ~binary_erosion(masks, square, iterations=width, border_value=0)


def contour(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of each mask, (N, H, W), with a pixel of the image outside the mask above, below, left or right."""
    return masks & ~binary_erosion(masks, disk(1), border_value=1)


def matched(contours: NDArray[np.bool_], others: NDArray[np.bool_], reach: int) -> float:
    """Share of contour pixels, (N, H, W), within `reach` pixels (Euclidean) of the other contours; 0 of none."""
    count = int(np.count_nonzero(contours))
    return int(np.count_nonzero(contours & binary_dilation(others, disk(reach)))) / count if count else 0.0


def disk(radius: int) -> NDArray[np.bool_]:
    """(1, 2 r + 1, 2 r + 1): what lies within `radius` pixels of the middle."""
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets**2 <= radius**2)[None]


def trimap(truth: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """The masks, (N, H, W), with void wherever only one label is within `radius` pixels (chessboard distance)."""
    window = (1, 2 * radius + 1, 2 * radius + 1)
    near = maximum_filter(truth, window, mode="nearest") != minimum_filter(truth, window, mode="nearest")
    return np.where(near, truth, np.uint8(VOID))


BOUNDARY_IOU = Metric(boundary_iou, "masks", "1", "higher")
BOUNDARY_F = Metric(boundary_f, "masks", "1", "higher")
TRIMAP_IOU = Metric(trimap_iou, "masks", "1", "higher", members=tuple(map(str, RADII)))

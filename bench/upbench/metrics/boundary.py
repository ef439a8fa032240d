"""Boundary IoU, boundary F and trimap IoU: agreement along the class contours, where up-sampling layers can differ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, maximum_filter, minimum_filter

from upbench.masks import VOID
from upbench.metrics.base import Metric
from upbench.metrics.overlap import mean_iou, mean_of_known

DILATION_RATIO = 0.02  # band width as a share of the image diagonal, the published default
TOLERANCE_RATIO = 0.0075  # distance at which contours still match, likewise
RADII = (1, 2, 3, 5, 10, 20)  # half-widths of trimaps in pixels


def boundary_iou(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
) -> float:
    """Compute the mean over classes of the IoU of inner boundary bands, pooled over the data set.

    The band of a mask is its pixels within round(0.02 * diagonal), at least 1, pixels of its contour. The image border
    counts as contour.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void and do not count.
        classes: the number of classes.

    Returns:
        The mean, 0 to 1. A class without band pixels on both sides is left out; NaN if all are.

    Source:
        Cheng et al., arXiv 2103.16562, section 4, eq. 2.
    """
    width = diagonal_share(truth, DILATION_RATIO)
    void = truth == VOID
    kept = ~void
    scores = []
    for label in range(classes):
        # void counts as inside while the bands are drawn, or its own outline would be taken for a contour
        our_mask = void | (prediction == label)
        true_mask = void | (truth == label)
        our_band = kept & draw_band(our_mask, width)
        true_band = kept & draw_band(true_mask, width)
        union = np.count_nonzero(our_band | true_band)
        if union:
            intersection = np.count_nonzero(our_band & true_band)
            scores.append(intersection / union)
    return mean_of_known(np.array(scores))


def boundary_f(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
) -> float:
    """Compute the mean over classes of the F-score of contour pixels, pooled over the data set.

    Precision P is the share of the predicted class's contour pixels within round(0.0075 * diagonal), at least 1, pixels
    of its true contour. Recall R is the converse, and F = 2 P R / (P + R). Contours are inner ones, 4-connected; the
    image border is none.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void and do not count.
        classes: the number of classes.

    Returns:
        The mean, 0 to 1. A class without contour on both sides is left out; NaN if all are.

    Source:
        Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013, section 3, who take the
        mean of single images instead of pooling them; Perazzi et al., CVPR 2016, section 5.1, contour accuracy.
    """
    reach = diagonal_share(truth, TOLERANCE_RATIO)
    void = truth == VOID
    kept = ~void
    scores = []
    for label in range(classes):
        # void counts as inside here too
        our_mask = void | (prediction == label)
        true_mask = void | (truth == label)
        our_contour = kept & draw_contour(our_mask)
        true_contour = kept & draw_contour(true_mask)
        if not np.any(our_contour | true_contour):
            continue
        # pooled: the pixels of all images are matched first, and the shares are taken once
        precision = matched_share(our_contour, true_contour, reach)
        recall = matched_share(true_contour, our_contour, reach)
        scores.append(f_score(precision, recall))
    return mean_of_known(np.array(scores))


def trimap_iou(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
) -> dict[str, float]:
    """Compute the mean IoU over the pixels near a true contour, for each of several radii.

    Within radius r of a contour are the pixels whose (2 r + 1) x (2 r + 1) neighbourhood has more than one true label.
    Void is such a label, as it lies on the contours of PASCAL VOC, but its own pixels do not count.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void.
        classes: the number of classes.

    Returns:
        The mean IoU, 0 to 1, by the radius in pixels: "1", "2", "3", "5", "10" and "20". NaN where no contour is.

    Source:
        Kraehenbuehl and Koltun, arXiv 1210.5644, section 5, after Kohli et al., IJCV 2009; void as by Chen et al.,
        arXiv 1606.00915, section 4.
    """
    ious = {}
    for radius in RADII:
        near_contours = draw_trimap(truth, radius)
        ious[str(radius)] = mean_iou(prediction, near_contours, classes=classes)
    return ious


def diagonal_share(masks: NDArray, ratio: float) -> int:
    """Express a share of the diagonal of masks, (N, H, W), in whole pixels, at least 1."""
    height, width = masks.shape[1:]
    diagonal = float(np.hypot(height, width))
    return max(1, round(ratio * diagonal))


def draw_band(masks: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Find the pixels of each mask, (N, H, W), that are at most `width` pixels (chessboard) from its contour."""
    square = np.ones((1, 3, 3), bool)
    # border 0: what lies outside the image is outside the mask, so that the image border counts as contour
    interior = binary_erosion(masks, square, iterations=width, border_value=0)
    return masks & ~interior


def draw_contour(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the pixels of each mask, (N, H, W), that have a pixel outside the mask above, below, left or right."""
    # border 1: what lies outside the image is inside the mask, so that the image border is no contour
    interior = binary_erosion(masks, draw_disk(1), border_value=1)
    return masks & ~interior


def draw_disk(radius: int) -> NDArray[np.bool_]:
    """Draw a disk, bool (1, 2 radius + 1, 2 radius + 1): what lies within `radius` pixels of the middle."""
    offsets = np.arange(-radius, radius + 1)
    squares = offsets**2
    distances = squares[:, None] + squares
    disk = distances <= radius**2
    # the axis of the images, as no disk reaches from one image into the next
    return disk[None]


def draw_trimap(truth: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Void the masks, (N, H, W), wherever only one label is within `radius` pixels (chessboard distance)."""
    side = 2 * radius + 1
    window = (1, side, side)
    # several labels are near where the highest and the lowest differ; "nearest" brings no other label in at the border
    highest = maximum_filter(truth, window, mode="nearest")
    lowest = minimum_filter(truth, window, mode="nearest")
    has_contour = highest != lowest
    return np.where(has_contour, truth, np.uint8(VOID))


def matched_share(contours: NDArray[np.bool_], others: NDArray[np.bool_], reach: int) -> float:
    """Compute the share of contour pixels, (N, H, W), within `reach` pixels (Euclidean) of the other contours.

    The share of no pixels is 0.
    """
    count = int(np.count_nonzero(contours))
    if not count:
        return 0.0
    near_others = binary_dilation(others, draw_disk(reach))
    matched = contours & near_others
    return int(np.count_nonzero(matched)) / count


def f_score(precision: float, recall: float) -> float:
    """Compute the harmonic mean of precision and recall, 0 where both are 0."""
    total = precision + recall
    if total == 0:
        return 0.0
    return 2 * precision * recall / total


BOUNDARY_IOU = Metric(boundary_iou, "masks", "1", "higher")
BOUNDARY_F = Metric(boundary_f, "masks", "1", "higher")
TRIMAP_IOU = Metric(trimap_iou, "masks", "1", "higher", members=tuple(str(radius) for radius in RADII))

"""Pixel accuracy and intersection over union, from one confusion matrix over the whole data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upbench.masks import VOID
from upbench.metrics.base import OPEN, Metric


def pixel_accuracy(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
) -> float:
    """Compute the share of pixels whose class is right.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void and do not count.
        classes: the number of classes.

    Returns:
        The share of the pixels that are not void, 0 to 1. NaN if every pixel is void.

    Source:
        Long et al., arXiv 1411.4038, section 5, "pixel accuracy".
    """
    counts = count_confusions(prediction, truth, classes)
    pixels = counts.sum()
    if not pixels:
        return float("nan")
    return float(np.trace(counts) / pixels)


def mean_iou(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
) -> float:
    """Compute the mean over classes of the intersection over union |P and T| / |P or T|, pooled over the data set.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void and do not count.
        classes: the number of classes.

    Returns:
        The mean, 0 to 1. A class that neither the truth nor the prediction contains has no IoU and is left out; NaN if
        all are.

    Source:
        Everingham et al., The PASCAL VOC Challenge (2015), section 4.2.
    """
    counts = count_confusions(prediction, truth, classes)
    return mean_of_known(class_ious(counts))


def iou(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
    class_names: tuple[str, ...],
) -> dict[str, float]:
    """Compute the intersection over union |P and T| / |P or T| of each class, pooled over the data set.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void and do not count.
        classes: the number of classes.
        class_names: the name of each class.

    Returns:
        The IoU, 0 to 1, by the name of the class. NaN for a class that neither the truth nor the prediction contains.

    Source:
        Everingham et al., The PASCAL VOC Challenge (2015), section 4.2.
    """
    counts = count_confusions(prediction, truth, classes)
    ious = class_ious(counts).tolist()
    return dict(zip(class_names, ious, strict=True))


def mean_iou_released(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    *,
    classes: int,
    channels: int,
) -> float:
    """Compute the mean IoU as the released code of PixelDCL did, by mistake. Use it only to compare with its figures.

    A pixel counts if its true label is below the number of channels of an image. Of the classes from that number on,
    only false predictions are seen: such a class has an IoU of 0, or none where nobody predicts it. Void is not treated
    apart, as its label, 255, falls to the same condition. Up to `channels` classes this is `mean_iou`.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes. Pixels of the label 255 are void and do not count.
        classes: the number of classes.
        channels: the number of channels of an image.

    Returns:
        The mean, 0 to 1. NaN if no pixel counts.

    Source:
        The weight of `m_iou` in the released network.py of Gao et al., arXiv 1705.06820.
    """
    # what does not count is made void
    counted = np.where(truth < channels, truth, np.uint8(VOID))
    return mean_iou(prediction, counted, classes=classes)


def count_confusions(
    prediction: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    classes: int,
) -> NDArray[np.int64]:
    """Count pixels by their true and their predicted class; void pixels are left out.

    Args:
        prediction: uint8 (N, H, W), predicted classes.
        truth: uint8 (N, H, W), true classes.
        classes: the number of classes.

    Returns:
        int64 (classes, classes): a row for each true class, a column for each predicted class.
    """
    kept = truth != VOID
    predicted_labels = prediction[kept].astype(np.int64)
    true_labels = truth[kept].astype(np.int64)
    # one number for each pair of labels, so that one pass counts them all
    pairs = true_labels * classes + predicted_labels
    counts = np.bincount(pairs, minlength=classes**2)
    return counts.reshape(classes, classes)


def class_ious(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute |P and T| / |P or T| of each class.

    Args:
        counts: int64 (classes, classes), what `count_confusions` returns.

    Returns:
        float64 (classes,), 0 to 1. NaN for a class that neither side has.

    Source:
        Everingham et al., The PASCAL VOC Challenge (2015), section 4.2.
    """
    intersection = np.diag(counts)
    predicted = counts.sum(0)
    true = counts.sum(1)
    union = predicted + true - intersection
    # what is not divided stays NaN
    ious = np.full(len(counts), np.nan)
    np.divide(intersection, union, out=ious, where=union > 0)
    return ious


def mean_of_known(values: NDArray[np.float64]) -> float:
    """Take the mean of the values that are not NaN; it is NaN if all are."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan")
    return float(np.mean(known))


PIXEL_ACCURACY = Metric(pixel_accuracy, "masks", "1", "higher")
MEAN_IOU = Metric(mean_iou, "masks", "1", "higher")
IOU = Metric(iou, "masks", "1", "higher", members=(OPEN,))
MEAN_IOU_RELEASED = Metric(mean_iou_released, "masks", "1", "higher")

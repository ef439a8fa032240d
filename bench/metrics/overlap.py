"""Pixel accuracy and intersection over union, from one confusion matrix over the whole data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.base import VOID
from bench.metrics.base import OPEN, Metric


def confusion(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts of pixels, true class by predicted class; void pixels are left out."""
    kept = truth != VOID
    ours, true = prediction[kept].astype(np.int64), truth[kept].astype(np.int64)
    return np.bincount(true * classes + ours, minlength=classes**2).reshape(classes, classes)


def class_ious(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes,) values of |P and T| / |P or T|, NaN for a class that neither has.

    Source: Everingham et al., The PASCAL VOC Challenge (2015), section 4.2.
    """
    shared, union = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    return np.divide(shared, union, out=np.full(len(table), np.nan), where=union > 0)


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean of those that are not NaN; NaN if all are."""
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else float("nan")


def pixel_accuracy(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int) -> float:
    """Share of non-void pixels whose class is right, 0 to 1; NaN if every pixel is void.

    Source: Long et al., arXiv 1411.4038, section 5, "pixel accuracy".
    """
    table = confusion(prediction, truth, classes)
    return float(np.trace(table) / table.sum()) if table.sum() else float("nan")


def mean_iou(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int) -> float:
    """Mean over classes of |P and T| / |P or T|, pooled over the data set, 0 to 1.

    A class that neither the truth nor the prediction contains has no IoU and is left out; NaN if all are.
    Source: Everingham et al., The PASCAL VOC Challenge (2015), section 4.2.
    """
    return mean_of_known(class_ious(confusion(prediction, truth, classes)))


def iou(
    prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int, class_names: tuple[str, ...]
) -> dict[str, float]:
    """The IoU of each class, by its name, pooled over the data set, 0 to 1; NaN for a class that neither side has.

    Source: Everingham et al., The PASCAL VOC Challenge (2015), section 4.2.
    """
    return dict(zip(class_names, class_ious(confusion(prediction, truth, classes)).tolist(), strict=True))


def mean_iou_released(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], *, classes: int, channels: int) -> float:
    """Mean IoU as the released code of PixelDCL computed it, a mistake: only to compare with its figures.

    A pixel counts if its true label is below the number of channels of an image, so of the classes from there on only
    false predictions are seen, which gives them an IoU of 0, or none where nobody predicts them. Void is not treated
    apart: its label, 255, falls to the same condition. Up to `channels` classes this is `mean_iou`.
    NaN if no pixel counts. Source: the weight of `m_iou` in the released network.py of Gao et al., arXiv 1705.06820.
    """
    counted = np.where(truth < channels, truth, np.uint8(VOID))
    return mean_iou(prediction, counted, classes=classes)


PIXEL_ACCURACY = Metric(pixel_accuracy, "masks", "1", "higher")
MEAN_IOU = Metric(mean_iou, "masks", "1", "higher")
IOU = Metric(iou, "masks", "1", "higher", members=(OPEN,))
MEAN_IOU_RELEASED = Metric(mean_iou_released, "masks", "1", "higher")

"""Pixel accuracy and mean intersection over union, both from one confusion matrix over the whole data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.base import VOID
from bench.metrics.base import Metric


def confusion(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts of pixels, true class by predicted class; void pixels are left out.

    Raises ValueError for unequal shapes or a class outside 0 .. classes - 1.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    kept = truth != VOID
    ours, true = prediction[kept].astype(np.int64), truth[kept].astype(np.int64)
    if max(ours.max(initial=0), true.max(initial=0)) >= classes:
        raise ValueError(f"labels must be below {classes}, the number of classes")
    return np.bincount(true * classes + ours, minlength=classes**2).reshape(classes, classes)


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
    table = confusion(prediction, truth, classes)
    shared, union = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    return float(np.mean(shared[union > 0] / union[union > 0])) if union.any() else float("nan")


PIXEL_ACCURACY = Metric(pixel_accuracy, "masks", "1", "higher")
MEAN_IOU = Metric(mean_iou, "masks", "1", "higher")

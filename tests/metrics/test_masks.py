"""Mask metrics against their definitions, written out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.metrics import METRICS
from bench.metrics.boundary import band, boundary_iou
from bench.metrics.overlap import mean_iou, pixel_accuracy

CLASSES = 3
LABELS = st.sampled_from([0, 1, 2])
SHAPE = (2, 6, 7)
predictions = arrays(np.uint8, SHAPE, elements=LABELS)
truths = arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 255]))


def slow_mean_iou(prediction, truth) -> float:
    scores = []
    for label in range(CLASSES):
        shared = union = 0
        for ours, true in zip(prediction.ravel(), truth.ravel(), strict=True):
            if true != 255:
                shared += ours == label and true == label
                union += ours == label or true == label
        if union:
            scores.append(shared / union)
    return sum(scores) / len(scores) if scores else math.nan


@settings(deadline=None)
@given(predictions, truths)
def test_overlap_is_its_definition(prediction, truth) -> None:
    assert mean_iou(prediction, truth, classes=CLASSES) == pytest.approx(slow_mean_iou(prediction, truth), nan_ok=True)
    kept = truth != 255
    expected = (prediction == truth)[kept].mean() if kept.any() else math.nan
    assert pixel_accuracy(prediction, truth, classes=CLASSES) == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(arrays(np.bool_, (1, 7, 8)), st.integers(1, 3))
def test_the_band_is_its_definition(mask, width: int) -> None:
    """A pixel is in the band if a pixel outside the mask, or outside the image, is within `width` of it."""
    padded = np.pad(mask[0], width)
    near = np.zeros_like(mask[0])
    for row, column in np.ndindex(*mask.shape[1:]):
        near[row, column] = not padded[row : row + 2 * width + 1, column : column + 2 * width + 1].all()
    assert np.array_equal(band(mask, width)[0], mask[0] & near)


@settings(deadline=None)
@given(truths)
def test_a_perfect_prediction_scores_one_whatever_is_void(truth) -> None:
    prediction = np.where(truth == 255, 0, truth).astype(np.uint8)
    for name in METRICS:
        metric = METRICS.get(name)
        if metric.compares == "masks":
            value = metric.compute(prediction, truth, classes=CLASSES)
            assert value == 1 or math.isnan(value), name
            assert value == 1 or name == "boundary_iou" or (truth == 255).all(), "only bands can be all void"


def test_boundary_iou_sees_a_shifted_contour_that_the_interior_hides() -> None:
    truth = np.zeros((1, 128, 128), np.uint8)
    truth[:, 20:100, 20:100] = 1
    shifted = np.roll(truth, 2, axis=2)
    assert mean_iou(shifted, truth, classes=2) > 0.95
    assert boundary_iou(shifted, truth, classes=2) < 0.75


def test_void_pixels_do_not_count() -> None:
    truth = np.zeros((1, 8, 8), np.uint8)
    truth[:, :, 4:] = 255
    wrong_in_void = np.zeros_like(truth)
    wrong_in_void[:, :, 4:] = 1
    assert mean_iou(wrong_in_void, truth, classes=2) == 1


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS.get(name).compares == "masks"])
def test_unequal_shapes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        METRICS.get(name).compute(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 5), np.uint8), classes=2)


def test_labels_beyond_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="below 2"):
        mean_iou(np.full((1, 2, 2), 2, np.uint8), np.zeros((1, 2, 2), np.uint8), classes=2)

"""Mask metrics against their definitions, written out slowly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from upbench.metrics import METRICS
from upbench.metrics.boundary import RADII, boundary_f, boundary_iou, draw_band, draw_contour, draw_trimap, trimap_iou
from upbench.metrics.overlap import iou, mean_iou, mean_iou_released, pixel_accuracy

CLASSES = 3
NAMES = ("a", "b", "c")
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
    assert np.array_equal(draw_band(mask, width)[0], mask[0] & near)


@settings(deadline=None)
@given(truths)
def test_a_perfect_prediction_scores_one_whatever_is_void(truth) -> None:
    prediction = np.where(truth == 255, 0, truth).astype(np.uint8)
    for name in METRICS:
        metric = METRICS.get(name)
        if metric.compares == "masks":
            value = metric(prediction, truth, classes=CLASSES, class_names=NAMES, channels=3)
            for each in value.values() if metric.members else [value]:
                assert each == 1 or math.isnan(each), name


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


@settings(deadline=None)
@given(predictions, truths)
def test_ious_are_those_of_torchmetrics(prediction, truth) -> None:
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

    ours, true = torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()
    kept = truth != 255
    seen = {*prediction[kept].tolist(), *truth[kept].tolist()}
    by_class = multiclass_jaccard_index(ours, true, CLASSES, average="none", ignore_index=255)
    for label, value in enumerate(iou(prediction, truth, classes=CLASSES, class_names=NAMES).values()):
        assert value == pytest.approx(float(by_class[label])) if label in seen else math.isnan(value)
    if kept.any():
        mean = multiclass_jaccard_index(ours, true, CLASSES, ignore_index=255)
        assert mean_iou(prediction, truth, classes=CLASSES) == pytest.approx(float(mean))
        right = multiclass_accuracy(ours, true, CLASSES, average="micro", ignore_index=255)
        assert pixel_accuracy(prediction, truth, classes=CLASSES) == pytest.approx(float(right))


@settings(deadline=None)
@given(predictions, truths, st.integers(1, 3))
def test_the_released_mean_is_that_of_weights_below_the_channels(prediction, truth, channels: int) -> None:
    weight = truth < channels
    scores = []
    for label in range(CLASSES):
        ours, true = (prediction == label) & weight, (truth == label) & weight
        if (ours | true).any():
            scores.append((ours & true).sum() / (ours | true).sum())
    released = mean_iou_released(prediction, truth, classes=CLASSES, channels=channels)
    assert released == pytest.approx(np.mean(scores) if scores else math.nan, nan_ok=True)
    if channels == CLASSES:
        assert released == pytest.approx(mean_iou(prediction, truth, classes=CLASSES), nan_ok=True)


def test_the_released_mean_is_blind_to_what_the_standard_one_sees() -> None:
    """A class from the number of channels on: found or missed, the released figure stays as it is."""
    truth = np.zeros((1, 4, 4), np.uint8)
    truth[:, :, 2:] = 3
    missed = np.zeros_like(truth)
    facts = {"classes": 4, "channels": 3}
    assert mean_iou_released(missed, truth, **facts) == mean_iou_released(truth, truth, **facts) == 1
    assert mean_iou(missed, truth, classes=4) < mean_iou(truth, truth, classes=4)


@settings(deadline=None, max_examples=50)
@given(truths, st.sampled_from(RADII[:3]))
def test_the_trimap_is_its_definition(truth, radius: int) -> None:
    expected = np.full_like(truth, 255)
    for image, row, column in np.ndindex(*truth.shape):
        rows, columns = (slice(max(0, at - radius), at + radius + 1) for at in (row, column))
        if len(np.unique(truth[image, rows, columns])) > 1:
            expected[image, row, column] = truth[image, row, column]
    assert np.array_equal(draw_trimap(truth, radius), expected)


def test_trimaps_see_a_shifted_contour_the_better_the_narrower_they_are() -> None:
    truth = np.zeros((1, 128, 128), np.uint8)
    truth[:, 20:100, 20:100] = 1
    values = list(trimap_iou(np.roll(truth, 2, axis=2), truth, classes=2).values())
    assert values == sorted(values)
    assert values[0] < 0.6 < 0.8 < values[-1] < mean_iou(np.roll(truth, 2, axis=2), truth, classes=2)


@settings(deadline=None, max_examples=50)
@given(predictions, truths)
def test_boundary_f_is_its_definition(prediction, truth) -> None:
    """Every contour pixel looks for one of the other side within a pixel: images of this size allow no more."""
    kept = truth != 255
    scores = []
    for label in range(CLASSES):
        points = []
        for labels in (prediction, truth):
            inside = (labels == label) | ~kept
            points.append(np.argwhere(slow_contour(inside) & kept) * (9, 1, 1))  # images are far from each other
        found = [sum((np.abs(others - p).sum(1) <= 1).any() for p in ours) for ours, others in (points, points[::-1])]
        if len(points[0]) + len(points[1]):
            precision, recall = (n / max(1, len(p)) for n, p in zip(found, points, strict=True))
            scores.append(2 * precision * recall / max(precision + recall, 1e-12))
    expected = np.mean(scores) if scores else math.nan
    assert boundary_f(prediction, truth, classes=CLASSES) == pytest.approx(expected, nan_ok=True)


def slow_contour(masks):
    edge = np.zeros_like(masks)
    for image, row, column in np.ndindex(*masks.shape):
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= r < masks.shape[1] and 0 <= c < masks.shape[2]:
                edge[image, row, column] |= not masks[image, r, c]
    return edge & masks


def test_boundary_f_forgives_what_is_within_its_reach() -> None:
    truth = np.zeros((1, 256, 256), np.uint8)
    truth[:, 40:200, 40:200] = 1
    near, far = (boundary_f(np.roll(truth, shift, axis=2), truth, classes=2) for shift in (3, 8))
    assert near == 1, "0.75 % of this diagonal is 3 pixels"
    assert 0.4 < far < 0.7, "the two sides along the shift still match"
    assert draw_contour(truth == 1).sum() == 4 * 159


@pytest.mark.parametrize("name", ["mean_iou", "boundary_iou", "boundary_f"])
def test_labels_beyond_the_classes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="below 2"):
        METRICS.get(name)(np.full((1, 2, 2), 2, np.uint8), np.zeros((1, 2, 2), np.uint8), classes=2)

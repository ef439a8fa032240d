"""Every metric of the registry on input at the edge: a documented value or a clear refusal, never a warning."""

from __future__ import annotations

import inspect
import math
import re

import numpy as np
import pytest
from upbench.masks import VOID
from upbench.metrics import METRICS
from upbench.metrics.base import COMPARISONS, OPEN

NAMES = ("a", "b", "c")
FACTS = {"classes": 3, "class_names": NAMES, "channels": 3}
# by the user's weights, which are not here: same functions as by EfficientNet
HERE = [name for name in METRICS if not name.endswith("_inception")]
LEAST = {
    "checkerboard": 16,
    "lattice_energy": 32,
    "phase_variance": 4,
    "spectral_distance": 16,
    "reconstruction_ssim": 11,
}


def metrics_of(comparison: str) -> list[str]:
    return [name for name in HERE if METRICS.get(name).compares == comparison]


def inputs(comparison: str, count: int = 6, side: int = 32):
    rng = np.random.default_rng(0)
    if comparison == "masks":
        return tuple(rng.integers(0, 3, (count, side, side), np.uint8) for _ in range(2))
    return tuple(rng.integers(0, 256, (count, side, side, 3), np.uint8) for _ in range(2))


def values(name: str, ours, reference) -> dict[str, float]:
    """The values by what they are measured as."""
    metric = METRICS.get(name)
    value = metric(ours, reference, **FACTS)
    if not metric.members:
        assert type(value) is float
        return {name: value}
    assert all(type(each) is float for each in value.values())
    assert tuple(value) == (NAMES if metric.members == (OPEN,) else metric.members)
    return {f"{name}[{member}]": each for member, each in value.items()}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_what_it_is(name: str) -> None:
    metric = METRICS.get(name)
    assert metric.compares in COMPARISONS
    assert metric.unit
    assert metric.better in ("lower", "higher")
    assert len(metric.measures(name)) == max(1, len(metric.members))


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_documents_its_arguments_its_value_and_its_source(name: str) -> None:
    compute = METRICS.get(name).compute
    sections = documented_sections(compute)
    assert {"Args", "Returns", "Source"} <= sections.keys()
    for parameter in inspect.signature(compute).parameters:
        assert re.search(rf"^{parameter}: \S", sections["Args"], re.MULTILINE), f"{parameter} is not documented"


def documented_sections(function) -> dict[str, str]:
    """The sections of a docstring in Google's form, each with its text, by their headings."""
    parts = re.split(r"^(\w+):\n", inspect.getdoc(function), flags=re.MULTILINE)
    headings, texts = parts[1::2], parts[2::2]
    sections = {}
    for heading, text in zip(headings, texts, strict=True):
        assert text.strip(), f"{heading} says nothing"
        sections[heading] = inspect.cleandoc("\n" + text)
    return sections


@pytest.mark.parametrize("name", HERE)
def test_common_input_has_finite_values_that_repeat(name: str) -> None:
    ours, reference = inputs(METRICS.get(name).compares)
    before = ours.copy(), reference.copy()
    once = values(name, ours, reference)
    assert all(math.isfinite(value) for value in once.values())
    assert once == values(name, ours, reference)
    assert np.array_equal(ours, before[0])
    assert np.array_equal(reference, before[1]), "metrics change nothing"


@pytest.mark.parametrize("name", HERE)
def test_other_types_are_refused_nan_among_them(name: str) -> None:
    ours, reference = inputs(METRICS.get(name).compares)
    with_nan = ours.astype(np.float32)
    with_nan[0, 0, 0] = np.nan
    for bad in (with_nan, ours.astype(np.int64), ours[0]):
        with pytest.raises(ValueError, match=r"must be uint8 arrays of \d axes"):
            METRICS.get(name)(bad, reference, **FACTS)
        with pytest.raises(ValueError, match=r"must be uint8 arrays of \d axes"):
            METRICS.get(name)(ours, bad, **FACTS)


@pytest.mark.parametrize("name", HERE)
def test_unequal_sizes_are_refused(name: str) -> None:
    ours, reference = inputs(METRICS.get(name).compares)
    with pytest.raises(ValueError, match=r"differ in shape|images of one size"):
        METRICS.get(name)(ours[:, :16], reference, **FACTS)
    if METRICS.get(name).compares != "samples":
        with pytest.raises(ValueError, match="differ in shape"):
            METRICS.get(name)(ours[:2], reference, **FACTS)


@pytest.mark.parametrize("name", HERE)
def test_no_images_are_nan_or_refused(name: str) -> None:
    ours, reference = inputs(METRICS.get(name).compares, count=0)
    if METRICS.get(name).compares == "samples":
        with pytest.raises(ValueError, match="need images"):
            METRICS.get(name)(ours, reference)
    else:
        assert all(math.isnan(value) for value in values(name, ours, reference).values())


@pytest.mark.parametrize("name", HERE)
def test_one_sample_has_a_value_or_is_refused(name: str) -> None:
    ours, reference = inputs(METRICS.get(name).compares, count=1)
    if name.startswith(("kid_", "fd_", "precision_", "recall_")):
        with pytest.raises(ValueError, match=r"need \d images a side, got 1"):
            values(name, ours, reference)
    else:
        assert all(math.isfinite(value) for value in values(name, ours, reference).values())


@pytest.mark.parametrize("name", metrics_of("masks"))
def test_masks_that_are_all_void_have_no_value(name: str) -> None:
    prediction, truth = inputs("masks")
    assert all(math.isnan(value) for value in values(name, prediction, np.full_like(truth, VOID)).values())


@pytest.mark.parametrize("name", metrics_of("masks"))
def test_one_class_is_right_where_it_has_a_value(name: str) -> None:
    """An image of one class has no contour inside it, and no IoU of the other classes."""
    blank = np.zeros((2, 32, 32), np.uint8)
    found = values(name, blank, blank)
    assert all(value == 1 or math.isnan(value) for value in found.values())
    if name in ("boundary_f", "trimap_iou"):
        assert all(math.isnan(value) for value in found.values())
    else:
        assert next(iter(found.values())) == 1
    wrong = values(name, np.ones_like(blank), blank)
    assert all(value == 0 or math.isnan(value) for value in wrong.values())


@pytest.mark.parametrize("name", metrics_of("masks"))
def test_a_label_without_a_class_is_refused(name: str) -> None:
    prediction, truth = inputs("masks")
    with pytest.raises(ValueError, match="labels must be below 3"):
        METRICS.get(name)(np.full_like(prediction, 3), truth, **FACTS)


@pytest.mark.parametrize("name", metrics_of("masks"))
def test_what_is_predicted_for_void_pixels_does_not_matter(name: str) -> None:
    prediction, truth = inputs("masks")
    truth[:, 8:20, 8:20] = VOID
    other = prediction.copy()
    other[truth == VOID] = 2
    assert values(name, prediction, truth) == values(name, other, truth)


@pytest.mark.parametrize("name", metrics_of("samples"))
def test_blank_samples_have_a_value_nan_or_infinity_but_no_warning(name: str) -> None:
    ours, reference = inputs("samples")
    blank = np.full_like(ours, 77)
    found = values(name, blank, reference)
    if name.endswith("_effnet"):
        assert all(math.isfinite(value) for value in found.values())
    else:
        assert not any(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize("name", metrics_of("samples") + metrics_of("reconstructions"))
@pytest.mark.parametrize("side", [1, 2, 8, 14])
def test_small_images_have_a_value_or_are_refused(name: str, side: int) -> None:
    ours, reference = inputs(METRICS.get(name).compares, side=side)
    if side < LEAST.get(name, 1):
        with pytest.raises(ValueError, match=r"at least \d+"):
            values(name, ours, reference)
    else:
        assert all(math.isfinite(value) for value in values(name, ours, reference).values())

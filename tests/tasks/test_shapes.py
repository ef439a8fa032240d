"""A cell is checked with the true shape of its data, and what the check lets pass runs: rectangles, grey images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upbench.cell import Cell, Spec
from upbench.data import DATA
from upbench.data.base import DataShape
from upbench.errors import UserError
from upbench.layers import LAYERS
from upbench.models import MODELS
from upbench.tasks import TASKS

SMALL = {"channels": 8, "depth": 3, "latent": 8, "backbone": "resnet18", "output_stride": 32}
METRICS = {"segmentation": ["mean_iou"], "generation": ["reconstruction_rmse"], "adversarial": ["spectral_distance"]}
PAIRS = [
    (task, model)
    for task in TASKS
    if TASKS.get(task).needs_data
    for model in MODELS
    if MODELS.get(model).role in TASKS.get(task).roles
]


def cell(task: str, model: str, data: str = "npz", **options: object) -> Cell:
    """A short cell; of `options` and `SMALL` the network takes those that it has."""
    wanted = {"steps": 1, "batch": 2, "samples": 4, "metrics": METRICS[task]}
    short = {key: value for key, value in wanted.items() if key in TASKS.options(task)}
    small = {key: value for key, value in {**SMALL, **options}.items() if key in MODELS.options(model)}
    source = {"file": "data.npz"} if data == "npz" else {}
    return Cell(
        Spec(task, TASKS.complete(task, short)),
        Spec(model, MODELS.complete(model, small)),
        Spec("pixel_dcl", LAYERS.complete("pixel_dcl", {})),
        Spec(data, DATA.complete(data, source)),
    )


def check(subject: Cell, shape: DataShape | None) -> None:
    TASKS.build(subject.task.name, **subject.task.options).check(subject, shape)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with grey images of 32 x 64 pixels and masks of two classes."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {"class_names": np.array(["dark", "light"])}
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 32, 64, 1), np.uint8)
        arrays[f"{split}_masks"] = rng.integers(0, 2, (count, 32, 64), np.uint8)
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_rectangles_that_pass_the_check_run(task: str, model: str, folder: Path) -> None:
    subject = cell(task, model)
    shape = DATA.build(subject.data.name, **subject.data.options).shape(folder)
    assert shape == DataShape(32, 64, channels=1, classes=2)
    check(subject, shape)
    result = TASKS.build(task, **subject.task.options).run(subject, folder)
    for ours, reference in result.compared.values():
        assert ours.shape[1:] == reference.shape[1:]
        assert ours.shape[1:3] == (32, 64)


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_a_side_that_cannot_be_halved_is_refused_in_one_line(task: str, model: str) -> None:
    with pytest.raises(ValueError, match=r"^width 25 of 32x25 must be a multiple of \d+ to be halved \d times$"):
        check(cell(task, model), DataShape(32, 25, channels=3, classes=2))


def test_a_deep_unet_is_refused_for_the_side_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^height 120 of 120x160 must be a multiple of 16 to be halved 4 times$"):
        check(cell("segmentation", "unet", depth=5), DataShape(120, 160, channels=3, classes=11))
    check(cell("segmentation", "unet", depth=4), DataShape(120, 160, channels=3, classes=11))


def test_data_without_masks_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(ValueError, match="data set 'npz' has no masks"):
        check(cell("segmentation", "unet"), DataShape(32, 32, channels=3, classes=0))


@pytest.mark.parametrize(("task", "model"), PAIRS)
def test_where_the_shape_cannot_be_known_no_size_is_refused(task: str, model: str) -> None:
    check(cell(task, model, depth=9), None)


def test_where_the_shape_cannot_be_known_other_options_are_still_checked() -> None:
    with pytest.raises(ValueError, match="depth must be at least 2"):
        check(cell("segmentation", "unet", depth=1), None)
    subject = cell("segmentation", "unet")
    layer = Spec("pixel_dcl", {"kernels": 3})
    with pytest.raises(UserError, match="unknown option 'kernels'"):
        check(Cell(subject.task, subject.model, layer, subject.data), None)


def test_where_the_shape_cannot_be_known_the_side_that_the_data_set_cuts_is_checked() -> None:
    with pytest.raises(ValueError, match="size 64 must be a multiple of 256"):
        check(cell("segmentation", "unet", data="earth", depth=9), None)

"""Train a dense network on masks, then score its predictions on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from upbench.cell import Cell
from upbench.data import decoded
from upbench.data.base import Dataset, DataShape
from upbench.errors import UserError
from upbench.masks import VOID
from upbench.tasks.base import (
    Result,
    assume_shape,
    autocast,
    build_network,
    check_metrics,
    check_network,
    check_positive,
    evaluate,
    list_measures,
    select_comparable,
)
from upbench.tasks.training import to_device, to_input, train

SHOWN = 8  # test tiles kept for the figures, spread evenly over the split
EVALUATION_BATCH = 64  # tiles; bounds the memory


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Train by cross-entropy over non-void pixels, and score the last weights on the test split.

    val_mean_iou is the mean IoU on the validation split, if there is one, for tuning.

    Attributes:
        steps: updates of the weights; above 0. Default: 1000.
        batch: images an update; above 0. Default: 16.
        learning_rate: Adam's at the start, with cosine decay to zero; above 0. Default: 0.001.
        balance: the loss weighs a class by (median frequency / its frequency) ** balance over the training pixels, so
            that a short training finds rare classes too; from 0, all alike, to 1, median frequency balancing. Default:
            0.0. Source: Eigen and Fergus, arXiv 1411.4734, section 6.3.2.
        metrics: what is measured on the test split; names of metrics that compare masks. Default: "mean_iou",
            "boundary_iou", "pixel_accuracy".
    """

    steps: int = 1000
    batch: int = 16
    learning_rate: float = 1e-3
    balance: float = 0.0
    metrics: tuple[str, ...] = ("mean_iou", "boundary_iou", "pixel_accuracy")

    roles: ClassVar[frozenset[str]] = frozenset({"dense"})
    needs_data: ClassVar[bool] = True
    exclusive: ClassVar[bool] = False
    also_evaluates: ClassVar[tuple[str, ...]] = ("val_mean_iou",)

    def measures(self) -> tuple[str, ...]:
        """The names of what is measured, with `[*]` for members that only the data name."""
        return list_measures((*self.metrics, *self.also_evaluates))

    def check(self, cell: Cell, shape: DataShape | None) -> None:
        """Check the options, and that the network can be built for data of this shape, None if it is not known.

        Raises ValueError or UserError if not, and for data without masks.
        """
        check_positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate)
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must be from 0 to 1, got {self.balance}")
        check_metrics(self.metrics, {"masks"}, "task 'segmentation'")
        shape = shape or assume_shape(cell)
        if shape.classes == 0:
            raise ValueError(describe_lack_of_masks(cell))
        size = (shape.height, shape.width)
        check_network(cell, shape.channels, shape.classes, size)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        """Train and score one cell. Raises UserError for data without masks, Diverged if the loss is not finite."""
        assert cell.data is not None
        data = decoded.load(cell.data, folder)
        if data.train.masks is None or data.test.masks is None:
            raise UserError(describe_lack_of_masks(cell))
        classes = len(data.class_names)
        _, height, width, channels = data.train.images.shape
        network = build_network(cell, channels, classes, (height, width))
        mean = compute_channel_mean(torch.from_numpy(data.train.images))
        mean = mean.to(cell.device)
        losses = self._train(network, data, mean, cell)
        network.eval()
        predict = partial(predict_classes, network, mean, cell)
        prediction = predict(data.test.images)
        compared = {"masks": (prediction, data.test.masks)}
        # a split can be all void, where a set keeps its truth to itself
        if data.val.masks is not None and (data.val.masks != VOID).any():
            compared["val_masks"] = (predict(data.val.images), data.val.masks)
        facts = {"classes": classes, "class_names": data.class_names, "channels": channels}
        names = (*self.metrics, *select_comparable(self.also_evaluates, compared))
        return Result(
            evaluate(names, compared, **facts),
            arrays=keep_tiles(data, prediction),
            raw={"loss": losses, "data": data.identity()},
            compared=compared,
            facts=facts,
        )

    def _train(self, network: nn.Module, data: Dataset, mean: Tensor, cell: Cell) -> list[float]:
        """Train the network; the loss of every step. `mean` is taken from every input."""
        images = torch.from_numpy(data.train.images)
        masks = torch.from_numpy(data.train.masks)
        classes = len(data.class_names)
        weights = compute_class_weights(masks, classes, self.balance).to(cell.device)

        def loss(indices: Tensor) -> Tensor:
            """The weighted cross-entropy of a batch, in nats a pixel."""
            target = to_device(masks[indices], cell).long()
            x = to_input(images[indices], cell) - mean
            each = F.cross_entropy(
                network(x),
                target,
                weights[:classes],
                ignore_index=VOID,
                reduction="none",
            )
            # averaged here: on a GPU the built-in mean over maps has no deterministic form, and refuses to run;
            # void weighs nothing in either sum
            return each.sum() / weights[target].sum()

        return train(
            network,
            loss,
            cell,
            count=len(images),
            batch=self.batch,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )


def describe_lack_of_masks(cell: Cell) -> str:
    """What is said of a cell whose data have no masks."""
    name = cell.data.name if cell.data else ""
    return f"data set {name!r} has no masks; segmentation needs them"


def predict_classes(network: nn.Module, mean: Tensor, cell: Cell, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The most likely class of each pixel: uint8 (N, H, W, C) -> uint8 (N, H, W). `mean` is taken from every input."""
    predictions = []
    with torch.inference_mode(), autocast(cell):
        for chunk in torch.from_numpy(images).split(EVALUATION_BATCH):
            x = to_input(chunk, cell) - mean
            prediction = network(x).argmax(1)
            prediction = prediction.to(torch.uint8).cpu()
            predictions.append(prediction)
    return torch.cat(predictions).numpy()


def keep_tiles(data: Dataset, prediction: NDArray[np.uint8]) -> dict[str, NDArray]:
    """The arrays of the figure `masks`: a few test tiles with their true and predicted classes."""
    assert data.test.masks is not None
    count = min(SHOWN, len(prediction))
    shown = np.linspace(0, len(prediction) - 1, count).astype(int)
    return {
        "image": data.test.images[shown],
        "truth": data.test.masks[shown],
        "prediction": prediction[shown],
        "class_names": np.array(data.class_names),
    }


def compute_class_weights(masks: Tensor, classes: int, balance: float) -> Tensor:
    """The weight of each label in the loss.

    Args:
        masks: uint8 (N, H, W).
        classes: number of classes.
        balance: the power of (median frequency / frequency).

    Returns:
        (256,): 0 for void and for classes that no pixel has.
    """
    labels = VOID + 1
    # in whole numbers: exact, in whatever chunks
    totals = torch.zeros(labels, dtype=torch.long)
    for chunk in masks.split(EVALUATION_BATCH):
        totals += torch.bincount(chunk.flatten(), minlength=labels)
    counts = totals[:classes].double()
    present = counts > 0
    weights = torch.zeros(labels, dtype=torch.double)
    if present.any():
        counts = counts[present]
        ratios = counts.median() / counts
        weights[:classes][present] = ratios**balance
    return weights.float()


def compute_channel_mean(images: Tensor) -> Tensor:
    """The mean of each channel: uint8 (N, H, W, C) -> (1, C, 1, 1) of values in [0, 1]; exact, whatever N is."""
    count, height, width, channels = images.shape
    total = torch.zeros(channels, dtype=torch.long)
    # in whole numbers, like the counts of classes
    for chunk in images.split(EVALUATION_BATCH):
        total += chunk.long().sum((0, 1, 2))
    whites = count * height * width * 255
    mean = total.double() / whites
    return mean.float().view(1, channels, 1, 1)

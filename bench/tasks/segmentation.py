"""Train a dense network on masks, then score its predictions on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bench.cell import Cell
from bench.data import cache
from bench.data.base import VOID
from bench.errors import UserError
from bench.tasks.base import (
    Result,
    autocast,
    build_network,
    check_metrics,
    check_network,
    check_positive,
    evaluate,
    measured,
)
from bench.tasks.training import to_device, to_input, train

SHOWN = 8  # test tiles kept for the figures, spread evenly over the split
EVALUATION_BATCH = 64
VALIDATED = "val_mean_iou"


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Cross-entropy over non-void pixels; the metrics are those of the last weights on the test split.

    balance: the loss weighs a class by (median frequency / its frequency) ** balance over the training pixels, so that
    a short training finds rare classes too. 0: all alike; 1: median frequency balancing of Eigen and Fergus,
    arXiv 1411.4734, section 6.3.2.
    val_mean_iou is that of the validation split, if there is one, for tuning.
    """

    steps: int = 1000
    batch: int = 16
    learning_rate: float = 1e-3
    balance: float = 0.0
    metrics: tuple[str, ...] = ("mean_iou", "boundary_iou", "pixel_accuracy")

    roles: ClassVar[frozenset[str]] = frozenset({"dense"})
    needs_data: ClassVar[bool] = True
    exclusive: ClassVar[bool] = False

    def measures(self) -> tuple[str, ...]:
        return measured((*self.metrics, VALIDATED))

    def check(self, cell: Cell) -> None:
        check_positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate)
        if not 0 <= self.balance <= 1:
            raise ValueError(f"balance must be from 0 to 1, got {self.balance}")
        check_metrics(self.metrics, {"masks"}, "task 'segmentation'")
        check_network(cell, 3, 2, cell.data.options.get("size", 64) if cell.data else 64)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        assert cell.data is not None
        data = cache.load(cell.data, folder)
        if data.train.masks is None or data.test.masks is None:
            raise UserError(f"data set {cell.data.name!r} has no masks; segmentation needs them")
        classes, channels = len(data.class_names), data.train.images.shape[-1]
        network = build_network(cell, channels, classes, data.train.images.shape[1])
        images, masks = torch.from_numpy(data.train.images), torch.from_numpy(data.train.masks)
        mean = channel_mean(images).to(cell.device)
        weights = class_weights(masks, classes, self.balance).to(cell.device)

        def loss(indices: Tensor) -> Tensor:
            target = to_device(masks[indices], cell).long()
            logits = network(to_input(images[indices], cell) - mean)
            # summed here: on a GPU the built-in mean over maps has no deterministic form, and refuses to run
            each = F.cross_entropy(logits, target, weights[:classes], ignore_index=VOID, reduction="none")
            return each.sum() / weights[target].sum()

        curve = train(
            network, loss, cell, count=len(images), batch=self.batch, steps=self.steps, learning_rate=self.learning_rate
        )
        network.eval()

        def predict(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
            chunks = torch.from_numpy(tiles).split(EVALUATION_BATCH)
            with torch.inference_mode(), autocast(cell):
                found = [network(to_input(chunk, cell) - mean).argmax(1).to(torch.uint8).cpu() for chunk in chunks]
            return torch.cat(found).numpy()

        prediction = predict(data.test.images)
        shown = np.linspace(0, len(prediction) - 1, min(SHOWN, len(prediction))).astype(int)
        compared = {"masks": (prediction, data.test.masks)}
        if data.val.masks is not None and (data.val.masks != VOID).any():
            compared["val_masks"] = (predict(data.val.images), data.val.masks)
        facts = {"classes": classes, "class_names": data.class_names, "channels": channels}
        return Result(
            evaluate((*self.metrics, *([VALIDATED] if "val_masks" in compared else [])), compared, **facts),
            arrays={
                "image": data.test.images[shown],
                "truth": data.test.masks[shown],
                "prediction": prediction[shown],
                "class_names": np.array(data.class_names),
            },
            raw={"loss": curve, "data": data.identity()},
            compared=compared,
            facts=facts,
        )


def class_weights(masks: Tensor, classes: int, balance: float) -> Tensor:
    """uint8 (N, H, W) -> weight of each label in the loss, (256,): 0 for void and for classes that no pixel has."""
    counts = sum(torch.bincount(chunk.flatten(), minlength=VOID + 1) for chunk in masks.split(EVALUATION_BATCH))
    counts = torch.as_tensor(counts)[:classes].double()
    present = counts > 0
    weights = torch.zeros(VOID + 1, dtype=torch.double)
    if present.any():
        weights[:classes][present] = (counts[present].median() / counts[present]) ** balance
    return weights.float()


def channel_mean(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) -> mean of each channel, (1, C, 1, 1), of values in [0, 1]; exact, whatever N is."""
    total = sum(chunk.long().sum((0, 1, 2)) for chunk in images.split(EVALUATION_BATCH))
    return (torch.as_tensor(total).double() / (images[..., 0].numel() * 255)).float().view(1, -1, 1, 1)

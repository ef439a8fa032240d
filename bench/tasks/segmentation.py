"""Train a dense network on masks, then score its predictions on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cell import Cell
from bench.data import DATA
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
from bench.tasks.training import to_input, train

SHOWN = 8  # test tiles kept for the figures, spread evenly over the split
EVALUATION_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Cross-entropy over non-void pixels; the metrics are those of the last weights on the test split."""

    steps: int = 1000
    batch: int = 16
    learning_rate: float = 1e-3
    metrics: tuple[str, ...] = ("mean_iou", "boundary_iou", "pixel_accuracy")

    roles: ClassVar[frozenset[str]] = frozenset({"dense"})
    needs_data: ClassVar[bool] = True
    exclusive: ClassVar[bool] = False

    def measures(self) -> tuple[str, ...]:
        return measured(self.metrics)

    def check(self, cell: Cell) -> None:
        check_positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate)
        check_metrics(self.metrics, {"masks"}, "task 'segmentation'")
        check_network(cell, 3, 2, cell.data.options.get("size", 64) if cell.data else 64)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        assert cell.data is not None
        data = DATA.build(cell.data.name, **cell.data.options).load(folder)
        if data.train.masks is None or data.test.masks is None:
            raise UserError(f"data set {cell.data.name!r} has no masks; segmentation needs them")
        classes, channels = len(data.class_names), data.train.images.shape[-1]
        network = build_network(cell, channels, classes, data.train.images.shape[1])
        images, masks = torch.from_numpy(data.train.images), torch.from_numpy(data.train.masks)
        mean = to_input(images, cell).mean((0, 2, 3), keepdim=True)

        def loss(indices: Tensor) -> Tensor:
            target = masks[indices].to(cell.device).long()
            return F.cross_entropy(network(to_input(images[indices], cell) - mean), target, ignore_index=VOID)

        curve = train(
            network, loss, cell, count=len(images), batch=self.batch, steps=self.steps, learning_rate=self.learning_rate
        )
        network.eval()
        with torch.inference_mode(), autocast(cell):
            prediction = np.concatenate(
                [
                    network(to_input(chunk, cell) - mean).argmax(1).to(torch.uint8).cpu().numpy()
                    for chunk in torch.from_numpy(data.test.images).split(EVALUATION_BATCH)
                ]
            )
        shown = np.linspace(0, len(prediction) - 1, min(SHOWN, len(prediction))).astype(int)
        compared = {"masks": (prediction, data.test.masks)}
        facts = {"classes": classes, "class_names": data.class_names, "channels": channels}
        return Result(
            evaluate(self.metrics, compared, **facts),
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

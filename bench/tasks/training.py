"""The one training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bench.cell import Cell
from bench.errors import Diverged
from bench.tasks.base import MEMORY_FORMATS, autocast

CHECK_EVERY = 50  # steps between two looks at the loss: each look waits for the device


def batches(count: int, batch: int, steps: int, seed: int) -> Iterator[Tensor]:
    """Indices (batch,) of `steps` batches: every item once an epoch in a fresh order, a batch may span two epochs."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        epochs = max(0, math.ceil((batch - len(order)) / count))
        order = torch.cat([order, *(torch.randperm(count, generator=generator) for _ in range(epochs))])
        indices, order = order[:batch], order[batch:]
        yield indices


def train(
    network: nn.Module,
    loss: Callable[[Tensor], Tensor],
    cell: Cell,
    *,
    count: int,
    batch: int,
    steps: int,
    learning_rate: float,
) -> list[float]:
    """Minimise `loss(indices of the batch)`; the loss of every step is returned.

    Adam as in Gao et al., arXiv 1705.06820, section 3, with cosine decay to zero so that a short budget ends settled.
    Raises Diverged, within 50 steps, when the loss is no longer finite.
    """
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    curve = torch.zeros(steps, device=cell.device)
    for step, indices in enumerate(batches(count, batch, steps, cell.seed)):
        optimiser.zero_grad(set_to_none=True)
        with autocast(cell):
            value = loss(indices)
        value.backward()
        optimiser.step()
        schedule.step()
        curve[step] = value.detach()
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == steps:
            recent = curve[max(0, step + 1 - CHECK_EVERY) : step + 1]
            if not recent.isfinite().all():
                raise Diverged(f"the training loss left the finite numbers by step {step + 1} of {steps}")
    return curve.tolist()


def to_input(images: Tensor, cell: Cell) -> Tensor:
    """uint8 (N, H, W, C) -> float (N, C, H, W) in [0, 1], on the cell's device and in its memory format."""
    x = images.to(cell.device).movedim(-1, 1).float() / 255
    return x.contiguous(memory_format=MEMORY_FORMATS[cell.memory_format])

"""The one training step, and the loop of a network that is trained alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from bench.cell import Cell
from bench.errors import Diverged
from bench.tasks.base import autocast, layout

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


class Learner:
    """A network under Adam, and the loss of each of its `steps` steps.

    Adam as in Gao et al., arXiv 1705.06820, section 3, with cosine decay to zero so that a short budget ends settled.
    On a GPU the host runs ahead of it: it waits only to look at the losses, every 50 steps.
    """

    def __init__(
        self,
        network: nn.Module,
        cell: Cell,
        *,
        steps: int,
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        name: str = "training",
    ) -> None:
        """`name` says whose loss it is when it diverges."""
        network.train()
        self.cell, self.name = cell, name
        self.parameters = list(network.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, learning_rate, betas, fused=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)
        self.losses, self.done = torch.zeros(steps, device=cell.device), 0

    def descend(self, loss: Callable[[], Tensor]) -> None:
        """One step down the gradient of `loss()` by this network's parameters; those of others get none.

        Raises Diverged, within 50 steps, when the loss is no longer finite.
        """
        self.optimiser.zero_grad(set_to_none=True)
        with autocast(self.cell):
            value = loss()
        value.backward(inputs=self.parameters)
        self.optimiser.step()
        self.schedule.step()
        self.losses[self.done] = value.detach()
        self.done += 1
        if self.done % CHECK_EVERY == 0 or self.done == len(self.losses):
            recent = self.losses[max(0, self.done - CHECK_EVERY) : self.done]
            if not recent.isfinite().all():
                raise Diverged(
                    f"the {self.name} loss left the finite numbers by step {self.done} of {len(self.losses)}"
                )


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
    """Minimise `loss(indices of the batch)`; the loss of every step is returned. Raises Diverged as `Learner` does."""
    learner = Learner(network, cell, steps=steps, learning_rate=learning_rate)
    for indices in batches(count, batch, steps, cell.seed):
        learner.descend(partial(loss, indices))
    return learner.losses.tolist()


def to_input(images: Tensor, cell: Cell) -> Tensor:
    """uint8 (N, H, W, C) -> float (N, C, H, W) in [0, 1], on the cell's device and in its memory format."""
    x = to_device(images, cell).movedim(-1, 1).float() / 255
    return x.contiguous(memory_format=layout(cell, 2))


def to_device(tensor: Tensor, cell: Cell) -> Tensor:
    """On the cell's device; from page-locked memory, so that the host does not wait for the copy."""
    return tensor.pin_memory().to(cell.device, non_blocking=True) if cell.device == "cuda" else tensor

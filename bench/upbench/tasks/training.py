"""The one training step, and the loop of a network that is trained alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from upbench.cell import Cell
from upbench.errors import Diverged
from upbench.tasks.base import autocast, find_memory_format

CHECK_EVERY = 50  # steps between two looks at the loss: each look waits for the device


def draw_batches(count: int, batch: int, steps: int, seed: int) -> Iterator[Tensor]:
    """Draw the indices (batch,) of `steps` batches of `count` items.

    Every item comes once an epoch, in a fresh order; a batch may span two epochs.
    """
    # a generator of its own, on the CPU: the same batches for every layer and on every device
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        epochs = math.ceil((batch - len(order)) / count)
        # joined once: a batch of many epochs would else copy its beginning again with each of them
        parts = [order]
        for _ in range(epochs):
            parts.append(torch.randperm(count, generator=generator))
        order = torch.cat(parts)
        yield order[:batch]
        order = order[batch:]


class Learner:
    """A network under Adam, and the loss of each of its `steps` steps.

    Adam as in Gao et al., arXiv 1705.06820, section 3, with cosine decay to zero so that a short budget ends settled.
    On a GPU the host runs ahead of it: it waits only to look at the losses, every 50 steps.

    Attributes:
        losses: the loss of each step, (steps,), on the cell's device; 0 for steps that are still to come.
        done: the number of steps taken.
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
        """Put the network into training mode; `name` says whose loss it is when it diverges."""
        network.train()
        self.cell = cell
        self.name = name
        self.parameters = list(network.parameters())
        # fused: a few launches a step, where one for each parameter would leave a GPU waiting
        self.optimiser = torch.optim.Adam(self.parameters, learning_rate, betas, fused=True)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, steps)
        self.losses = torch.zeros(steps, device=cell.device)
        self.done = 0

    def descend(self, loss: Callable[[], Tensor]) -> None:
        """Take one step down the gradient of `loss()` by this network's parameters; those of others get none.

        Raises Diverged, within 50 steps, when the loss is no longer finite.
        """
        self.optimiser.zero_grad(set_to_none=True)
        with autocast(self.cell):
            value = loss()
        # by name: a generator's loss would else leave gradients in the discriminator
        value.backward(inputs=self.parameters)
        self.optimiser.step()
        self.schedule.step()
        self.losses[self.done] = value.detach()  # stays on the device
        self.done += 1
        last = self.done == len(self.losses)
        if last or self.done % CHECK_EVERY == 0:
            self._check_losses()

    def _check_losses(self) -> None:
        """Raises Diverged if one of the last losses is not finite."""
        first = max(0, self.done - CHECK_EVERY)
        recent = self.losses[first : self.done]
        if not recent.isfinite().all():
            raise Diverged(f"the {self.name} loss left the finite numbers by step {self.done} of {len(self.losses)}")


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
    """Train a network alone.

    Args:
        network: what is trained.
        loss: indices of a batch -> the loss to minimise.
        cell: the cell, whose seed the batches have.
        count: the number of training items.
        batch: items a step.
        steps: number of steps.
        learning_rate: Adam's at the start.

    Returns:
        The loss of every step.

    Raises:
        Diverged: when the loss is no longer finite.
    """
    learner = Learner(network, cell, steps=steps, learning_rate=learning_rate)
    for indices in draw_batches(count, batch, steps, cell.seed):
        learner.descend(partial(loss, indices))
    return learner.losses.tolist()


def to_input(images: Tensor, cell: Cell) -> Tensor:
    """uint8 (N, H, W, C) -> float (N, C, H, W) in [0, 1], on the cell's device and in its memory format."""
    x = to_device(images, cell)
    x = x.movedim(-1, 1).float() / 255
    return x.contiguous(memory_format=find_memory_format(cell, 2))


def to_device(tensor: Tensor, cell: Cell) -> Tensor:
    """Bring a tensor to the cell's device, from page-locked memory so that the host does not wait for the copy."""
    if cell.device != "cuda":
        return tensor
    return tensor.pin_memory().to(cell.device, non_blocking=True)

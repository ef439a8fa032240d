"""Train a generator against a discriminator, then score its samples."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cell import Cell
from bench.data import cache
from bench.tasks.base import (
    Result,
    autocast,
    build_network,
    check_metrics,
    check_network,
    check_positive,
    evaluate,
    measured,
    place,
)
from bench.tasks.samples import draw_real, make_images, pictures
from bench.tasks.training import Learner, batches, to_device, to_input


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Cross-entropy of telling real images from generated ones, from the logits (N,) of each, in nats an image.

    Source: Goodfellow et al., arXiv 1406.2661, equation 1, what the discriminator maximises, with its sign changed.
    """
    return F.softplus(-real.float()).mean() + F.softplus(generated.float()).mean()


def generator_loss(generated: Tensor) -> Tensor:
    """Non-saturating loss from the logits (N,) of generated images, in nats an image.

    Source: Goodfellow et al., arXiv 1406.2661, section 3, "maximize log D(G(z))".
    """
    return F.softplus(-generated.float()).mean()


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """`samples` images of a GAN's generator against as many test images, chosen at random with a fixed seed.

    steps: updates of the generator, each after `discriminator_steps` updates of the discriminator on a batch of their
    own. Adam with (beta1, beta2) for both, (0.5, 0.999) as in Radford et al., arXiv 1511.06434, section 4, and cosine
    decay, which that has not. average: decay of the exponential moving average of the generator's weights and
    statistics that is sampled, 0 for the last weights themselves; in step t at most (1 + t) / (10 + t), so that the
    first weights are forgotten within short budgets.
    For every layer the discriminator starts from the same weights and sees the same batches and the same codes.
    """

    steps: int = 1000
    batch: int = 32
    learning_rate: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    discriminator_steps: int = 1
    average: float = 0.0
    samples: int = 500
    metrics: tuple[str, ...] = ("kid_effnet", "checkerboard")

    roles: ClassVar[frozenset[str]] = frozenset({"gan"})
    needs_data: ClassVar[bool] = True
    exclusive: ClassVar[bool] = False

    def measures(self) -> tuple[str, ...]:
        return measured(self.metrics)

    def check(self, cell: Cell) -> None:
        check_positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate, samples=self.samples)
        check_positive(discriminator_steps=self.discriminator_steps)
        for name in ("beta1", "beta2", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        check_metrics(self.metrics, {"samples"}, "task 'adversarial'")
        check_network(cell, 3, 3, cell.data.options.get("size", 64) if cell.data else 64)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        assert cell.data is not None
        data = cache.load(cell.data, folder)
        channels, size = data.train.images.shape[-1], data.train.images.shape[1]
        generator: Any = build_network(cell, channels, channels, size)  # role "gan": it makes its discriminator
        torch.manual_seed(cell.seed)  # the layer has drawn as many numbers as it wanted
        discriminator = place(generator.discriminator(), cell)
        noise = torch.Generator().manual_seed(cell.seed)

        def draw_codes(count: int) -> Tensor:
            return to_device(torch.randn(count, *generator.input_shape, generator=noise), cell)

        images = torch.from_numpy(data.train.images)
        averaged, losses = self.play(generator, discriminator, images, draw_codes, cell)
        averaged.eval()
        with torch.inference_mode(), autocast(cell):
            generated = make_images(averaged, draw_codes(self.samples))
        real = draw_real(data.test, self.samples)
        compared = {"samples": (generated, real)}
        return Result(
            evaluate(self.metrics, compared),
            arrays=pictures(generated, real),
            raw={**losses, "data": data.identity()},
            compared=compared,
        )

    def play(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        images: Tensor,
        draw_codes: Callable[[int], Tensor],
        cell: Cell,
    ) -> tuple[nn.Module, dict[str, list[float]]]:
        """Train both; returns the generator to sample from, and both losses of every update, the generator's as "loss".

        images: uint8 (N, H, W, C). draw_codes: number -> codes. Raises Diverged when a loss is no longer finite.
        """

        def judge(indices: Tensor) -> Tensor:
            with torch.no_grad():
                generated = generator(draw_codes(self.batch))
            return discriminator_loss(discriminator(to_input(images[indices], cell)), discriminator(generated))

        def deceive() -> Tensor:
            return generator_loss(discriminator(generator(draw_codes(self.batch))))

        learner = partial(Learner, cell=cell, learning_rate=self.learning_rate, betas=(self.beta1, self.beta2))
        updates = self.steps * self.discriminator_steps
        critic = learner(discriminator, steps=updates, name="discriminator's")
        maker = learner(generator, steps=self.steps, name="generator's")
        averaged = copy.deepcopy(generator) if self.average else generator
        for update, indices in enumerate(batches(len(images), self.batch, updates, cell.seed), 1):
            critic.descend(partial(judge, indices))
            if update % self.discriminator_steps == 0:
                maker.descend(deceive)
                if self.average:
                    follow(averaged, generator, min(self.average, (1 + maker.done) / (10 + maker.done)))
        return averaged, {"loss": maker.losses.tolist(), "discriminator_loss": critic.losses.tolist()}


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the weights and statistics of `average` towards those of `network`, by 1 - decay of the way."""
    # torch.optim.swa_utils does as much, but makes the host wait for the device in every step
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    ours, theirs = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
    torch._foreach_lerp_(ours, theirs, 1 - decay)

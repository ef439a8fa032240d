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

from upbench.cell import Cell
from upbench.data import decoded
from upbench.data.base import DataShape
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
    place_network,
)
from upbench.tasks.samples import draw_real, keep_pictures, make_images
from upbench.tasks.training import Learner, draw_batches, to_device, to_input


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Cross-entropy of telling real images from generated ones.

    Source: Goodfellow et al., arXiv 1406.2661, equation 1, what the discriminator maximises, with its sign changed.

    Args:
        real: logits of real images, (N,).
        generated: logits of generated images, (N,).

    Returns:
        The loss in nats an image.
    """
    return F.softplus(-real.float()).mean() + F.softplus(generated.float()).mean()


def generator_loss(generated: Tensor) -> Tensor:
    """Non-saturating loss of the generator.

    Source: Goodfellow et al., arXiv 1406.2661, section 3, "maximize log D(G(z))".

    Args:
        generated: logits of generated images, (N,).

    Returns:
        The loss in nats an image.
    """
    return F.softplus(-generated.float()).mean()


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """Train a GAN, and score the images of its generator against as many test images.

    The test images are chosen at random with a fixed seed. Adam trains both networks, with cosine decay to zero, which
    the source does not have. For every layer the discriminator starts from the same weights and sees the same batches
    and the same codes. Source of the defaults: Radford et al., arXiv 1511.06434, section 4.

    Attributes:
        steps: updates of the generator; above 0. Default: 1000.
        batch: images an update; above 0. Default: 32.
        learning_rate: that of both networks at the start; above 0. Default: 0.0002, as in the source.
        beta1: Adam's decay of the mean gradient; from 0 to below 1. Default: 0.5, as in the source.
        beta2: Adam's decay of the mean square gradient; from 0 to below 1. Default: 0.999.
        discriminator_steps: updates of the discriminator before each of the generator, on a batch of their own each;
            above 0. Default: 1.
        average: decay of the exponential moving average of the generator's weights and statistics, which is what is
            sampled; from 0, the last weights themselves, to below 1. In step t it is at most (1 + t) / (10 + t), so
            that the first weights are forgotten within short budgets. Default: 0.0.
        samples: number of generated images, and of test images if there are as many; above 0. Default: 500.
        metrics: what is measured; names of metrics that compare samples. Default: "kid_effnet", "checkerboard".
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
    also_evaluates: ClassVar[tuple[str, ...]] = ()

    def measures(self) -> tuple[str, ...]:
        """The names of what is measured, with `[*]` for members that only the data name."""
        return list_measures((*self.metrics, *self.also_evaluates))

    def check(self, cell: Cell, shape: DataShape | None) -> None:
        """Check the options, and that the networks can be built for data of this shape, None if it is not known.

        Raises ValueError or UserError if not.
        """
        check_positive(
            steps=self.steps,
            batch=self.batch,
            learning_rate=self.learning_rate,
            samples=self.samples,
            discriminator_steps=self.discriminator_steps,
        )
        decays = {"beta1": self.beta1, "beta2": self.beta2, "average": self.average}
        for name, value in decays.items():
            if not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}")
        check_metrics(self.metrics, {"samples"}, "task 'adversarial'")
        shape = shape or assume_shape(cell)
        size = (shape.height, shape.width)
        check_network(cell, shape.channels, shape.channels, size)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        """Train and score one cell. Raises Diverged if a loss or the images are not finite."""
        assert cell.data is not None
        data = decoded.load(cell.data, folder)
        _, height, width, channels = data.train.images.shape
        # role "gan": it makes its discriminator
        generator: Any = build_network(cell, channels, channels, (height, width))
        torch.manual_seed(cell.seed)  # the layer has drawn as many numbers as it wanted
        discriminator = place_network(generator.discriminator(), cell)
        # on the CPU: the same codes for every layer and on every device
        noise = torch.Generator().manual_seed(cell.seed)

        def draw_codes(count: int) -> Tensor:
            """Draw the next codes, the same for every layer."""
            codes = torch.randn(count, *generator.input_shape, generator=noise)
            return to_device(codes, cell)

        images = torch.from_numpy(data.train.images)
        averaged, losses = self.play(generator, discriminator, images, draw_codes, cell)
        averaged.eval()
        with torch.inference_mode(), autocast(cell):
            codes = draw_codes(self.samples)
            generated = make_images(averaged, codes)
        real = draw_real(data.test, self.samples)
        compared = {"samples": (generated, real)}
        return Result(
            evaluate((*self.metrics, *self.also_evaluates), compared),
            arrays=keep_pictures(generated, real),
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
        """Train both networks.

        Args:
            generator: codes -> images in [0, 1].
            discriminator: images in [0, 1] -> logits (N,).
            images: uint8 (N, H, W, C).
            draw_codes: number of codes -> codes.
            cell: the cell.

        Returns:
            The generator to sample from, and both losses of every update, the generator's as "loss".

        Raises:
            Diverged: when a loss is no longer finite.
        """

        def judge(indices: Tensor) -> Tensor:
            """The discriminator's loss on a batch of real images and as many new ones."""
            with torch.no_grad():  # this loss does not move the generator
                generated = generator(draw_codes(self.batch))
            real = to_input(images[indices], cell)
            # real before generated: batch normalisation and the spectral norm remember what they saw
            real_logits = discriminator(real)
            generated_logits = discriminator(generated)
            return discriminator_loss(real_logits, generated_logits)

        def deceive() -> Tensor:
            """The generator's loss on new images."""
            generated = generator(draw_codes(self.batch))
            return generator_loss(discriminator(generated))

        updates = self.steps * self.discriminator_steps
        betas = (self.beta1, self.beta2)
        learn = partial(Learner, cell=cell, learning_rate=self.learning_rate, betas=betas)
        critic = learn(discriminator, steps=updates, name="discriminator's")
        maker = learn(generator, steps=self.steps, name="generator's")
        averaged = copy.deepcopy(generator) if self.average else generator
        drawn = draw_batches(len(images), self.batch, updates, cell.seed)
        for update, indices in enumerate(drawn, 1):
            critic.descend(partial(judge, indices))
            if update % self.discriminator_steps:
                continue
            maker.descend(deceive)
            if self.average:
                warm_up = (1 + maker.done) / (10 + maker.done)
                move_average(averaged, generator, min(self.average, warm_up))
        losses = {
            "loss": maker.losses.tolist(),
            "discriminator_loss": critic.losses.tolist(),
        }
        return averaged, losses


def move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the weights and statistics of `average` towards those of `network`, by 1 - decay of the way."""
    ours = []
    theirs = []
    averaged_state = average.state_dict()
    for name, other in network.state_dict().items():
        mine = averaged_state[name]
        if mine.is_floating_point():  # the others count batches
            ours.append(mine)
            theirs.append(other)
    # torch.optim.swa_utils does as much, but makes the host wait for the device in every step
    torch._foreach_lerp_(ours, theirs, 1 - decay)

"""Train a variational autoencoder, then score its reconstructions and its samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    select_comparable,
)
from upbench.tasks.samples import CHUNK, SHOWN, draw_real, keep_pictures, make_images
from upbench.tasks.training import to_input, train

ENCODED = 512  # training images, spread over the split, whose codes the samples' distribution is fitted to


def negative_elbo(reconstruction: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Negative evidence lower bound, for a Gaussian likelihood whose variance is the batch's optimum.

    Source: Rybkin et al., Simple and Effective VAE Training with Calibrated Decoders, arXiv 2006.13202, section 3
    (optimal sigma).

    Args:
        reconstruction: (N, C, H, W).
        x: the images, (N, C, H, W).
        mean: of the codes' posterior, (N, latent).
        log_variance: of the codes' posterior, (N, latent).

    Returns:
        The bound in nats an image, without its constants.
    """
    error = (reconstruction.float() - x).square().mean()
    # cast twice: its two gradients are then added in the precision in which the network made it
    divergences = mean.float().square() + log_variance.float().exp() - 1 - log_variance.float()
    kl = 0.5 * divergences.sum(1).mean()
    # at the optimum the squared error over the variance is a constant; the logarithm of the variance is left
    return 0.5 * math.prod(x.shape[1:]) * error.log() + kl


def draw_codes(mean: Tensor, variance: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw codes from the normal distribution that fits the training images' codes.

    Within a short training the posterior does not come near the prior, and samples of the prior would show only that.
    Source: Ghosh et al., From Variational to Deterministic Autoencoders, arXiv 1903.12436, section 4 (ex-post density
    estimation).

    Args:
        mean: of the posterior of each training image, (N, latent).
        variance: of the posterior of each training image, (N, latent).
        count: number of codes.
        generator: draws the codes.

    Returns:
        (count, latent).
    """
    # in double precision, as the covariance may be close to singular
    mean = mean.double().cpu()
    variance = variance.double().cpu()
    latent = mean.shape[1]
    between = torch.cov(mean.T)
    within = torch.diag(variance.mean(0))
    factor = torch.linalg.cholesky(between + within)
    noise = torch.randn(count, latent, generator=generator, dtype=torch.double)
    codes = mean.mean(0) + noise @ factor.T
    return codes.float()


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Train a variational autoencoder, and score generated images and reconstructions against test images.

    Both are compared with the same test images, chosen at random with a fixed seed. val_reconstruction_psnr is the
    peak signal-to-noise ratio of the reconstructions of the validation split, if there is one, for tuning.

    Attributes:
        steps: updates of the weights; above 0. Default: 1000.
        batch: images an update; above 0. Default: 32.
        learning_rate: Adam's at the start, with cosine decay to zero; above 0. Default: 0.001.
        samples: number of generated images, and of test images if there are as many; above 0. Default: 500.
        metrics: what is measured; names of metrics that compare samples or reconstructions. Default: "kid_effnet",
            "checkerboard", "reconstruction_rmse".
    """

    steps: int = 1000
    batch: int = 32
    learning_rate: float = 1e-3
    samples: int = 500
    metrics: tuple[str, ...] = ("kid_effnet", "checkerboard", "reconstruction_rmse")

    roles: ClassVar[frozenset[str]] = frozenset({"autoencoder"})
    needs_data: ClassVar[bool] = True
    exclusive: ClassVar[bool] = False
    also_evaluates: ClassVar[tuple[str, ...]] = ("val_reconstruction_psnr",)

    def measures(self) -> tuple[str, ...]:
        """The names of what is measured, with `[*]` for members that only the data name."""
        return list_measures((*self.metrics, *self.also_evaluates))

    def check(self, cell: Cell, shape: DataShape | None) -> None:
        """Check the options, and that the network can be built for data of this shape, None if it is not known.

        Raises ValueError or UserError if not.
        """
        check_positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate, samples=self.samples)
        check_metrics(self.metrics, {"samples", "reconstructions"}, "task 'generation'")
        shape = shape or assume_shape(cell)
        size = (shape.height, shape.width)
        check_network(cell, shape.channels, shape.channels, size)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        """Train and score one cell. Raises Diverged if the loss or the images are not finite."""
        assert cell.data is not None
        data = decoded.load(cell.data, folder)
        _, height, width, channels = data.train.images.shape
        network: Any = build_network(cell, channels, channels, (height, width))  # role "autoencoder": it can decode
        images = torch.from_numpy(data.train.images)
        losses = self._train(network, images, cell)
        network.eval()
        real = draw_real(data.test, self.samples)
        with torch.inference_mode(), autocast(cell):
            mean, variance = encode(network, images, cell)
            # a generator of its own: the network may have drawn as many numbers as it wanted
            generator = torch.Generator().manual_seed(cell.seed)
            codes = draw_codes(mean, variance, self.samples, generator)
            generated = make_images(network.decode, codes.to(cell.device))
            reconstructed = reconstruct(network, real, cell)
            compared = {
                "samples": (generated, real),
                "reconstructions": (reconstructed, real),
            }
            validated = data.val.images
            if len(validated):
                compared["val_reconstructions"] = (reconstruct(network, validated, cell), validated)
        names = (*self.metrics, *select_comparable(self.also_evaluates, compared))
        return Result(
            evaluate(names, compared),
            arrays={
                **keep_pictures(generated, real),
                "reconstructed": reconstructed[:SHOWN],
            },
            raw={"loss": losses, "data": data.identity()},
            compared=compared,
        )

    def _train(self, network: Any, images: Tensor, cell: Cell) -> list[float]:
        """Train the network; the loss of every step."""

        def loss(indices: Tensor) -> Tensor:
            """The negative evidence lower bound of a batch."""
            x = to_input(images[indices], cell)
            reconstruction, mean, log_variance = network(x)
            return negative_elbo(reconstruction, x, mean, log_variance)

        return train(
            network,
            loss,
            cell,
            count=len(images),
            batch=self.batch,
            steps=self.steps,
            learning_rate=self.learning_rate,
        )


def encode(network: Any, images: Tensor, cell: Cell) -> tuple[Tensor, Tensor]:
    """The mean and variance of the codes of up to 1,023 images, spread over uint8 (N, H, W, C): (n, latent) each."""
    # evenly over the split
    step = max(1, len(images) // ENCODED)
    means = []
    log_variances = []
    for chunk in images[::step].split(CHUNK):
        x = to_input(chunk, cell)
        _, mean, log_variance = network(x)
        means.append(mean)
        log_variances.append(log_variance)
    return torch.cat(means), torch.cat(log_variances).exp()


def reconstruct(network: Any, images: NDArray[np.uint8], cell: Cell) -> NDArray[np.uint8]:
    """The network's reconstructions of uint8 images (N, H, W, C)."""

    def decode(chunk: Tensor) -> Tensor:
        """The reconstructions of a chunk."""
        reconstruction, _, _ = network(to_input(chunk, cell))
        return reconstruction

    return make_images(decode, torch.from_numpy(images))

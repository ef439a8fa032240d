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
)
from bench.tasks.samples import CHUNK, SHOWN, draw_real, make_images, pictures
from bench.tasks.training import to_input, train

VALIDATED = "val_reconstruction_psnr"
ENCODED = 512  # training images, spread over the split, whose codes the samples' distribution is fitted to


def negative_elbo(reconstruction: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Negative evidence lower bound in nats an image, Gaussian likelihood whose variance is the batch's optimum.

    reconstruction, x: (N, C, H, W); mean, log_variance: (N, latent). Constants are dropped. Source: Rybkin et al.,
    Simple and Effective VAE Training with Calibrated Decoders, arXiv 2006.13202, section 3 (optimal sigma).
    """
    error = (reconstruction.float() - x).square().mean()
    kl = 0.5 * (mean.float().square() + log_variance.float().exp() - 1 - log_variance.float()).sum(1).mean()
    return 0.5 * math.prod(x.shape[1:]) * error.log() + kl


def draw_codes(mean: Tensor, variance: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` codes from the normal distribution that fits the training images' codes.

    mean, variance: (N, latent), of the posterior of each training image. Within a short training the posterior does
    not come near the prior, and samples of the prior would show only that. Source: Ghosh et al., From Variational to
    Deterministic Autoencoders, arXiv 1903.12436, section 4 (ex-post density estimation).
    """
    mean, variance = mean.double().cpu(), variance.double().cpu()
    factor = torch.linalg.cholesky(torch.cov(mean.T) + torch.diag(variance.mean(0)))
    noise = torch.randn(count, mean.shape[1], generator=generator, dtype=torch.double)
    return (mean.mean(0) + noise @ factor.T).float()


@dataclass(frozen=True, kw_only=True)
class Generation:
    """`samples` generated images against as many test images, chosen at random with a fixed seed.

    val_reconstruction_psnr is that of the validation split, if there is one, for tuning.
    """

    steps: int = 1000
    batch: int = 32
    learning_rate: float = 1e-3
    samples: int = 500
    metrics: tuple[str, ...] = ("kid_effnet", "checkerboard", "reconstruction_rmse")

    roles: ClassVar[frozenset[str]] = frozenset({"autoencoder"})
    needs_data: ClassVar[bool] = True
    exclusive: ClassVar[bool] = False

    def measures(self) -> tuple[str, ...]:
        return measured((*self.metrics, VALIDATED))

    def check(self, cell: Cell) -> None:
        check_positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate, samples=self.samples)
        check_metrics(self.metrics, {"samples", "reconstructions"}, "task 'generation'")
        check_network(cell, 3, 3, cell.data.options.get("size", 64) if cell.data else 64)

    def run(self, cell: Cell, folder: Path | None) -> Result:
        assert cell.data is not None
        data = cache.load(cell.data, folder)
        channels, size = data.train.images.shape[-1], data.train.images.shape[1]
        network: Any = build_network(cell, channels, channels, size)  # role "autoencoder": it can decode
        images = torch.from_numpy(data.train.images)

        def loss(indices: Tensor) -> Tensor:
            x = to_input(images[indices], cell)
            reconstruction, mean, log_variance = network(x)
            return negative_elbo(reconstruction, x, mean, log_variance)

        curve = train(
            network, loss, cell, count=len(images), batch=self.batch, steps=self.steps, learning_rate=self.learning_rate
        )
        network.eval()
        real = draw_real(data.test, self.samples)
        with torch.inference_mode(), autocast(cell):
            posterior = [
                network(to_input(chunk, cell))[1:] for chunk in images[:: max(1, len(images) // ENCODED)].split(CHUNK)
            ]
            mean, log_variance = (torch.cat(part) for part in zip(*posterior, strict=True))
            generator = torch.Generator().manual_seed(cell.seed)
            codes = draw_codes(mean, log_variance.exp(), self.samples, generator).to(cell.device)
            generated = make_images(network.decode, codes)

            def reconstruct(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
                return make_images(lambda chunk: network(to_input(chunk, cell))[0], torch.from_numpy(images))

            reconstructed = reconstruct(real)
            compared = {"samples": (generated, real), "reconstructions": (reconstructed, real)}
            if len(data.val.images):
                compared["val_reconstructions"] = (reconstruct(data.val.images), data.val.images)
        return Result(
            evaluate((*self.metrics, *([VALIDATED] if "val_reconstructions" in compared else [])), compared),
            arrays={**pictures(generated, real), "reconstructed": reconstructed[:SHOWN]},
            raw={"loss": curve, "data": data.identity()},
            compared=compared,
        )

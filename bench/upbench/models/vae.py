"""Convolutional variational autoencoder: its decoder does nothing but up-sample."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from upbench.models.base import Network, Size, Up, halve_sides, make_conv_block, make_up_stages, to_sides

HALVINGS = 4  # by the encoder, and as many up-sampling layers


class VAE(Network):
    """Variational autoencoder whose decoder up-samples four times.

    Images (N, in_channels, H, W) in [0, 1] -> (reconstruction of that shape, mean (N, latent), log variance
    (N, latent)). Four convolutions of stride 2 halve the image; four up-sampling layers, each followed by batch
    normalisation and ReLU, bring it back, and a 3x3 convolution makes the colours: linear, as befits a Gaussian
    likelihood. A sigmoid there took many times as long to reach bright and dark.

    Source: Kingma and Welling, arXiv 1312.6114, section 3.

    Args:
        channels: width of the first convolution, which doubles with each of the four; at least 1. Default: 16.
        latent: length of the code; at least 1. Default: 64.

    Raises:
        ValueError: unless each side is a multiple of 16.
    """

    role: ClassVar[str] = "autoencoder"

    def __init__(
        self, up: Up, in_channels: int, out_channels: int, size: Size, *, channels: int = 16, latent: int = 64
    ) -> None:
        sides = to_sides(size, 2)
        last_sides = halve_sides(sides, HALVINGS)
        super().__init__((in_channels, *sides))
        self.latent = latent
        widths = [channels * 2**level for level in range(HALVINGS)]
        widest = widths[-1]
        features = widest * math.prod(last_sides)
        convolutions: list[nn.Module] = []
        for above, below in pairwise([in_channels, *widths]):
            convolutions += make_conv_block(above, below, stride=2)
        self.encoder = nn.Sequential(
            *convolutions,
            nn.Flatten(),
            nn.Linear(features, 2 * latent),  # mean and log variance
        )
        self.project = nn.Sequential(
            nn.Linear(latent, features),
            nn.Unflatten(1, (widest, *last_sides)),
            nn.ReLU(),
        )
        self.stages = make_up_stages(up, [*reversed(widths), channels])
        self.head = nn.Conv2d(channels, out_channels, 3, padding=1)
        # the mean of the colours' range, where the reconstruction then starts
        bias = self.head.get_parameter("bias")
        nn.init.constant_(bias, 0.5)

    def decode(self, code: Tensor) -> Tensor:
        """Codes (N, latent) -> images (N, out_channels, H, W), meant for [0, 1] but not held to it."""
        y = self.project(code)
        y = self.stages(y)
        return self.head(y)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The reconstruction of x, and the mean and log variance of its codes; noisy in training mode alone."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        code = mean
        if self.training:
            deviation = (log_variance / 2).exp()
            code = mean + torch.randn_like(mean) * deviation
        return self.decode(code), mean, log_variance

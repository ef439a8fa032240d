"""Convolutional variational autoencoder: its decoder does nothing but up-sample."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.base import Network, Up, check_size, conv_block, up_block

HALVINGS = 4


class VAE(Network):
    """Variational autoencoder whose decoder up-samples four times.

    (N, in_channels, size, size) in [0, 1] -> (reconstruction of that shape, mean, log variance (N, latent)).

    Four stride-2 convolutions halve the image; four up-sampling layers, each followed by batch normalisation and ReLU,
    bring it back, and a 3x3 convolution makes the colours: linear, as befits a Gaussian likelihood; a sigmoid there
    took many times as long to reach bright and dark.
    Source: Kingma and Welling, arXiv 1312.6114, section 3. Raises ValueError unless size is a multiple of 16.
    """

    role: ClassVar[str] = "autoencoder"

    def __init__(
        self, up: Up, in_channels: int, out_channels: int, size: int, *, channels: int = 16, latent: int = 64
    ) -> None:
        super().__init__((in_channels, size, size))
        check_size(size, HALVINGS)
        self.latent = latent
        widths = [channels * 2**level for level in range(HALVINGS)]
        side = size // 2**HALVINGS
        self.encoder = nn.Sequential(
            *(layer for pair in pairwise([in_channels, *widths]) for layer in conv_block(*pair, stride=2)),
            nn.Flatten(),
            nn.Linear(widths[-1] * side**2, 2 * latent),
        )
        self.project = nn.Sequential(
            nn.Linear(latent, widths[-1] * side**2), nn.Unflatten(1, (widths[-1], side, side)), nn.ReLU()
        )
        stages = pairwise([*reversed(widths), widths[0]])
        self.stages = nn.Sequential(*(layer for a, b in stages for layer in up_block(up, a, b)))
        self.head = nn.Conv2d(widths[0], out_channels, 3, padding=1)
        nn.init.constant_(self.head.get_parameter("bias"), 0.5)

    def decode(self, code: Tensor) -> Tensor:
        """(N, latent) -> images (N, out_channels, size, size), meant for [0, 1] but not held to it."""
        return self.head(self.stages(self.project(code)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, 1)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        return self.decode(code), mean, log_variance

"""A GAN of residual blocks whose discriminator is held back by spectral normalisation."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from bench.models.base import Generator, Up, check_size, to_image

HALVINGS, DOUBLINGS = 4, 3


class SNGAN(Generator):
    """Residual GAN, spectral norm: (N, latent) -> (N, out_channels, size, size) in [0, 1]; in_channels is not used.

    A linear map to 8 * channels maps of size / 8; three residual blocks that double the size and halve the channels;
    batch normalisation, ReLU, 3x3 convolution, hyperbolic tangent. The discriminator: four residual blocks that halve
    the size and double the channels, one that keeps the size, ReLU, the sum over pixels, a linear map.
    Source: Miyato et al., arXiv 1802.05957, appendix B.4, the networks for STL-10. Raises ValueError unless size is a
    multiple of 16.
    """

    def __init__(
        self, up: Up, in_channels: int, out_channels: int, size: int, *, channels: int = 64, latent: int = 128
    ) -> None:
        super().__init__((latent,))
        check_size(size, HALVINGS)
        self.colours, self.channels = out_channels, channels
        widths = [channels * 2**level for level in reversed(range(DOUBLINGS + 1))]
        side = size // 2**DOUBLINGS
        self.project = nn.Sequential(nn.Linear(latent, widths[0] * side**2), nn.Unflatten(1, (widths[0], side, side)))
        self.blocks = nn.Sequential(*(UpBlock(up, a, b) for a, b in pairwise(widths)))
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, out_channels, 3, padding=1)
        )

    def forward(self, code: Tensor) -> Tensor:
        return to_image(self.head(self.blocks(self.project(code))))

    def discriminator(self) -> nn.Module:
        return Discriminator([self.colours, *(self.channels * 2**level for level in range(HALVINGS + 1))])


class UpBlock(nn.Module):
    """Residual block: (N, in, H, W) -> (N, out, 2H, 2W).

    Main path: batch normalisation, ReLU, the layer under test in the place of the source's nearest-neighbour
    enlargement and first 3x3 convolution, batch normalisation, ReLU, 3x3 convolution. Shortcut: a 1x1 convolution, then
    every pixel four times; the same for all layers, and without energy at the lattice frequencies, where its box filter
    is zero.
    """

    def __init__(self, up: Up, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            up(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.Upsample(scale_factor=2))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


class DownBlock(nn.Module):
    """Residual block: (N, in, H, W) -> (N, out, H / 2, W / 2), or of the same size with halve=False."""

    def __init__(self, in_channels: int, out_channels: int, *, activate: bool, halve: bool) -> None:
        super().__init__()
        pool = [nn.AvgPool2d(2)] if halve else []
        self.main = nn.Sequential(
            *([nn.ReLU()] if activate else []),
            spectral_norm(nn.Conv2d(in_channels, out_channels, 3, padding=1)),
            nn.ReLU(inplace=True),
            spectral_norm(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
            *pool,
        )
        # the source pools after this convolution but for its first block; the two commute
        self.shortcut = nn.Sequential(*pool, spectral_norm(nn.Conv2d(in_channels, out_channels, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.shortcut(x)


class Discriminator(nn.Module):
    """(N, widths[0], H, W) in [0, 1] -> logits (N,); the last block keeps the size."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        last = len(widths) - 2
        self.blocks = nn.Sequential(
            *(DownBlock(a, b, activate=level > 0, halve=level < last) for level, (a, b) in enumerate(pairwise(widths)))
        )
        self.score = spectral_norm(nn.Linear(widths[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.score(F.relu(self.blocks(2 * x - 1)).sum((2, 3))).squeeze(1)

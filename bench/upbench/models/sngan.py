"""A GAN of residual blocks whose discriminator is held back by spectral normalisation."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from upbench.models.base import Generator, Size, Up, check_halvings, halve_sides, to_image, to_sides

HALVINGS = 4  # in the discriminator
DOUBLINGS = 3  # in the generator


class SNGAN(Generator):
    """Residual GAN whose discriminator has spectral normalisation.

    Codes (N, latent) -> images (N, out_channels, H, W) in [0, 1]; in_channels is not used. A linear map to
    8 * channels maps of an eighth of the size; three residual blocks that double the size and halve the channels;
    batch normalisation, ReLU, 3x3 convolution, hyperbolic tangent. The discriminator: four residual blocks that halve
    the size and double the channels, one that keeps the size, ReLU, the sum over pixels, a linear map.

    Source: Miyato et al., arXiv 1802.05957, appendix B.4, the networks for STL-10.

    Args:
        channels: width of the generator's last and of the discriminator's first residual block; at least 1. Default:
            64, as in the source.
        latent: length of the code; at least 1. Default: 128, as in the source.

    Raises:
        ValueError: unless each side is a multiple of 16.
    """

    def __init__(
        self, up: Up, in_channels: int, out_channels: int, size: Size, *, channels: int = 64, latent: int = 128
    ) -> None:
        super().__init__((latent,))
        sides = to_sides(size, 2)
        check_halvings(sides, HALVINGS)
        # the discriminator halves once more than the generator doubles
        first_sides = halve_sides(sides, DOUBLINGS)
        self.colours = out_channels
        self.channels = channels
        widths = [channels * 2**level for level in range(DOUBLINGS + 1)]
        widest = widths[-1]
        features = widest * math.prod(first_sides)
        self.project = nn.Sequential(
            nn.Linear(latent, features),
            nn.Unflatten(1, (widest, *first_sides)),
        )
        self.blocks = nn.Sequential()
        for below, above in pairwise(reversed(widths)):
            self.blocks.append(UpBlock(up, below, above))
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, out_channels, 3, padding=1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Codes (N, latent) -> images (N, out_channels, H, W) in [0, 1]."""
        y = self.project(code)
        y = self.blocks(y)
        y = self.head(y)
        return to_image(y)

    def discriminator(self) -> nn.Module:
        """Make a new discriminator, from `channels` maps to 16 times as many."""
        widths = [self.channels * 2**level for level in range(HALVINGS + 1)]
        return Discriminator([self.colours, *widths])


class UpBlock(nn.Module):
    """Residual block that doubles the size: (N, in_channels, H, W) -> (N, out_channels, 2H, 2W).

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
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1),
            nn.Upsample(scale_factor=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths."""
        return self.main(x) + self.shortcut(x)


class DownBlock(nn.Module):
    """Residual block that halves the size or, with halve=False, keeps it.

    (N, in_channels, H, W) -> (N, out_channels, H / 2, W / 2). `activate` begins the main path with a ReLU.
    """

    def __init__(self, in_channels: int, out_channels: int, *, activate: bool, halve: bool) -> None:
        super().__init__()
        # not in place: the shortcut reads the same map
        activation = [nn.ReLU()] if activate else []
        pool = [nn.AvgPool2d(2)] if halve else []
        first: nn.Module = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        # each map is normalised as soon as it is drawn: the normalisation draws random numbers too
        first = spectral_norm(first)
        second: nn.Module = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        second = spectral_norm(second)
        self.main = nn.Sequential(
            *activation,
            first,
            nn.ReLU(inplace=True),
            second,
            *pool,
        )
        # the source pools after this convolution but for its first block; the two commute
        mix = nn.Conv2d(in_channels, out_channels, 1)
        self.shortcut = nn.Sequential(*pool, spectral_norm(mix))

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both paths."""
        return self.main(x) + self.shortcut(x)


class Discriminator(nn.Module):
    """Images (N, widths[0], H, W) in [0, 1] -> logits (N,); the last block keeps the size."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        last = len(widths) - 2
        self.blocks = nn.Sequential()
        for level, (above, below) in enumerate(pairwise(widths)):
            block = DownBlock(
                above,
                below,
                activate=level > 0,  # the first sees the image itself, of which a ReLU would lose the dark half
                halve=level < last,
            )
            self.blocks.append(block)
        score = nn.Linear(widths[-1], 1)
        self.score = spectral_norm(score)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N,), high for images that look real."""
        # centred, as the generator's hyperbolic tangent made them
        maps = self.blocks(2 * x - 1)
        features = F.relu(maps).sum((2, 3))
        return self.score(features).squeeze(1)

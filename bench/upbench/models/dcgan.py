"""DCGAN: a generator of nothing but up-sampling layers."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from upbench.models.base import Generator, Size, Up, halve_sides, make_up_stages, to_image, to_sides

HALVINGS = 4  # by the discriminator, and as many up-sampling layers


class DCGAN(Generator):
    """Deep convolutional GAN.

    Codes (N, latent) -> images (N, out_channels, H, W) in [0, 1]; in_channels is not used. A linear map to
    8 * channels maps of a sixteenth of the size; four up-sampling layers, of which the first three halve the channels;
    batch normalisation and ReLU after each of these; a 1x1 convolution and a hyperbolic tangent. In the source the
    last layer draws the colours itself; not every layer can make three channels, and this convolution too sees but one
    pixel at a time.

    The discriminator mirrors it: four 4x4 convolutions of stride 2, from `channels` maps to 8 times as many, LeakyReLU
    of slope 0.2, batch normalisation but in the first. Its even kernel sends every pixel the same number of gradients:
    a 5x5 one, as released, would itself teach a checkerboard (Odena et al., Distill 2016). Its weights start normal,
    of standard deviation 0.02; in the generator the layer keeps its own initialisation, and normalisation makes that
    of the linear map one.

    Source: Radford et al., arXiv 1511.06434, sections 3 and 4, figure 1.

    Args:
        channels: width of the last up-sampling layer, and an eighth of that of the first; at least 1. Default: 128, as
            in the source.
        latent: length of the code; at least 1. Default: 100, as in the source.

    Raises:
        ValueError: unless each side is a multiple of 16.
    """

    def __init__(
        self, up: Up, in_channels: int, out_channels: int, size: Size, *, channels: int = 128, latent: int = 100
    ) -> None:
        super().__init__((latent,))
        self.last_sides = halve_sides(to_sides(size, 2), HALVINGS)
        widths = [channels * 2**level for level in range(HALVINGS)]
        self.widths = [out_channels, *widths]
        widest = widths[-1]
        features = widest * math.prod(self.last_sides)
        self.project = nn.Sequential(
            nn.Linear(latent, features, bias=False),  # the normalisation has one
            nn.Unflatten(1, (widest, *self.last_sides)),
            nn.BatchNorm2d(widest),
            nn.ReLU(inplace=True),
        )
        self.stages = make_up_stages(up, [*reversed(widths), channels])
        self.head = nn.Conv2d(channels, out_channels, 1)

    def forward(self, code: Tensor) -> Tensor:
        """Codes (N, latent) -> images (N, out_channels, H, W) in [0, 1]."""
        y = self.project(code)
        y = self.stages(y)
        y = self.head(y)
        return to_image(y)

    def discriminator(self) -> nn.Module:
        """Make a new discriminator, with its weights drawn as in the source."""
        discriminator = Discriminator(self.widths, self.last_sides)
        return discriminator.apply(draw_weights)


class Discriminator(nn.Module):
    """Images (N, widths[0], H, W) in [0, 1] -> logits (N,); `last_sides` are those of the last map."""

    def __init__(self, widths: list[int], last_sides: tuple[int, ...]) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for level, (above, below) in enumerate(pairwise(widths)):
            first = level == 0
            # but in the first, the normalisation has the bias
            convolution = nn.Conv2d(above, below, 4, stride=2, padding=1, bias=first)
            blocks.append(convolution)
            if not first:
                blocks.append(nn.BatchNorm2d(below))
            blocks.append(nn.LeakyReLU(0.2, inplace=True))
        features = widths[-1] * math.prod(last_sides)
        self.score = nn.Sequential(
            *blocks,
            nn.Flatten(),
            nn.Linear(features, 1),
            nn.Flatten(0),  # (N, 1) -> (N,)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N,), high for images that look real."""
        # centred, as the generator's hyperbolic tangent made them
        return self.score(2 * x - 1)


def draw_weights(module: nn.Module) -> None:
    """Draw the weights of a convolution or a linear map: normal, of standard deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)

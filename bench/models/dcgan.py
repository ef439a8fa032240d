"""DCGAN: a generator of nothing but up-sampling layers."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from bench.models.base import Generator, Up, check_size, to_image, up_block

HALVINGS = 4


class DCGAN(Generator):
    """Deep convolutional GAN: (N, latent) -> (N, out_channels, size, size) in [0, 1]; in_channels is not used.

    A linear map to 8 * channels maps of size / 16; four up-sampling layers, of which the first three halve the
    channels; batch normalisation and ReLU after each of these; a 1x1 convolution and a hyperbolic tangent. In the
    source the last layer draws the colours itself; not every layer can make three channels, and this convolution too
    sees but one pixel at a time.
    The discriminator mirrors it: four 4x4 convolutions of stride 2, from `channels` maps to 8 times as many, LeakyReLU
    of slope 0.2, batch normalisation but in the first. Its even kernel sends every pixel the same number of gradients:
    a 5x5 one, as released, would itself teach a checkerboard (Odena et al., Distill 2016).
    Its weights start normal, of standard deviation 0.02; in the generator the layer keeps its own initialisation, and
    normalisation makes that of the linear map one.
    Source: Radford et al., arXiv 1511.06434, sections 3 and 4, figure 1. Raises ValueError unless size is a multiple
    of 16.
    """

    def __init__(
        self, up: Up, in_channels: int, out_channels: int, size: int, *, channels: int = 128, latent: int = 100
    ) -> None:
        super().__init__((latent,))
        check_size(size, HALVINGS)
        self.widths = [out_channels, *(channels * 2**level for level in range(HALVINGS))]
        self.side = size // 2**HALVINGS
        colours, *widths = self.widths
        self.project = nn.Sequential(
            nn.Linear(latent, widths[-1] * self.side**2, bias=False),
            nn.Unflatten(1, (widths[-1], self.side, self.side)),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(inplace=True),
        )
        stages = pairwise([*reversed(widths), widths[0]])
        self.stages = nn.Sequential(*(layer for a, b in stages for layer in up_block(up, a, b)))
        self.head = nn.Conv2d(widths[0], colours, 1)

    def forward(self, code: Tensor) -> Tensor:
        return to_image(self.head(self.stages(self.project(code))))

    def discriminator(self) -> nn.Module:
        return Discriminator(self.widths, self.side).apply(start)


class Discriminator(nn.Module):
    """(N, widths[0], size, size) in [0, 1] -> logits (N,); `side` is that of the last map."""

    def __init__(self, widths: list[int], side: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for level, (above, below) in enumerate(pairwise(widths)):
            blocks.append(nn.Conv2d(above, below, 4, stride=2, padding=1, bias=level == 0))
            blocks += [nn.BatchNorm2d(below)] if level else []
            blocks.append(nn.LeakyReLU(0.2, inplace=True))
        self.score = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(widths[-1] * side**2, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.score(2 * x - 1)


def start(module: nn.Module) -> None:
    """Draw the weights of a convolution or a linear map."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)

"""What the networks share: what a task may ask of one, the up-sampling factory and the blocks."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

Norm = Literal["batch", "group", "none"]

CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
GROUP = 16  # channels of a normalised group


class Up(Protocol):
    """Makes a x2 up-sampling layer: (N, in_channels, *S) -> (N, out_channels, *(2 * s for s in S)), S of `dims`."""

    def __call__(self, in_channels: int, out_channels: int, *, dims: int = 2) -> nn.Module: ...


class Network(nn.Module):
    """role: which tasks can use it. input_shape: of one input, without the batch. dims: of what it up-samples."""

    role: ClassVar[str]

    def __init__(self, input_shape: tuple[int, ...], *, dims: int = 2) -> None:
        super().__init__()
        self.input_shape, self.dims = input_shape, dims


class Generator(Network):
    """One half of a GAN: codes (N, latent), standard normal -> images (N, C, size, size) in [0, 1].

    The other half is not a part of it: the layer under test is in this one alone, and so are its costs.
    """

    role: ClassVar[str] = "gan"

    def discriminator(self) -> nn.Module:
        """A new network to train this one against: images in [0, 1] -> logits (N,), high for real ones."""
        raise TypeError(f"{type(self).__name__} does not define discriminator")


def to_image(y: Tensor) -> Tensor:
    """The hyperbolic tangent, brought from [-1, 1] to [0, 1]."""
    return (y.tanh() + 1) / 2


def conv_block(
    in_channels: int, out_channels: int, *, stride: int = 1, dims: int = 2, norm: Norm = "batch"
) -> list[nn.Module]:
    """Convolution of 3 taps a dimension, normalisation, ReLU: (N, in, *S) -> (N, out, *(s / stride for s in S)).

    Without normalisation the convolution has a bias.
    """
    convolution = CONV[dims](in_channels, out_channels, 3, stride=stride, padding=1, bias=norm == "none")
    return [convolution, *normalisation(out_channels, norm, dims), nn.ReLU(inplace=True)]


def normalisation(channels: int, norm: Norm, dims: int) -> list[nn.Module]:
    """The normalisation by name, or nothing.

    "group": groups of 16 channels, or of as many as is the greatest common divisor of 16 and the channels.
    Source: Wu and He, Group Normalization, arXiv 1803.08494, section 3 and table 3.
    """
    if norm == "batch":
        return [BATCH_NORM[dims](channels)]
    if norm == "group":
        return [nn.GroupNorm(channels // math.gcd(channels, GROUP), channels)]
    return []


def up_block(up: Up, in_channels: int, out_channels: int) -> list[nn.Module]:
    """The layer under test, batch normalisation, ReLU: (N, in, H, W) -> (N, out, 2H, 2W)."""
    return [up(in_channels, out_channels), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def check_size(size: int, halvings: int) -> None:
    """Raises ValueError unless `size` can be halved so often and leaves at least one pixel."""
    if size < 2**halvings or size % 2**halvings:
        raise ValueError(f"size {size} must be a multiple of {2**halvings} to be halved {halvings} times")

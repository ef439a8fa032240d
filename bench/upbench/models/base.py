"""What the networks share: what a task may ask of one, the up-sampling factory, the sides of images and the blocks."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn

Norm = Literal["batch", "group", "none"]
Size = int | tuple[int, ...]  # one side for all dimensions, or one a dimension

# torch has a class for each number of dimensions
CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
GROUP = 16  # channels of a normalised group
# in the order of a tensor's axes
SIDE_NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


class Up(Protocol):
    """Makes a layer that up-samples by 2: (N, in_channels, *S) -> (N, out_channels, *(2 * s for s in S))."""

    def __call__(self, in_channels: int, out_channels: int, *, dims: int = 2) -> nn.Module:
        """Make the layer for signals, images or volumes: S has `dims` sides."""
        ...


class Network(nn.Module):
    """A network in which the layer under test up-samples.

    Attributes:
        role: what the network is used for, which says what tasks can use it; see `upbench.models`.
        input_shape: the shape of one input, without the batch.
        dims: the number of spatial dimensions of what the network up-samples.
    """

    role: ClassVar[str]

    def __init__(self, input_shape: tuple[int, ...], *, dims: int = 2) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.dims = dims


class Generator(Network):
    """One half of a GAN: codes (N, latent), standard normal -> images (N, C, H, W) in [0, 1].

    The other half is not a part of it: the layer under test is in this one alone, and so are its costs.
    """

    role: ClassVar[str] = "gan"

    def discriminator(self) -> nn.Module:
        """Make a new network to train this one against: images in [0, 1] -> logits (N,), high for real ones."""
        raise TypeError(f"{type(self).__name__} does not define discriminator")


def to_sides(size: Size, dims: int) -> tuple[int, ...]:
    """Turn a size into one side a dimension.

    Args:
        size: one side for all dimensions, or one side a dimension, in pixels.
        dims: number of spatial dimensions.

    Returns:
        `dims` sides.

    Raises:
        ValueError: if there is another number of sides than dimensions.
    """
    if isinstance(size, int):
        return (size,) * dims
    if len(size) != dims:
        raise ValueError(f"dims = {dims} does not fit images of {len(size)} dimensions, {size}")
    return tuple(size)


def check_halvings(sides: tuple[int, ...], halvings: int) -> None:
    """Check that images can be halved so often and keep at least one pixel.

    Args:
        sides: sides of the images in pixels, one a dimension.
        halvings: how often a network halves each side.

    Raises:
        ValueError: if they cannot. It says which side does not fit and of what it must be a multiple.
    """
    multiple = 2**halvings
    for name, side in zip(SIDE_NAMES[len(sides)], sides, strict=True):
        if side >= multiple and side % multiple == 0:
            continue
        wrong = f"size {side}"
        if len(set(sides)) > 1:
            whole = "x".join(map(str, sides))
            wrong = f"{name} {side} of {whole}"
        raise ValueError(f"{wrong} must be a multiple of {multiple} to be halved {halvings} times")


def halve_sides(sides: tuple[int, ...], halvings: int) -> tuple[int, ...]:
    """The sides after so many halvings. Raises ValueError as `check_halvings` does."""
    check_halvings(sides, halvings)
    return tuple(side // 2**halvings for side in sides)


def to_image(y: Tensor) -> Tensor:
    """The hyperbolic tangent, brought from [-1, 1] to [0, 1]."""
    return (y.tanh() + 1) / 2


def make_conv_block(
    in_channels: int, out_channels: int, *, stride: int = 1, dims: int = 2, norm: Norm = "batch"
) -> list[nn.Module]:
    """Make a convolution of 3 taps a dimension, its normalisation and a ReLU.

    Together they map (N, in_channels, *S) -> (N, out_channels, *(s / stride for s in S)). Without normalisation the
    convolution has a bias.
    """
    convolution = CONV[dims](
        in_channels,
        out_channels,
        kernel_size=3,
        stride=stride,
        padding=1,  # keeps the size at stride 1
        bias=norm == "none",  # a normalisation has a bias of its own
    )
    normalisation = make_normalisation(out_channels, norm, dims)
    # in place: no gradient needs the map before it
    return [convolution, *normalisation, nn.ReLU(inplace=True)]


def make_normalisation(channels: int, norm: Norm, dims: int) -> list[nn.Module]:
    """Make the normalisation of that name: a list of one module, or of none.

    "group": groups of 16 channels, or of as many as is the greatest common divisor of 16 and the channels.
    Source: Wu and He, Group Normalization, arXiv 1803.08494, section 3 and table 3.
    """
    if norm == "batch":
        return [BATCH_NORM[dims](channels)]
    if norm == "group":
        per_group = math.gcd(channels, GROUP)
        return [nn.GroupNorm(channels // per_group, channels)]
    return []


def make_up_block(up: Up, in_channels: int, out_channels: int) -> list[nn.Module]:
    """Make the layer under test, batch normalisation and ReLU: (N, in_channels, H, W) -> (N, out_channels, 2H, 2W)."""
    return [
        up(in_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def make_up_stages(up: Up, widths: list[int]) -> nn.Sequential:
    """Make the k up blocks that lead from each of k + 1 widths to the next.

    (N, widths[0], H, W) -> (N, widths[-1], 2^k * H, 2^k * W).
    """
    blocks: list[nn.Module] = []
    for in_channels, out_channels in pairwise(widths):
        blocks += make_up_block(up, in_channels, out_channels)
    return nn.Sequential(*blocks)

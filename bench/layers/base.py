"""What all up-sampling layers share: their contract, interleaving of phases, and initialisation by fan-in."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Phase = tuple[int, ...]  # offset of an interleaved sub-grid in the output, one number a dimension

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class UpsamplingLayer(nn.Module):
    """(N, in_channels, *S) -> (N, out_channels, *(factor * s for s in S)); linear unless a subclass says otherwise.

    `bias` is one number an output channel, the same for all phases, so that it cannot draw a checkerboard.
    Raises ValueError for fewer than one channel, a factor below 2, or dims outside 1 to 3.
    """

    def __init__(self, in_channels: int, out_channels: int, *, dims: int, factor: int, bias: bool) -> None:
        super().__init__()
        if min(in_channels, out_channels) < 1:
            raise ValueError(f"channels must be at least 1, got {in_channels} in and {out_channels} out")
        if dims not in CONV:
            raise ValueError(f"dims must be 1, 2 or 3, got {dims}")
        if factor < 2:
            raise ValueError(f"factor must be at least 2, got {factor}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.dims, self.factor = dims, factor
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            expected = ", ".join(["N", str(self.in_channels), *"DHW"[-self.dims :]])
            raise ValueError(f"{type(self).__name__} takes ({expected}), got {tuple(x.shape)}")
        y = self.upsample(x)
        return y if self.bias is None else y + self.bias.view(-1, *[1] * self.dims)

    def upsample(self, x: Tensor) -> Tensor:
        """The layer's linear map, without its bias."""
        raise TypeError(f"{type(self).__name__} does not define upsample")

    def multiply_adds(self) -> int:
        """Multiply-adds for one input pixel, borders not subtracted: the hand formula behind the FLOP column."""
        raise TypeError(f"{type(self).__name__} does not define multiply_adds")

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, dims={self.dims}, factor={self.factor}"


def phases(dims: int, factor: int) -> list[Phase]:
    """All factor**dims phases in row-major order, the order `interleave` wants them in."""
    return list(itertools.product(range(factor), repeat=dims))


def interleave(y: Tensor, factor: int) -> Tensor:
    """Periodic shuffling: (N, C, factor**d, *S) -> (N, C, *(factor * s for s in S)), d = len(S).

    Source: Shi et al., arXiv 1609.05158, section 2.2, eq. 4, in any number of dimensions.
    """
    channels, size = y.shape[1], y.shape[3:]
    dims = len(size)
    if dims == 2:
        return F.pixel_shuffle(y.flatten(1, 2), factor)
    y = y.unflatten(2, [factor] * dims)
    order = [axis for d in range(dims) for axis in (2 + dims + d, 2 + d)]
    return y.permute(0, 1, *order).reshape(y.shape[0], channels, *(factor * s for s in size))


def init_by_fan_in(weight: Tensor, fan_in: int) -> None:
    """Normal weights of variance 1 / fan_in: white input of variance v gives output of variance v.

    The gain is that of a linear layer: LeCun et al., Efficient BackProp (1998), section 4.6.
    """
    nn.init.normal_(weight, std=1 / math.sqrt(fan_in))


def check_odd(kernel: int) -> None:
    """Raises ValueError unless `kernel` is odd and positive, so that a stride-1 convolution has a centre."""
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd and positive, got {kernel}")

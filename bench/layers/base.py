"""What all up-sampling layers share: their contract and initialisation by fan-in."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.phases import memory_format

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class UpsamplingLayer(nn.Module):
    """(N, in_channels, *S) -> (N, out_channels, *(factor * s for s in S)); linear unless a subclass says otherwise.

    `bias` is one number an output channel, the same for all phases, so that it cannot draw a checkerboard.
    Raises ValueError for fewer than one channel, a factor below 2, or dims that the layer does not support.
    """

    dims_supported: ClassVar[tuple[int, ...]] = (1, 2, 3)
    even_kernels: ClassVar[bool] = False
    in_multiple: ClassVar[int] = 1  # of which in_channels must be a multiple

    def __init__(self, in_channels: int, out_channels: int, *, dims: int, factor: int, bias: bool) -> None:
        super().__init__()
        if min(in_channels, out_channels) < 1:
            raise ValueError(f"channels must be at least 1, got {in_channels} in and {out_channels} out")
        if dims not in self.dims_supported:
            supported = " or ".join(map(str, self.dims_supported))
            raise ValueError(f"dims must be {supported} for {type(self).__name__}, got {dims}")
        if factor < 2:
            raise ValueError(f"factor must be at least 2, got {factor}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.dims, self.factor = dims, factor
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            expected = ", ".join(["N", str(self.in_channels), *"DHW"[-self.dims :]])
            raise ValueError(f"{type(self).__name__} takes ({expected}), got {tuple(x.shape)}")
        y, layout = self.upsample(x), memory_format(x)
        if layout != torch.contiguous_format:  # some of torch's operations forget it
            y = y.contiguous(memory_format=layout)
        return y if self.bias is None else y + self.bias.to(y.dtype).view(-1, *[1] * self.dims)

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        raise TypeError(f"{type(self).__name__} does not define reset_parameters")

    def upsample(self, x: Tensor) -> Tensor:
        """The layer's linear map, without its bias."""
        raise TypeError(f"{type(self).__name__} does not define upsample")

    def multiply_adds(self) -> int:
        """Multiply-adds for one input pixel, borders not subtracted: the hand formula behind the FLOP column."""
        raise TypeError(f"{type(self).__name__} does not define multiply_adds")

    def uncounted_multiply_adds(self) -> int:
        """The part of `multiply_adds` that torch.utils.flop_counter counts as nothing: interpolation, sampling."""
        return 0

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, dims={self.dims}, factor={self.factor}"


def init_by_fan_in(weight: Tensor, fan_in: int) -> None:
    """Normal weights of mean square 1 / fan_in: white input of variance v gives output of variance v.

    The gain is that of a linear layer: LeCun et al., Efficient BackProp (1998), section 4.6. The mean square is exact
    and not only expected, because phases with few taps would else start a few per cent apart.
    """
    nn.init.normal_(weight)
    with torch.no_grad():
        weight *= weight.square().mean().mul(fan_in).rsqrt()


def check_odd(kernel: int) -> None:
    """Raises ValueError unless `kernel` is odd and positive, so that a stride-1 convolution has a centre."""
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be odd and positive, got {kernel}")

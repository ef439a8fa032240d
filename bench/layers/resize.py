"""Resizing by a fixed filter and a learned convolution: nothing in the up-sampling itself is learned."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import CONV, UpsamplingLayer, check_odd, init_by_fan_in
from bench.layers.transposed import TRANSPOSED

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class ResizeLayer(UpsamplingLayer):
    """A resize and a convolution, weights (out_channels, channels, *kernel). Raises ValueError for an even kernel."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dims: int, factor: int, kernel: int, bias: bool, group: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        check_odd(kernel)
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // group, *[kernel] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init_by_fan_in(self.weight, self.weight[0].numel())

    def convolve(self, x: Tensor) -> Tensor:
        return CONV[self.dims](x, self.weight, padding=self.kernel // 2)

    def enlarge(self, x: Tensor) -> Tensor:
        """Linear interpolation in each dimension, pixel centres aligned as in torch's default."""
        return F.interpolate(x, scale_factor=float(self.factor), mode=LINEAR[self.dims])


class NearestConv(ResizeLayer):
    """Nearest-neighbour resize, then a convolution.

    Source: Odena et al., Deconvolution and Checkerboard Artifacts (Distill, 2016). Repeating each pixel and convolving
    is one transposed convolution, whose kernel is the convolution's own summed over a block of `factor` pixels: for a
    3x3 kernel and a x2 output 16 multiply-adds a channel pair and input pixel and not 36, with the same values.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, kernel=kernel, bias=bias)

    def upsample(self, x: Tensor) -> Tensor:
        weight = self.weight.transpose(0, 1).flip([*range(2, 2 + self.dims)])
        for axis in range(self.dims):
            before = 2 * (self.dims - 1 - axis)  # F.pad counts dimensions from the last
            shifted = ([0] * before + [shift, self.factor - 1 - shift] for shift in range(self.factor))
            weight = torch.stack([F.pad(weight, pad) for pad in shifted]).sum(0)
        return TRANSPOSED[self.dims](x, weight, stride=self.factor, padding=self.kernel // 2)

    def multiply_adds(self) -> int:
        return self.in_channels * self.out_channels * (self.kernel + self.factor - 1) ** self.dims


class BilinearConv(ResizeLayer):
    """Linear interpolation in each dimension, then a convolution at the size of the output.

    Source: Odena et al., Deconvolution and Checkerboard Artifacts (Distill, 2016).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, kernel=kernel, bias=bias)

    def upsample(self, x: Tensor) -> Tensor:
        return self.convolve(self.enlarge(x))

    def multiply_adds(self) -> int:
        return self.weight.numel() * self.factor**self.dims + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        return self.in_channels * (2 * self.factor) ** self.dims


class Bilinear1x1(ResizeLayer):
    """Plain linear interpolation and a 1x1 convolution; the two commute, so the convolution comes first, when small."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dims: int = 2, factor: int = 2, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, kernel=1, bias=bias)

    def upsample(self, x: Tensor) -> Tensor:
        return self.enlarge(self.convolve(x))

    def multiply_adds(self) -> int:
        return self.weight.numel() + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        return self.out_channels * (2 * self.factor) ** self.dims


class BilinearAdditive(ResizeLayer):
    """Bilinear additive up-sampling: interpolate, add every `group` consecutive channels; then a convolution.

    Source: Wojna et al., The Devil is in the Decoder, arXiv 1707.05847, "Bilinear additive upsampling"; four channels
    for a x2 output in 2-D, as there. Adding channels and interpolating commute: the sum comes first, at the small size.
    Raises ValueError when in_channels is not a multiple of `group`.
    """

    in_multiple: ClassVar[int] = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        group: int = 4,
        bias: bool = False,
    ) -> None:
        if group < 1 or in_channels % group:
            raise ValueError(f"in_channels must be a multiple of group {group}, got {in_channels}")
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, kernel=kernel, bias=bias, group=group)
        self.group = group

    def upsample(self, x: Tensor) -> Tensor:
        return self.convolve(self.enlarge(x.unflatten(1, (-1, self.group)).sum(2)))

    def multiply_adds(self) -> int:
        return self.weight.numel() * self.factor**self.dims + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        return self.in_channels // self.group * (2 * self.factor) ** self.dims

"""Resizing by a fixed filter and a learned convolution: nothing in the up-sampling itself is learned."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.base import CONV, UpsamplingLayer, check_odd, init_by_fan_in
from upbench.layers.transposed import TRANSPOSED

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class ResizeLayer(UpsamplingLayer):
    """A fixed resize and a learned convolution; subclasses say which resize, and in which order.

    The weights have the shape (out_channels, in_channels // group, *kernel).

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3.
        scale_factor: Up-sampling factor in each dimension, 2 or more.
        kernel_size: Side of the kernel of the convolution, odd.
        bias: Whether to add a learned number to each output channel, the same for all phases.
        group: How many input channels are added up before the convolution sees them.

    Raises:
        ValueError: `kernel_size` is even, or a number is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int,
        scale_factor: int,
        kernel_size: int,
        bias: bool,
        group: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        check_odd(kernel_size)
        self.kernel_size = kernel_size
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // group, *[kernel_size] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolution's weights by its fan-in."""
        fan_in = self.weight[0].numel()
        init_by_fan_in(self.weight, fan_in)

    def convolve(self, x: Tensor) -> Tensor:
        """Convolve `x`, keeping its size."""
        conv = CONV[self.dims]
        padding = self.kernel_size // 2
        return conv(x, self.weight, padding=padding)

    def enlarge(self, x: Tensor) -> Tensor:
        """Interpolate linearly in each dimension, pixel centres aligned as in torch's default."""
        mode = LINEAR[self.dims]
        return F.interpolate(x, scale_factor=float(self.scale_factor), mode=mode)


class NearestConv(ResizeLayer):
    """Nearest-neighbour resize, then a convolution at the size of the output.

    Repeating each pixel and convolving is one transposed convolution, whose kernel is the convolution's own summed over
    a block of `scale_factor` pixels. For a 3x3 kernel and a x2 output it takes 16 multiply-adds a channel pair and
    input pixel and not 36, and gives the same values.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernel in pixels of the output, odd. Default: 3.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is even, or a number is out of its range.

    Source:
        Odena et al., Deconvolution and Checkerboard Artifacts (Distill, 2016).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 3,
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, dims=dims, scale_factor=scale_factor, kernel_size=kernel_size, bias=bias
        )

    def upsample(self, x: Tensor) -> Tensor:
        """Apply the transposed convolution that equals resize and convolution."""
        # a transposed convolution has its kernel as (in, out, ...), and turned around
        axes = list(range(2, 2 + self.dims))
        weight = self.weight.transpose(0, 1).flip(axes)
        for axis in range(self.dims):
            weight = torch.stack(self._shift(weight, axis)).sum(0)
        convolve = TRANSPOSED[self.dims]
        padding = self.kernel_size // 2
        return convolve(x, weight, stride=self.scale_factor, padding=padding)

    def _shift(self, weight: Tensor, axis: int) -> list[Tensor]:
        """Put the kernel at each of its places in a block of `scale_factor` pixels, along one spatial axis."""
        # F.pad counts dimensions from the last
        later_axes = self.dims - 1 - axis
        unpadded = [0, 0] * later_axes
        shifted = []
        for shift in range(self.scale_factor):
            before = shift
            after = self.scale_factor - 1 - shift
            sides = [before, after]
            shifted.append(F.pad(weight, unpadded + sides))
        return shifted

    def multiply_adds(self) -> int:
        """Count one multiply-add for each weight of the summed kernel."""
        side = self.kernel_size + self.scale_factor - 1
        return self.in_channels * self.out_channels * side**self.dims


class BilinearConv(ResizeLayer):
    """Linear interpolation in each dimension, then a convolution at the size of the output.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernel in pixels of the output, odd. Default: 3.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is even, or a number is out of its range.

    Source:
        Odena et al., Deconvolution and Checkerboard Artifacts (Distill, 2016).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 3,
        bias: bool = False,
    ) -> None:
        super().__init__(
            in_channels, out_channels, dims=dims, scale_factor=scale_factor, kernel_size=kernel_size, bias=bias
        )

    def upsample(self, x: Tensor) -> Tensor:
        """Interpolate, then convolve."""
        return self.convolve(self.enlarge(x))

    def multiply_adds(self) -> int:
        """Count the convolution at the size of the output, and the interpolation."""
        places = self.scale_factor**self.dims
        return self.weight.numel() * places + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        """Count the interpolation: each number of the output is a sum of 2**dims."""
        return self.in_channels * (2 * self.scale_factor) ** self.dims


class Bilinear1x1(ResizeLayer):
    """Plain linear interpolation, with a 1x1 convolution that brings the channels to `out_channels`.

    The two commute, so the convolution comes first, at the size of the input.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: A number is out of its range.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, dims: int = 2, scale_factor: int = 2, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, kernel_size=1, bias=bias)

    def upsample(self, x: Tensor) -> Tensor:
        """Convolve, then interpolate."""
        return self.enlarge(self.convolve(x))

    def multiply_adds(self) -> int:
        """Count the convolution at the size of the input, and the interpolation."""
        return self.weight.numel() + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        """Count the interpolation: each number of the output is a sum of 2**dims."""
        return self.out_channels * (2 * self.scale_factor) ** self.dims


class BilinearAdditive(ResizeLayer):
    """Bilinear additive up-sampling: linear interpolation, sums of consecutive channels, then a convolution.

    Adding channels and interpolating commute, so the sum comes first, at the size of the input.

    Args:
        in_channels: Channels of the input, a multiple of `group`.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernel in pixels of the output, odd. Default: 3.
        group: How many consecutive channels are added up, 1 or more. Default: 4, as in the paper for a x2 output in
            2-D.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: in_channels is not a multiple of `group`, `kernel_size` is even, or a number is out of its range.

    Source:
        Wojna et al., The Devil is in the Decoder, arXiv 1707.05847, "Bilinear additive upsampling".
    """

    in_multiple: ClassVar[int] = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 3,
        group: int = 4,
        bias: bool = False,
    ) -> None:
        if group < 1 or in_channels % group:
            raise ValueError(f"in_channels must be a multiple of group {group}, got {in_channels}")
        super().__init__(
            in_channels,
            out_channels,
            dims=dims,
            scale_factor=scale_factor,
            kernel_size=kernel_size,
            bias=bias,
            group=group,
        )
        self.group = group

    def upsample(self, x: Tensor) -> Tensor:
        """Add up groups of channels, interpolate, then convolve."""
        # no name for the sum, which is freed as soon as it is interpolated
        return self.convolve(self.enlarge(x.unflatten(1, (-1, self.group)).sum(2)))

    def multiply_adds(self) -> int:
        """Count the convolution at the size of the output, and the interpolation."""
        places = self.scale_factor**self.dims
        return self.weight.numel() * places + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        """Count the interpolation: each number of the output is a sum of 2**dims."""
        channels = self.in_channels // self.group
        return channels * (2 * self.scale_factor) ** self.dims

"""Transposed convolution: the reference that every other layer is compared with."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.base import UpsamplingLayer, init_by_fan_in
from upbench.layers.phases import phases, place

TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class TransposedConv(UpsamplingLayer):
    """Transposed convolution, the reference of all comparisons.

    The layer is the transpose of a convolution of stride `scale_factor`: x = M^T y for the convolution y = M x. Its
    weights have the shape (in_channels, out_channels, *kernel), as those of torch.nn.ConvTranspose2d.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernel in pixels of the output, at least `scale_factor`. Default: 4, which gives every
            phase of a x2 output the same number of taps. The PixelDCL authors' baseline has 3, whose four phases have
            1, 2, 2 and 4 taps.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is smaller than `scale_factor`, or a number is out of its range.

    Source:
        Dumoulin and Visin, arXiv 1603.07285, chapter 4; Gao et al., arXiv 1705.06820, section 2.
    """

    even_kernels: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 4,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        if kernel_size < scale_factor:
            raise ValueError(
                f"kernel_size must be at least the scale_factor {scale_factor}, or pixels stay empty; got {kernel_size}"
            )
        self.kernel_size = kernel_size
        # what is odd of the padding lies at the end
        self.padding = (kernel_size - scale_factor + 1) // 2
        self.output_padding = 2 * self.padding + scale_factor - kernel_size
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, *[kernel_size] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw each phase's weights by the phase's own fan-in: uneven kernels would else start as a checkerboard."""
        for phase in phases(self.dims, self.scale_factor):
            # the kernel lies on the grid of the output, so its taps are divided up as the output is
            taps = self.weight.data[place(phase, self.scale_factor)]
            fan_in = taps[:, 0].numel()
            init_by_fan_in(taps, fan_in)

    def upsample(self, x: Tensor) -> Tensor:
        """Apply the transposed convolution without its bias."""
        convolve = TRANSPOSED[self.dims]
        return convolve(
            x,
            self.weight,
            stride=self.scale_factor,
            padding=self.padding,
            output_padding=self.output_padding,
        )

    def multiply_adds(self) -> int:
        """Count one multiply-add for each weight: every input pixel meets the whole kernel."""
        return self.in_channels * self.out_channels * self.kernel_size**self.dims

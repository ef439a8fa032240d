"""Sub-pixel convolution, known by the name of its second half, PixelShuffle."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from upbench.layers.base import CONV, UpsamplingLayer, check_odd, init_by_fan_in
from upbench.layers.phases import interleave


class PixelShuffle(UpsamplingLayer):
    """Sub-pixel convolution: a convolution to all phases side by side, then a shuffle that interleaves them.

    Other than torch.nn.PixelShuffle, this layer holds the convolution as well. Its weights have the shape
    (out_channels * scale_factor**dims, in_channels, *kernel), phases fastest, so that the convolution that stands
    before a torch.nn.PixelShuffle fits in.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernel in pixels of the input, odd. Default: 3.
        init: How the weights start. "equal", the default: every phase draws a kernel of its own, of the same mean
            square. "icnr": all phases start with the same kernel, so that the layer begins as nearest-neighbour resize
            (Aitken et al., arXiv 1707.02937).
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is even, or a number is out of its range.

    Source:
        Shi et al., arXiv 1609.05158, section 2.2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 3,
        init: Literal["equal", "icnr"] = "equal",
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        check_odd(kernel_size)
        self.kernel_size = kernel_size
        self.init = init
        maps = out_channels * scale_factor**dims
        self.weight = nn.Parameter(torch.empty(maps, in_channels, *[kernel_size] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the kernels phase by phase, or the first phase's kernels alone where all start alike."""
        # (out_channels, phases, in_channels, *kernel)
        kernels = self.weight.data.unflatten(0, (self.out_channels, -1))
        fan_in = self.in_channels * self.kernel_size**self.dims
        for phase in range(kernels.shape[1]):
            # ICNR: only the first phase is drawn
            if self.init == "icnr" and phase > 0:
                kernels[:, phase] = kernels[:, 0]
            else:
                init_by_fan_in(kernels[:, phase], fan_in)

    def upsample(self, x: Tensor) -> Tensor:
        """Make all phases in one convolution and interleave them."""
        # phases are made slowest and written one by one: torch's own shuffle is slow, above all in its backward
        kernels = self.weight.unflatten(0, (self.out_channels, -1))
        weight = kernels.transpose(0, 1).flatten(0, 1)
        conv = CONV[self.dims]
        y = conv(x, weight, padding=self.kernel_size // 2)
        count = self.scale_factor**self.dims
        terms = [[phase] for phase in y.chunk(count, 1)]
        return interleave(terms, self.scale_factor)

    def multiply_adds(self) -> int:
        """Count one multiply-add for each weight: the convolution is done at the size of the input."""
        return self.weight.numel()

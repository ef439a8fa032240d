"""Sub-pixel convolution, known by the name of its second half, PixelShuffle."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from bench.layers.base import CONV, UpsamplingLayer, check_odd, init_by_fan_in
from bench.layers.phases import interleave


class SubPixelConv(UpsamplingLayer):
    """One convolution makes all factor**dims phases side by side; periodic shuffling interleaves them.

    Source: Shi et al., arXiv 1609.05158, section 2.2. init="icnr" starts all phases with the same kernel, so that the
    layer begins as nearest-neighbour resize: Aitken et al., arXiv 1707.02937. Raises ValueError for an even kernel.
    Weights: (out_channels * factor**dims, in_channels, *kernel), phases fastest, as torch.nn.PixelShuffle has them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        init: Literal["equal", "icnr"] = "equal",
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        check_odd(kernel)
        self.kernel, self.init = kernel, init
        self.weight = nn.Parameter(torch.empty(out_channels * factor**dims, in_channels, *[kernel] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        kernels = self.weight.data.unflatten(0, (self.out_channels, -1))
        for phase in range(kernels.shape[1]):
            if self.init == "icnr" and phase:
                kernels[:, phase] = kernels[:, 0]
            else:
                init_by_fan_in(kernels[:, phase], self.in_channels * self.kernel**self.dims)

    def upsample(self, x: Tensor) -> Tensor:
        """Phases are made slowest and written one by one: torch's own shuffle is slow, above all in its backward."""
        weight = self.weight.unflatten(0, (self.out_channels, -1)).transpose(0, 1).flatten(0, 1)
        y = CONV[self.dims](x, weight, padding=self.kernel // 2)
        return interleave([[phase] for phase in y.chunk(self.factor**self.dims, 1)], self.factor)

    def multiply_adds(self) -> int:
        return self.weight.numel()

"""Transposed convolution: the reference that every other layer is compared with."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import UpsamplingLayer, init_by_fan_in
from bench.layers.phases import phases

TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class TransposedConv(UpsamplingLayer):
    """The transpose of a convolution of stride `factor`: x = M^T y for the convolution y = M x.

    Source: Gao et al., arXiv 1705.06820, section 2; Dumoulin and Visin, arXiv 1603.07285, chapter 4.
    The default kernel of 4 gives every phase of a x2 output the same number of taps. The authors' own baseline has
    kernel 3, whose phases have 1, 2, 2 and 4 taps. Raises ValueError for a kernel smaller than the factor.
    """

    even_kernels: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 4,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        if kernel < factor:
            raise ValueError(f"kernel must be at least the factor {factor}, or pixels stay empty; got {kernel}")
        self.kernel = kernel
        self.padding = (kernel - factor + 1) // 2
        self.output_padding = 2 * self.padding + factor - kernel
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, *[kernel] * dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Variance 1 / fan-in for each phase by itself, so that the uneven kernels do not start as a checkerboard."""
        for phase in phases(self.dims, self.factor):
            taps = self.weight.data[:, :, *[slice(p, None, self.factor) for p in phase]]
            init_by_fan_in(taps, taps[:, 0].numel())

    def upsample(self, x: Tensor) -> Tensor:
        return TRANSPOSED[self.dims](
            x, self.weight, stride=self.factor, padding=self.padding, output_padding=self.output_padding
        )

    def multiply_adds(self) -> int:
        return self.in_channels * self.out_channels * self.kernel**self.dims

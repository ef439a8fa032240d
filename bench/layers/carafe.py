"""CARAFE: every output pixel has a kernel of its own, predicted from the input."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import UpsamplingLayer, check_odd, init_by_fan_in
from bench.layers.phases import shuffle


class Carafe(UpsamplingLayer):
    """Content-Aware ReAssembly of FEatures, 2-D.

    Source: Wang et al., CARAFE, arXiv 1905.02188, section 3: channel compressor (1x1, to `compressed` channels),
    content encoder (`encoder_kernel`), softmax over the `kernel` x `kernel` weights of each output pixel, reassembly of
    the neighbourhood of its source pixel. The weights are the same for all channels, so where out_channels differs from
    in_channels the 1x1 projection that a network needs commutes with them and is done first, at the small size.
    Raises ValueError for an even kernel or fewer than one compressed channel.
    """

    dims_supported: ClassVar[tuple[int, ...]] = (2,)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 5,
        encoder_kernel: int = 3,
        compressed: int = 64,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        check_odd(kernel)
        check_odd(encoder_kernel)
        if compressed < 1:
            raise ValueError(f"compressed must be at least 1, got {compressed}")
        self.kernel, self.encoder_kernel = kernel, encoder_kernel
        self.compressor = nn.Conv2d(in_channels, compressed, 1)
        self.encoder = nn.Conv2d(compressed, (factor * kernel) ** 2, encoder_kernel, padding=encoder_kernel // 2)
        same = in_channels == out_channels
        self.projection = None if same else nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Near-uniform kernels at first, as in the authors' code: all phases start alike."""
        nn.init.xavier_uniform_(self.compressor.weight)
        nn.init.normal_(self.encoder.weight, std=0.001)
        for part in (self.compressor, self.encoder):
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        if self.projection is not None:
            init_by_fan_in(self.projection, self.in_channels)

    def upsample(self, x: Tensor) -> Tensor:
        kernels = self.encoder(self.compressor(x)).unflatten(1, (self.kernel**2, self.factor**2)).softmax(1)
        source = x if self.projection is None else F.conv2d(x, self.projection)
        patches = F.unfold(source, self.kernel, padding=self.kernel // 2).unflatten(1, (self.out_channels, -1))
        y = torch.einsum("nckl,nkpl->ncpl", patches, kernels.flatten(3).to(patches.dtype))
        return shuffle(y.unflatten(3, x.shape[2:]), self.factor)

    def multiply_adds(self) -> int:
        projection = 0 if self.projection is None else self.projection.numel()
        reassembly = self.out_channels * (self.factor * self.kernel) ** 2
        return self.compressor.weight.numel() + self.encoder.weight.numel() + projection + reassembly

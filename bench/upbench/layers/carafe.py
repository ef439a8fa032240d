"""CARAFE: every output pixel has a kernel of its own, predicted from the input."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.base import UpsamplingLayer, check_odd, init_by_fan_in
from upbench.layers.phases import shuffle


class CARAFE(UpsamplingLayer):
    """Content-Aware ReAssembly of FEatures, in 2-D: a kernel for each output pixel, predicted from the input.

    A 1x1 convolution compresses the channels, a second convolution encodes the content, and a softmax makes of it
    `kernel_size` x `kernel_size` weights for each output pixel, with which the neighbourhood of its source pixel is
    added up. The weights are the same for all channels. So where out_channels differs from in_channels, the 1x1
    projection that a network then needs commutes with them, and is done first, at the small size.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 2 only. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the predicted kernels in pixels of the input, odd. Default: 5 (k_up in the paper).
        encoder_kernel_size: Side of the kernel of the content encoder, odd. Default: 3 (k_encoder in the paper).
        compressed: Channels to which the input is compressed before it is encoded, 1 or more. Default: 64 (C_m in the
            paper).
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: A kernel is even, or a number is out of its range.

    Source:
        Wang et al., CARAFE, arXiv 1905.02188, section 3.
    """

    dims_supported: ClassVar[tuple[int, ...]] = (2,)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 5,
        encoder_kernel_size: int = 3,
        compressed: int = 64,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        check_odd(kernel_size)
        check_odd(encoder_kernel_size)
        if compressed < 1:
            raise ValueError(f"compressed must be at least 1, got {compressed}")
        self.kernel_size = kernel_size
        self.encoder_kernel_size = encoder_kernel_size
        self.compressed = compressed
        predicted = (scale_factor * kernel_size) ** 2
        self.compressor = nn.Conv2d(in_channels, compressed, 1)
        self.encoder = nn.Conv2d(compressed, predicted, encoder_kernel_size, padding=encoder_kernel_size // 2)
        # after the other two, as the order of the parameters is that of their draws
        self.projection = None
        if in_channels != out_channels:
            self.projection = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with nearly uniform kernels, as the authors' code does, so that all phases start alike."""
        nn.init.xavier_uniform_(self.compressor.weight)
        nn.init.normal_(self.encoder.weight, std=0.001)
        for part in (self.compressor, self.encoder):
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        if self.projection is not None:
            init_by_fan_in(self.projection, self.in_channels)

    def upsample(self, x: Tensor) -> Tensor:
        """Predict the kernels, and add up with them the neighbourhood of each input pixel."""
        places = self.kernel_size**2
        phases = self.scale_factor**2
        # one name for all steps, so that what softmax has read is freed
        kernels = self.encoder(self.compressor(x))
        kernels = kernels.unflatten(1, (places, phases)).softmax(1)
        source = x if self.projection is None else F.conv2d(x, self.projection)
        padding = self.kernel_size // 2
        patches = F.unfold(source, self.kernel_size, padding=padding)
        patches = patches.unflatten(1, (self.out_channels, -1))
        # under autocast on a GPU, softmax gives single precision
        kernels = kernels.flatten(3).to(patches.dtype)
        # n sample, c channel, k place in the kernel, p phase, l input pixel
        y = torch.einsum("nckl,nkpl->ncpl", patches, kernels)
        y = y.unflatten(3, x.shape[2:])
        return shuffle(y, self.scale_factor)

    def multiply_adds(self) -> int:
        """Count the compressor, the encoder, the projection, and one kernel for each output pixel and channel."""
        total = self.compressor.weight.numel()
        total += self.encoder.weight.numel()
        if self.projection is not None:
            total += self.projection.numel()
        taps = (self.scale_factor * self.kernel_size) ** 2
        return total + self.out_channels * taps

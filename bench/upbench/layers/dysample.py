"""DySample: every output pixel samples the input at a learned point."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.base import UpsamplingLayer, init_by_fan_in
from upbench.layers.phases import shuffle


class DySample(UpsamplingLayer):
    """Dynamic up-sampling by point sampling, in 2-D: each output pixel reads the input at a learned point.

    The points lie around the positions of bilinear interpolation, at offsets that a 1x1 convolution predicts: the
    paper's form "linear + pixel shuffle". The paper keeps the channels; where out_channels differs from in_channels, a
    1x1 projection comes first.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, a multiple of `groups`.
        dims: Spatial dimensions, 2 only. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        groups: Groups of output channels with offsets of their own, 1 or more. Default: 4.
        dynamic_scope: How offsets are scaled. False, the default: by 0.25. True: by half the sigmoid of a second 1x1
            convolution of the input.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: out_channels is not a multiple of `groups`, or a number is out of its range.

    Source:
        Liu et al., Learning to Upsample by Learning to Sample, arXiv 2308.15085, section 3.
    """

    dims_supported: ClassVar[tuple[int, ...]] = (2,)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        groups: int = 4,
        dynamic_scope: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        if groups < 1 or out_channels % groups:
            raise ValueError(f"out_channels must be a multiple of groups {groups}, got {out_channels}")
        self.groups = groups
        self.dynamic_scope = dynamic_scope
        predicted = 2 * groups * scale_factor**2
        self.offset = nn.Conv2d(in_channels, predicted, 1)
        self.scope = nn.Conv2d(in_channels, predicted, 1, bias=False) if dynamic_scope else None
        self.projection = None
        if in_channels != out_channels:
            self.projection = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with offsets of almost zero, as the authors' code does: the layer begins as bilinear interpolation."""
        nn.init.normal_(self.offset.weight, std=0.001)
        if self.offset.bias is not None:
            nn.init.zeros_(self.offset.bias)
        if self.scope is not None:
            nn.init.zeros_(self.scope.weight)
        if self.projection is not None:
            init_by_fan_in(self.projection, self.in_channels)

    def upsample(self, x: Tensor) -> Tensor:
        """Sample the input, projected to the output's channels, at the predicted points."""
        source = x if self.projection is None else F.conv2d(x, self.projection)
        offset = self._scaled_offset(x)
        # positions need more digits than bf16 has
        narrow = offset.dtype
        wide = torch.promote_types(narrow, torch.float32)
        points = self.points(offset.to(wide))
        batch, _, height, width = x.shape
        channels = self.out_channels // self.groups
        # each group of channels is sampled as an image of its own, as its points are its own
        grouped = source.to(wide).reshape(batch * self.groups, channels, height, width)
        y = F.grid_sample(
            grouped,
            points,
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        large = (self.scale_factor * height, self.scale_factor * width)
        return y.reshape(batch, self.out_channels, *large).to(narrow)

    def _scaled_offset(self, x: Tensor) -> Tensor:
        """Predict the offsets (N, 2 * groups * scale_factor**2, H, W) in pixels of the input."""
        offset = self.offset(x)
        if self.scope is None:
            return 0.25 * offset
        return 0.5 * offset * self.scope(x).sigmoid()

    def points(self, offset: Tensor) -> Tensor:
        """Turn offsets into the points that F.grid_sample takes.

        Args:
            offset: Offsets from the bilinear positions (N, 2 * groups * scale_factor**2, H, W), in pixels of the input.

        Returns:
            Points (x, y) from -1 to 1 across the input: (N * groups, scale_factor * H, scale_factor * W, 2).
        """
        factor = self.scale_factor
        height, width = offset.shape[2:]
        device = offset.device
        dtype = offset.dtype
        # where a phase lies within its input pixel, from the pixel's edge
        inner = torch.arange(factor, device=device) + 0.5
        inner = (inner / factor).to(dtype)
        columns = torch.arange(width, device=device, dtype=dtype)
        rows = torch.arange(height, device=device, dtype=dtype)
        # the bilinear positions for each phase and input pixel: (1, factor, 1, W) and (factor, 1, H, 1)
        inner_x = inner.view(1, -1, 1, 1)
        inner_y = inner.view(-1, 1, 1, 1)
        x_base = columns + inner_x
        y_base = rows.view(-1, 1) + inner_y
        shape = (factor, factor, height, width)
        x_base = x_base.expand(shape)
        y_base = y_base.expand(shape)
        base = torch.stack([x_base, y_base]).flatten(1, 2)
        offset = offset.view(-1, self.groups, 2, factor**2, height, width)
        points = offset + base
        # torch.tensor([width, height]) would be a copy to the device, for which a GPU waits
        size = torch.stack([torch.full((), side, dtype=dtype, device=device) for side in (width, height)])
        size = size.view(2, 1, 1, 1)
        # F.grid_sample counts from -1 at the first pixel's outer edge to 1 at the last one's
        points = 2 * points / size - 1
        points = shuffle(points.flatten(0, 1), factor)
        return points.permute(0, 2, 3, 1)

    def multiply_adds(self) -> int:
        """Count the 1x1 convolutions and the sampling."""
        total = self.offset.weight.numel()
        if self.scope is not None:
            total += self.scope.weight.numel()
        if self.projection is not None:
            total += self.projection.numel()
        return total + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        """Count the sampling: each number of the output is a sum of four."""
        return 4 * self.out_channels * self.scale_factor**2

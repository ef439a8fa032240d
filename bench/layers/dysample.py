"""DySample: every output pixel samples the input at a learned point."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.layers.base import UpsamplingLayer, init_by_fan_in
from bench.layers.phases import shuffle


class DySample(UpsamplingLayer):
    """Dynamic up-sampling by point sampling, 2-D, offsets by "linear + pixel shuffle".

    Source: Liu et al., Learning to Upsample by Learning to Sample, arXiv 2308.15085, section 3: offsets of `groups`
    channel groups around the bilinear positions, scaled by 0.25, or with dynamic_scope by half a sigmoid of the input.
    The paper keeps the channels; where out_channels differs, a 1x1 projection comes first.
    Raises ValueError when out_channels is not a multiple of `groups`.
    """

    dims_supported: ClassVar[tuple[int, ...]] = (2,)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        groups: int = 4,
        dynamic_scope: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        if groups < 1 or out_channels % groups:
            raise ValueError(f"out_channels must be a multiple of groups {groups}, got {out_channels}")
        self.groups = groups
        count = 2 * groups * factor**2
        self.offset = nn.Conv2d(in_channels, count, 1)
        self.scope = nn.Conv2d(in_channels, count, 1, bias=False) if dynamic_scope else None
        same = in_channels == out_channels
        self.projection = None if same else nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Offsets of almost zero, as in the authors' code: the layer starts as bilinear interpolation."""
        nn.init.normal_(self.offset.weight, std=0.001)
        if self.offset.bias is not None:
            nn.init.zeros_(self.offset.bias)
        if self.scope is not None:
            nn.init.zeros_(self.scope.weight)
        if self.projection is not None:
            init_by_fan_in(self.projection, self.in_channels)

    def upsample(self, x: Tensor) -> Tensor:
        source = x if self.projection is None else F.conv2d(x, self.projection)
        offset = self.offset(x)
        offset = 0.25 * offset if self.scope is None else 0.5 * offset * self.scope(x).sigmoid()
        # positions need more digits than bf16 has
        narrow = offset.dtype
        wide = torch.promote_types(narrow, torch.float32)
        points = self.points(offset.to(wide))
        batch, _, height, width = x.shape
        grouped = source.to(wide).reshape(batch * self.groups, self.out_channels // self.groups, height, width)
        y = F.grid_sample(grouped, points, mode="bilinear", padding_mode="border", align_corners=False)
        y = y.reshape(batch, self.out_channels, self.factor * height, self.factor * width)
        return y.to(narrow)

    def points(self, offset: Tensor) -> Tensor:
        """Offsets in pixels (N, 2 * groups * factor**2, H, W) to points in -1..1 (N * groups, r * H, r * W, 2)."""
        height, width = offset.shape[2:]
        inner = ((torch.arange(self.factor, device=offset.device) + 0.5) / self.factor).to(offset.dtype)
        outer = [torch.arange(side, device=offset.device, dtype=offset.dtype) for side in (width, height)]
        x_base = outer[0] + inner.view(1, -1, 1, 1)  # (1, factor, 1, W)
        y_base = outer[1].view(-1, 1) + inner.view(-1, 1, 1, 1)  # (factor, 1, H, 1)
        shape = (self.factor, self.factor, height, width)
        base = torch.stack([x_base.expand(shape), y_base.expand(shape)]).flatten(1, 2)
        points = offset.view(-1, self.groups, 2, self.factor**2, height, width) + base
        size = torch.stack([torch.full((), side, dtype=offset.dtype, device=offset.device) for side in (width, height)])
        points = 2 * points / size.view(2, 1, 1, 1) - 1
        return shuffle(points.flatten(0, 1), self.factor).permute(0, 2, 3, 1)

    def multiply_adds(self) -> int:
        predicted = [self.offset.weight, *([] if self.scope is None else [self.scope.weight])]
        projection = [] if self.projection is None else [self.projection]
        return sum(weight.numel() for weight in (*predicted, *projection)) + self.uncounted_multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        return 4 * self.out_channels * self.factor**2

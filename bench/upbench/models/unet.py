"""U-Net, the paper's segmentation network, with or without its skip connections, for signals, images and volumes."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from upbench.models.base import CONV, Network, Norm, Size, Up, check_halvings, make_conv_block, to_sides

MAX_POOL: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class UNet(Network):
    """U-Net with or without skip connections.

    Images (N, in_channels, H, W) -> logits (N, out_channels, H, W). `depth` levels are joined by depth - 1 down blocks
    and as many up blocks. An up block is the up-sampling layer, then concatenation with the encoder's map of that
    level, then two 3x3 convolutions, each followed by normalisation and ReLU.

    Source: Ronneberger et al., arXiv 1505.04597, figure 1, as used by Gao et al., arXiv 1705.06820, section 3; in 3-D
    Cicek et al., arXiv 1606.06650, figure 2.

    Args:
        channels: width of the first level, which doubles with each level; at least 1. Default: 64, as in the source.
        depth: number of levels; at least 2. Default: 5, as in the source.
        skips: whether the encoder's maps are joined to those of the decoder. Default: True, as in the source.
        halve: whether the layer makes half as many channels as it takes, as Ronneberger et al. have it, or as many.
            Default: False, as Gao et al. have it.
        norm: normalisation after each convolution; "batch", "group" or "none". Default: "batch". "group": groups of 16
            channels, Wu and He, arXiv 1803.08494.
        dims: number of spatial dimensions; 1 for signals (N, in_channels, L), 2 for images, 3 for volumes
            (N, in_channels, D, H, W). Default: 2.

    Raises:
        ValueError: if a side cannot be halved depth - 1 times, or for an option outside its allowed values or that the
            layer does not support.
    """

    role: ClassVar[str] = "dense"

    def __init__(
        self,
        up: Up,
        in_channels: int,
        out_channels: int,
        size: Size,
        *,
        channels: int = 64,
        depth: int = 5,
        skips: bool = True,
        halve: bool = False,
        norm: Norm = "batch",
        dims: int = 2,
    ) -> None:
        if dims not in CONV:
            raise ValueError(f"dims must be 1, 2 or 3, got {dims}")
        if depth < 2 or channels < 1:
            raise ValueError(f"depth must be at least 2 and channels at least 1, got {depth} and {channels}")
        sides = to_sides(size, dims)
        check_halvings(sides, depth - 1)
        super().__init__((in_channels, *sides), dims=dims)
        self.skips = skips
        block = partial(make_conv_block, dims=dims, norm=norm)
        widths = [channels * 2**level for level in range(depth)]
        self.stem = nn.Sequential(
            *block(in_channels, channels),
            *block(channels, channels),
        )
        self.down = nn.ModuleList()
        for above, below in pairwise(widths):
            down = nn.Sequential(
                MAX_POOL[dims](2),
                *block(above, below),
                *block(below, below),
            )
            self.down.append(down)
        # all layers before all merges: the order of the random draws
        self.up = nn.ModuleList()
        merged_widths = []
        for below, above in pairwise(reversed(widths)):
            raised = above if halve else below  # channels that the layer makes
            layer = up(below, raised, dims=dims)
            self.up.append(layer)
            merged_widths.append(raised + above if skips else raised)
        self.merge = nn.ModuleList()
        for merged, above in zip(merged_widths, widths[-2::-1], strict=True):
            merge = nn.Sequential(
                *block(merged, above),
                *block(above, above),
            )
            self.merge.append(merge)
        # one pixel at a time: it can hide nothing of what a layer draws
        self.head = CONV[dims](channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the size of x."""
        maps = [self.stem(x)]
        for down in self.down:
            maps.append(down(maps[-1]))
        y = maps.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y = up(y)
            skip = maps.pop()
            # the joined maps have no name here: it would keep them until the next level and raise the peak
            y = merge(torch.cat([y, skip], 1) if self.skips else y)
        return self.head(y)

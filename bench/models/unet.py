"""U-Net, the paper's segmentation network, with or without its skip connections, for signals, images and volumes."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.base import CONV, Network, Norm, Up, check_size, conv_block

MAX_POOL: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class UNet(Network):
    """U-Net with or without skip connections: (N, in_channels, size, size) -> logits (N, out_channels, size, size).

    depth levels joined by depth - 1 down and up blocks; the width starts at `channels` and doubles with each level.
    An up block is the up-sampling layer with as many channels out as in (half as many if halve=True, as Ronneberger et
    al. have it), then concatenation with the encoder's map of that level (unless skips=False), then two 3x3
    convolutions, each followed by `norm` and ReLU.
    dims=1 is for signals (N, in_channels, size), dims=3 for volumes (N, in_channels, size, size, size).
    Source: Ronneberger et al., arXiv 1505.04597, figure 1, as used by Gao et al., arXiv 1705.06820, section 3; in 3-D
    Cicek et al., arXiv 1606.06650, figure 2.
    Raises ValueError if the size cannot be halved depth - 1 times, or for dims that it or the layer does not support.
    """

    role: ClassVar[str] = "dense"

    def __init__(
        self,
        up: Up,
        in_channels: int,
        out_channels: int,
        size: int,
        *,
        channels: int = 64,
        depth: int = 5,
        skips: bool = True,
        halve: bool = False,
        norm: Norm = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__((in_channels, *[size] * dims), dims=dims)
        if dims not in CONV:
            raise ValueError(f"dims must be 1, 2 or 3, got {dims}")
        if depth < 2 or channels < 1:
            raise ValueError(f"depth must be at least 2 and channels at least 1, got {depth} and {channels}")
        check_size(size, depth - 1)
        widths = [channels * 2**level for level in range(depth)]
        self.skips = skips
        block = partial(conv_block, dims=dims, norm=norm)
        self.stem = nn.Sequential(*block(in_channels, channels), *block(channels, channels))
        self.down = nn.ModuleList(
            nn.Sequential(MAX_POOL[dims](2), *block(above, below), *block(below, below))
            for above, below in pairwise(widths)
        )
        levels = list(reversed(list(pairwise(widths))))
        raised = [above if halve else below for above, below in levels]
        self.up = nn.ModuleList(up(below, out, dims=dims) for (_, below), out in zip(levels, raised, strict=True))
        self.merge = nn.ModuleList(
            nn.Sequential(*block(out + skips * above, above), *block(above, above))
            for (above, _), out in zip(levels, raised, strict=True)
        )
        self.head = CONV[dims](channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for down in self.down:
            maps.append(down(maps[-1]))
        y = maps.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y, skip = up(y), maps.pop()
            y = merge(torch.cat([y, skip], 1) if self.skips else y)
        return self.head(y)

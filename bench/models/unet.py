"""U-Net, the paper's segmentation network, with or without its skip connections."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.base import Up, check_size, conv_block


class UNet(nn.Module):
    """U-Net with or without skip connections: (N, in_channels, size, size) -> logits (N, out_channels, size, size).

    depth levels joined by depth - 1 down and up blocks; the width starts at `channels` and doubles with each level.
    An up block is the up-sampling layer with as many channels out as in, then concatenation with the encoder's map of
    that level (unless skips=False), then two 3x3 convolutions with batch normalisation.
    Source: Ronneberger et al., arXiv 1505.04597, figure 1, as used by Gao et al., arXiv 1705.06820, section 3.
    Raises ValueError if the size cannot be halved depth - 1 times.
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
    ) -> None:
        super().__init__()
        if depth < 2 or channels < 1:
            raise ValueError(f"depth must be at least 2 and channels at least 1, got {depth} and {channels}")
        check_size(size, depth - 1)
        widths = [channels * 2**level for level in range(depth)]
        self.skips = skips
        self.stem = nn.Sequential(*conv_block(in_channels, channels), *conv_block(channels, channels))
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), *conv_block(above, below), *conv_block(below, below))
            for above, below in pairwise(widths)
        )
        self.up = nn.ModuleList(up(below, below) for below in reversed(widths[1:]))
        self.merge = nn.ModuleList(
            nn.Sequential(*conv_block(below + skips * above, above), *conv_block(above, above))
            for above, below in reversed(list(pairwise(widths)))
        )
        self.head = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for down in self.down:
            maps.append(down(maps[-1]))
        y = maps.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y, skip = up(y), maps.pop()
            y = merge(torch.cat([y, skip], 1) if self.skips else y)
        return self.head(y)

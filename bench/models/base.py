"""What the networks share: the up-sampling factory and the convolution block."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Up(Protocol):
    """Makes a x2 up-sampling layer: (N, in_channels, H, W) -> (N, out_channels, 2H, 2W)."""

    def __call__(self, in_channels: int, out_channels: int) -> nn.Module: ...


def conv_block(in_channels: int, out_channels: int, *, stride: int = 1) -> list[nn.Module]:
    """3x3 convolution, batch normalisation, ReLU: (N, in, H, W) -> (N, out, H / stride, W / stride)."""
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def check_size(size: int, halvings: int) -> None:
    """Raises ValueError unless `size` can be halved so often and leaves at least one pixel."""
    if size < 2**halvings or size % 2**halvings:
        raise ValueError(f"size {size} must be a multiple of {2**halvings} to be halved {halvings} times")

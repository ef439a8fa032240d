"""The up-sampling layer by itself, for measurements of its own speed and memory."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from bench.models.base import Up


class Single(nn.Module):
    """The layer alone: (N, in_channels, H, W) -> (N, out_channels, 2H, 2W)."""

    role: ClassVar[str] = "layer"

    def __init__(self, up: Up, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__()
        self.up = up(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)

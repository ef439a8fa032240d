"""The up-sampling layer by itself, for measurements of its own speed and memory."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from bench.models.base import Network, Up


class Single(Network):
    """The layer alone: (N, in_channels, *S) -> (N, out_channels, *(2 * s for s in S)), S of `dims` dimensions."""

    role: ClassVar[str] = "layer"

    def __init__(self, up: Up, in_channels: int, out_channels: int, size: int, *, dims: int = 2) -> None:
        super().__init__((in_channels, *[size] * dims), dims=dims)
        self.up = up(in_channels, out_channels, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)

"""The up-sampling layer by itself, for measurements of its own speed and memory."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from upbench.models.base import Network, Size, Up, to_sides


class Single(Network):
    """The layer alone.

    (N, in_channels, *S) -> (N, out_channels, *(2 * s for s in S)), where S has `dims` sides.

    Args:
        dims: number of spatial dimensions; 1, 2 or 3, and one that the layer supports. Default: 2.
    """

    role: ClassVar[str] = "layer"

    def __init__(self, up: Up, in_channels: int, out_channels: int, size: Size, *, dims: int = 2) -> None:
        super().__init__((in_channels, *to_sides(size, dims)), dims=dims)
        self.up = up(in_channels, out_channels, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        """Up-sample x by 2."""
        return self.up(x)

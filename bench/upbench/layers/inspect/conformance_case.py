"""A layer under test: built for given dimensions and scale factor, with inputs that do not change between calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

IN, OUT = 16, 8  # unlike each other, and multiples of the groups that layers have
SIDES = (5, 3, 4)  # odd and even, and no two alike: a mix-up of dimensions shows
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
# Of the largest output. The order of a sum may differ between memory formats and batch sizes: the registered layers
# differ by at most 2.4e-6.
SAME = 2e-5

Make = Callable[..., nn.Module]  # make(in_channels, out_channels, dims=..., scale_factor=...)


class NotChecked(Exception):
    """There is nothing to check, for the reason that the message gives."""


@runtime_checkable
class Counted(Protocol):
    """A layer that says what it costs, as `upbench.layers.base.UpsamplingLayer` does."""

    def multiply_adds(self) -> int:
        """Multiply-adds for one input pixel."""

    def uncounted_multiply_adds(self) -> int:
        """The part of them that torch counts as nothing."""


@dataclass(frozen=True)
class Case:
    """The layer for one number of dimensions and one scale factor.

    Attributes:
        make: builds the layer from its channels, `dims` and `scale_factor`.
        dims: spatial dimensions, 1 to 3.
        scale_factor: output pixels for one input pixel in each dimension.
    """

    make: Make
    dims: int
    scale_factor: int

    def __str__(self) -> str:
        return f"dims={self.dims}, scale_factor={self.scale_factor}"

    def build(self, *, in_channels: int = IN, out_channels: int = OUT, seed: int = 0) -> nn.Module:
        """Seed torch and build the layer."""
        torch.manual_seed(seed)
        return self.make(in_channels, out_channels, dims=self.dims, scale_factor=self.scale_factor)

    def draw_input(self, *, batch: int = 2, channels: int = IN, sides: tuple[int, ...] = SIDES) -> Tensor:
        """A normal input (batch, channels, *sides), of which the first `dims` sides are taken; not the layer's seed."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn(batch, channels, *sides[: self.dims], generator=generator)

    def memory_formats(self) -> list[torch.memory_format]:
        """The contiguous format, and the channels-last format where torch has one of so many dimensions."""
        if self.dims in CHANNELS_LAST:
            return [torch.contiguous_format, CHANNELS_LAST[self.dims]]
        return [torch.contiguous_format]

    def output_shape(self, x: Tensor, out_channels: int = OUT) -> tuple[int, ...]:
        """The shape that the output for `x` must have."""
        enlarged = (self.scale_factor * side for side in x.shape[2:])
        return (x.shape[0], out_channels, *enlarged)


def move_parameters(layer: nn.Module) -> None:
    """Move every parameter away from a value at which the layer is blind to it, such as a bias of zero."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in layer.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise.to(parameter.dtype), alpha=0.05)


def set_memory_format(layer: nn.Module, memory_format: torch.memory_format) -> None:
    """Convert the layer's weights to a memory format, in place."""
    layer.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's annotations leave it out


def relative_difference(values: Tensor, expected: Tensor) -> float:
    """The largest difference of two tensors, over the largest expected value; inf where their shapes differ."""
    if values.shape != expected.shape:
        return math.inf
    differences = (values - expected).abs()
    largest = expected.abs().max().item()
    return differences.max().item() / max(largest, 1e-12)


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"

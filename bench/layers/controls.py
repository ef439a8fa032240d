"""Controls: what remains of a gain when the relation between the phases, or the capacity, is taken away."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from bench.layers import LAYERS, build
from bench.layers.base import CONV, UpsamplingLayer, init_by_fan_in
from bench.layers.phases import phases
from bench.layers.pixel_dcl import PhaseSchedule
from bench.layers.schedule import Step

Budget = Literal["parameters", "flops"]
STEM_KERNEL = 3


class IndependentConvs(PhaseSchedule):
    """The phases of PixelDCL without any relation between them: each is a convolution of the input of its own.

    As a function the same as a sub-pixel convolution; here as a schedule, with the weights and the start of PixelDCL.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        kernel: int = 3,
        bias: bool = False,
    ) -> None:
        together = (Step(tuple(phases(dims, factor)), sees_input=True),)
        super().__init__(
            in_channels,
            out_channels,
            together,
            dims=dims,
            factor=factor,
            kernel=kernel,
            implementation="lean",
            init="equal",
            activation="none",
            bias=bias,
        )


class Matched(UpsamplingLayer):
    """A layer and a linear convolution, whose width is chosen so that both together cost what `to` costs.

    base, to: registered layers, built with their default options. match: "parameters" or "flops" (multiply-adds).
    The convolution is 3x3 and lies before `base`; a base that costs too much with any input, as ipixel_dcl does, makes
    fewer channels instead, and a 1x1 convolution behind it brings them to `out_channels`. `width` is the channel count
    between the two, the nearest one that `base` takes.
    Raises UserError for an unknown layer, ValueError for channels, dims or a factor that one of them refuses, and for a
    base that costs more than `to` even with one output channel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        factor: int = 2,
        base: str = "transposed_conv",
        to: str = "pixel_dcl",
        match: Budget = "flops",
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, factor=factor, bias=bias)
        costs = partial(cost, dims=dims, factor=factor, match=match)
        goal = costs(to, in_channels, out_channels)
        width = width_before(base, in_channels, out_channels, goal, STEM_KERNEL**dims, costs)
        self.before = width is not None
        if width is None:
            outputs = factor**dims if match == "flops" else 1  # places where the 1x1 convolution is computed
            width = width_behind(base, in_channels, out_channels, goal, outputs, costs)
        if width is None:
            raise ValueError(f"{base} cannot be matched: with one output channel it costs more than {to}")
        self.width = width
        ends = (width, out_channels) if self.before else (in_channels, width)
        shape = (width, in_channels, *[STEM_KERNEL] * dims) if self.before else (out_channels, width, *[1] * dims)
        self.weight = nn.Parameter(torch.empty(shape))
        self.layer = build(base, *ends, dims=dims, factor=factor)
        init_by_fan_in(self.weight, self.weight[0].numel())

    def reset_parameters(self) -> None:
        init_by_fan_in(self.weight, self.weight[0].numel())
        self.layer.reset_parameters()

    def upsample(self, x: Tensor) -> Tensor:
        conv = CONV[self.dims]
        if self.before:
            return self.layer(conv(x, self.weight, padding=STEM_KERNEL // 2))
        return conv(self.layer(x), self.weight)

    def multiply_adds(self) -> int:
        places = 1 if self.before else self.factor**self.dims
        return places * self.weight.numel() + self.layer.multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        return self.layer.uncounted_multiply_adds()


def width_before(
    base: str, in_channels: int, out_channels: int, goal: int, taps: int, costs: Callable[[str, int, int], int]
) -> int | None:
    """The input channels of `base` with which it and the convolution before it cost `goal`, if any."""
    multiple = LAYERS.get(base).in_multiple
    # the cost of every layer is affine in its input channels, so two widths tell the whole line
    slope = (costs(base, 2 * multiple, out_channels) - costs(base, multiple, out_channels)) / multiple
    fixed = costs(base, multiple, out_channels) - slope * multiple
    wanted = (goal - fixed) / (slope + in_channels * taps)
    return max(1, round(wanted / multiple)) * multiple if wanted >= multiple / 2 else None


def width_behind(
    base: str, in_channels: int, out_channels: int, goal: int, outputs: int, costs: Callable[[str, int, int], int]
) -> int | None:
    """The output channels of `base` with which it and the 1x1 convolution behind cost `goal`, if any."""

    def both(width: int) -> int:
        return costs(base, in_channels, width) + outputs * width * out_channels

    above = bisect_left(range(1, out_channels), goal, key=both) + 1  # the first width that costs as much
    if above == 1 and both(1) > goal:
        return None
    return min((above - 1 or above, above), key=lambda width: abs(both(width) - goal))


def cost(name: str, in_channels: int, out_channels: int, *, dims: int, factor: int, match: Budget) -> int:
    """Parameters, or multiply-adds for one input pixel, of a layer with its default options."""
    with torch.device("meta"):
        layer = build(name, in_channels, out_channels, dims=dims, factor=factor)
    return sum(p.numel() for p in layer.parameters()) if match == "parameters" else layer.multiply_adds()

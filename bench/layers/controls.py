"""Controls: what remains of a gain when the relation between the phases, or the capacity, is taken away."""

from __future__ import annotations

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
    """A layer behind a linear 3x3 convolution, whose width is chosen so that both together cost what `to` costs.

    base, to: registered layers, built with their default options. match: "parameters" or "flops" (multiply-adds).
    `width` is the channel count between the two, the nearest one that `base` takes.
    Raises UserError for an unknown layer, ValueError for channels, dims or a factor that one of them refuses, and for a
    base that is too dear with any input, as ipixel_dcl is, whose cost lies between its own phases.
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
        multiple = LAYERS.get(base).in_multiple

        def costs(name: str, channels: int) -> int:
            return cost(name, channels, out_channels, dims=dims, factor=factor, match=match)

        # the cost of every layer is affine in its input channels, so two widths tell the whole line
        slope = (costs(base, 2 * multiple) - costs(base, multiple)) / multiple
        fixed = costs(base, multiple) - slope * multiple
        wanted = (costs(to, in_channels) - fixed) / (slope + in_channels * STEM_KERNEL**dims)
        if wanted < multiple / 2:
            raise ValueError(f"{base} cannot be matched: to {out_channels} channels it alone costs more than {to}")
        self.width = max(1, round(wanted / multiple)) * multiple
        self.weight = nn.Parameter(torch.empty(self.width, in_channels, *[STEM_KERNEL] * dims))
        self.layer = build(base, self.width, out_channels, dims=dims, factor=factor)
        init_by_fan_in(self.weight, self.weight[0].numel())

    def reset_parameters(self) -> None:
        init_by_fan_in(self.weight, self.weight[0].numel())
        self.layer.reset_parameters()

    def upsample(self, x: Tensor) -> Tensor:
        return self.layer(CONV[self.dims](x, self.weight, padding=STEM_KERNEL // 2))

    def multiply_adds(self) -> int:
        return self.weight.numel() + self.layer.multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        return self.layer.uncounted_multiply_adds()


def cost(name: str, in_channels: int, out_channels: int, *, dims: int, factor: int, match: Budget) -> int:
    """Parameters, or multiply-adds for one input pixel, of a layer with its default options."""
    with torch.device("meta"):
        layer = build(name, in_channels, out_channels, dims=dims, factor=factor)
    return sum(p.numel() for p in layer.parameters()) if match == "parameters" else layer.multiply_adds()

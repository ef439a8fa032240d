"""Controls: what remains of a gain when the relation between the phases, or the capacity, is taken away."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from upbench.layers import LAYERS, build
from upbench.layers.base import CONV, UpsamplingLayer, init_by_fan_in
from upbench.layers.phases import phases
from upbench.layers.pixel_dcl import PhaseSchedule
from upbench.layers.schedule import Step

Budget = Literal["parameters", "flops"]
Cost = Callable[[str, int, int], int]  # (layer, in_channels, out_channels) -> what the layer costs
STEM_KERNEL_SIZE = 3


class IndependentConvs(PhaseSchedule):
    """PixelDCL without any relation between its phases: each phase is a convolution of the input of its own.

    As a function the layer is the same as a sub-pixel convolution; here it is a schedule of one step, with the weights
    and the start of PixelDCL.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        kernel_size: Side of the kernels in pixels of the input, odd. Default: 3.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        ValueError: `kernel_size` is even, or a number is out of its range.

    Source:
        A control of this suite.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        kernel_size: int = 3,
        bias: bool = False,
    ) -> None:
        all_phases = tuple(phases(dims, scale_factor))
        super().__init__(
            in_channels,
            out_channels,
            (Step(all_phases, sees_input=True),),
            dims=dims,
            scale_factor=scale_factor,
            kernel_size=kernel_size,
            implementation="lean",
            init="equal",
            activation="none",
            bias=bias,
        )


class Matched(UpsamplingLayer):
    """A layer and a linear convolution that together cost what another layer costs.

    The convolution is 3x3 and lies before `base`. A base that costs too much with any input, as ipixel_dcl does, makes
    fewer channels instead, and a 1x1 convolution behind it brings them to out_channels. The attribute `width` is the
    number of channels between the two: the one with which the cost is nearest, among those that `base` takes.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions, 1 to 3, as far as both layers support them. Default: 2.
        scale_factor: Up-sampling factor in each dimension, 2 or more. Default: 2.
        base: The layer that is made to cost more or less, by name, built with its default options. Default:
            "transposed_conv".
        target: The layer whose cost is to be met, by name, built with its default options. Default: "pixel_dcl".
        match: What is made equal. "flops", the default: the multiply-adds for one input pixel. "parameters": the number
            of weights.
        bias: Whether to add a learned number to each output channel, the same for all phases. Default: False.

    Raises:
        UserError: `base` or `target` is not the name of a layer.
        ValueError: One of the two layers refuses the channels, dims or scale factor, or `base` costs more than `target`
            even with one output channel.

    Source:
        A control of this suite.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dims: int = 2,
        scale_factor: int = 2,
        base: str = "transposed_conv",
        target: str = "pixel_dcl",
        match: Budget = "flops",
        bias: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=bias)
        self.base = base
        self.target = target
        self.match = match
        cost: Cost = partial(count_cost, dims=dims, scale_factor=scale_factor, match=match)
        goal = cost(target, in_channels, out_channels)
        taps = STEM_KERNEL_SIZE**dims
        width = find_width_before(base, in_channels, out_channels, goal, taps, cost)
        self.before = width is not None
        if width is None:
            # how often the 1x1 convolution is counted for one input pixel
            outputs = scale_factor**dims if match == "flops" else 1
            width = find_width_behind(base, in_channels, out_channels, goal, outputs, cost)
        if width is None:
            raise ValueError(f"{base} cannot be matched: with one output channel it costs more than {target}")
        self.width = width
        if self.before:
            layer_in, layer_out = width, out_channels
            shape = [width, in_channels, *[STEM_KERNEL_SIZE] * dims]
        else:
            layer_in, layer_out = in_channels, width
            shape = [out_channels, width, *[1] * dims]
        self.weight = nn.Parameter(torch.empty(shape))
        # the layer draws its weights first, as it is built
        self.layer = build(base, layer_in, layer_out, dims=dims, scale_factor=scale_factor)
        self._reset_convolution()

    def reset_parameters(self) -> None:
        """Draw the weights of the convolution, then those of the layer."""
        self._reset_convolution()
        self.layer.reset_parameters()

    def _reset_convolution(self) -> None:
        """Draw the weights of the convolution by its fan-in."""
        fan_in = self.weight[0].numel()
        init_by_fan_in(self.weight, fan_in)

    def upsample(self, x: Tensor) -> Tensor:
        """Apply the convolution and the layer, in the order that was found."""
        conv = CONV[self.dims]
        # no names for what lies between the two, which would keep it alive
        if self.before:
            return self.layer(conv(x, self.weight, padding=STEM_KERNEL_SIZE // 2))
        return conv(self.layer(x), self.weight)

    def multiply_adds(self) -> int:
        """Count the convolution, at the size of the output where it lies behind, and the layer."""
        places = 1 if self.before else self.scale_factor**self.dims
        return places * self.weight.numel() + self.layer.multiply_adds()

    def uncounted_multiply_adds(self) -> int:
        """Count what is not counted of the layer: the convolution is."""
        return self.layer.uncounted_multiply_adds()


def find_width_before(base: str, in_channels: int, out_channels: int, goal: int, taps: int, cost: Cost) -> int | None:
    """Find the input channels of `base` with which it and a convolution before it cost most nearly `goal`.

    Args:
        base: The name of the layer.
        in_channels: Channels of the convolution's input.
        out_channels: Channels of the layer's output.
        goal: What both are to cost.
        taps: Taps of the convolution's kernel.
        cost: What a layer costs by itself.

    Returns:
        The width, a multiple of what the layer takes, or None where even the smallest costs too much.
    """
    multiple = LAYERS.get(base).in_multiple
    # the cost of every layer is affine in its input channels, so two widths tell the whole line
    cost_of_one = cost(base, multiple, out_channels)
    cost_of_two = cost(base, 2 * multiple, out_channels)
    slope = (cost_of_two - cost_of_one) / multiple
    fixed = cost_of_one - slope * multiple
    # the convolution's cost is linear in the width too
    wanted = (goal - fixed) / (slope + in_channels * taps)
    if wanted < multiple / 2:
        return None
    steps = max(1, round(wanted / multiple))  # half a step is rounded to an even number, which may be 0
    return steps * multiple


def find_width_behind(
    base: str, in_channels: int, out_channels: int, goal: int, outputs: int, cost: Cost
) -> int | None:
    """Find the output channels of `base` with which it and a 1x1 convolution behind it cost most nearly `goal`.

    Args:
        base: The name of the layer.
        in_channels: Channels of the layer's input.
        out_channels: Channels of the convolution's output.
        goal: What both are to cost.
        outputs: How often the convolution is counted.
        cost: What a layer costs by itself.

    Returns:
        The width, or None where even one channel costs too much.
    """

    def cost_of_both(width: int) -> int:
        """Count the layer and the convolution."""
        convolution = outputs * width * out_channels
        return cost(base, in_channels, width) + convolution

    # the cost rises with the width: look for the first width that costs as much as the goal
    above = bisect_left(range(1, out_channels), goal, key=cost_of_both) + 1
    if above == 1:
        return None if cost_of_both(1) > goal else 1
    below = above - 1
    # of two that are as near, the smaller
    return min((below, above), key=lambda width: abs(cost_of_both(width) - goal))


def count_cost(name: str, in_channels: int, out_channels: int, *, dims: int, scale_factor: int, match: Budget) -> int:
    """Count what a layer with its default options costs.

    Args:
        name: The name of the layer.
        in_channels: Channels of its input.
        out_channels: Channels of its output.
        dims: Spatial dimensions.
        scale_factor: Up-sampling factor in each dimension.
        match: "parameters" for the number of weights, "flops" for the multiply-adds for one input pixel.

    Returns:
        The number.
    """
    # on this device nothing is allocated and no random number is drawn
    with torch.device("meta"):
        layer = build(name, in_channels, out_channels, dims=dims, scale_factor=scale_factor)
    if match == "flops":
        return layer.multiply_adds()
    return sum(parameter.numel() for parameter in layer.parameters())

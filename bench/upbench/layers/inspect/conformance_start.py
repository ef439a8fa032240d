"""How an up-sampling layer starts: whether a phase is louder than the others, and a linear layer keeps the variance."""

from __future__ import annotations

import copy
import statistics

import torch
from torch import Tensor, nn

from upbench.layers.inspect.conformance_case import Case, Counted, NotChecked, relative_difference
from upbench.layers.phases import Phase, phases, place

DRAWS = 8  # of the weights, over which a mean square is averaged
# By number of dimensions. The more taps and pixels, the fewer channels give a steady average.
START_CHANNELS = {1: 32, 2: 32, 3: 16}
START_SIDES = {1: 256, 2: 28, 3: 10}
BORDERS = {1: 32, 2: 8, 3: 3}  # input pixels left out at each side, where zeros are read
# The share of a phase's answer that may come from farther away than its border. Default options stay below 0.06, a
# kernel_size of 5 in the 3-D PixelDCL is at 0.4: there late phases start up to 20 % too low, and only by the border.
FAR_SHARE = 0.1
# Up to ten times eight draws of every registered layer, scale factors 2 and 3: no phase of a linear layer was more than
# 3.9 % away from the others, none of the least even layer that is not linear (pixel_dcl, relu, sequential) 12.5 %.
LINEAR_TOLERANCE = 0.10
OTHER_TOLERANCE = 0.25


def check_start(case: Case) -> str | None:
    """At the start all phases have the same mean square, and a linear layer keeps the variance of white noise.

    The mean square is averaged over `DRAWS` draws of the weights. The input is white noise of variance 1. A layer that
    interpolates smooths white noise by design, and unevenly where the scale factor is odd: such a layer, and one that
    does not say whether it interpolates, is given constant maps, and only its phases are compared.
    """
    layer = case.build()
    x = case.draw_input()
    y = layer(x.clone())
    if tuple(y.shape) != case.output_shape(x):
        raise NotChecked("the output has no phases while its size is wrong")
    far_share = measure_far_share(case)
    if far_share > FAR_SHARE:
        reach = BORDERS[case.dims]
        raise NotChecked(f"{far_share:.0%} of a phase's answer comes from more than {reach} pixels away")
    linear = is_linear(case, layer)
    tolerance = LINEAR_TOLERANCE if linear else OTHER_TOLERANCE
    interpolates = may_interpolate(layer)
    squares = measure_start(case, white=not interpolates)
    # the lower median is a phase's own figure: where half of the phases are too loud, it is one of the others
    usual = statistics.median_low(squares.values())
    farthest = max(squares, key=lambda phase: abs(squares[phase] - usual))
    square = squares[farthest]
    if not abs(square - usual) <= tolerance * usual:  # so that a NaN is a fault
        return f"phase {farthest} starts with a mean square of {square:.3g}, the median phase with {usual:.3g}"
    if interpolates or not linear:
        return None
    whole = statistics.mean(squares.values())
    if not abs(whole - 1) <= tolerance:
        return f"white noise of variance 1 comes out with a mean square of {whole:.3g}, not within {tolerance:.0%} of 1"
    return None


def may_interpolate(layer: nn.Module) -> bool:
    """Whether the layer has multiply-adds that torch does not count, or does not say."""
    if not isinstance(layer, Counted):
        return True
    return layer.uncounted_multiply_adds() > 0


def is_linear(case: Case, layer: nn.Module) -> bool:
    """Whether the layer, less its answer to zero, adds up: f(a + b) = f(a) + f(b)."""
    # float64 tells a layer that is almost linear at its start, as CARAFE is, from one that is linear
    exact = copy.deepcopy(layer).double()
    first = case.draw_input().double()
    second = first.flip(0, 1)
    with torch.no_grad():
        answer_to_zero = exact(torch.zeros_like(first))
        answer_to_first = exact(first.clone())
        answer_to_second = exact(second.clone())
        answer_to_both = exact(first + second)
    expected = answer_to_first + answer_to_second - answer_to_zero
    return relative_difference(answer_to_both, expected) < 1e-9


def measure_start(case: Case, *, white: bool) -> dict[Phase, float]:
    """The mean square of each phase, averaged over draws of weights and input.

    Args:
        case: the layer.
        white: whether the input is white noise, or constant over each map.
    """
    totals = dict.fromkeys(phases(case.dims, case.scale_factor), 0.0)
    channels = START_CHANNELS[case.dims]
    # a whole number of input pixels, so that phases stay where they are
    border = BORDERS[case.dims] * case.scale_factor
    for seed in range(DRAWS):
        layer = case.build(in_channels=channels, out_channels=channels, seed=seed)
        x = draw_noise(case.dims) if white else make_constants(case.dims)
        with torch.no_grad():
            y = layer(x)
        for axis in range(2, y.ndim):
            y = y.narrow(axis, border, y.shape[axis] - 2 * border)
        for phase in totals:
            values = y[place(phase, case.scale_factor)]
            mean_square = values.square().mean().item()
            totals[phase] += mean_square / DRAWS
    return totals


def measure_far_share(case: Case) -> float:
    """The largest share of a phase's squared gradient that lies farther away than the border of `measure_start`."""
    channels = START_CHANNELS[case.dims]
    layer = case.build(in_channels=channels, out_channels=channels)
    border = BORDERS[case.dims]
    middle = 2 * border
    sides = [2 * middle + 1] * case.dims
    x = torch.randn(1, channels, *sides, requires_grad=True)
    y = layer(x.clone())
    if not y.requires_grad:
        return 0.0
    largest = 0.0
    for phase in phases(case.dims, case.scale_factor):
        pixel = y[place(phase, case.scale_factor)]
        for _ in range(case.dims):
            pixel = pixel.select(2, middle)  # the next dimension moves up
        direction = torch.randn_like(pixel)
        (gradient,) = torch.autograd.grad(pixel, x, direction, retain_graph=True, materialize_grads=True)
        near = gradient
        for axis in range(2, near.ndim):
            near = near.narrow(axis, border, 2 * border + 1)
        energy = gradient.square().sum().item()
        near_energy = near.square().sum().item()
        if energy > 0:
            largest = max(largest, 1 - near_energy / energy)
    return largest


def draw_noise(dims: int) -> Tensor:
    """White noise of variance 1 from torch's own generator."""
    sides = [START_SIDES[dims]] * dims
    return torch.randn(2, START_CHANNELS[dims], *sides)


def make_constants(dims: int) -> Tensor:
    """Inputs of mean square 1 that are constant over each map: in each sample one channel, and zeros in the others."""
    channels = START_CHANNELS[dims]
    # a pixel of each phase is left in the middle, and all of them are alike
    sides = [2 * BORDERS[dims] + 1] * dims
    # not random: the average over all channels leaves the draw of the weights as the only chance
    constants = channels**0.5 * torch.eye(channels)
    return constants.view(channels, channels, *[1] * dims).expand(-1, -1, *sides).contiguous()

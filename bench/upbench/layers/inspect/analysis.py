"""What a layer is before any training: its matrix, impulse responses, receptive fields, gains and dependencies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from upbench.layers.base import UpsamplingLayer
from upbench.layers.phases import Phase, phases, place
from upbench.layers.pixel_dcl import PhaseSchedule

REACH = 6  # pixels around the middle that are looked at first: wider than most layers see with their defaults
FARTHEST = 96
Source = Phase | Literal["input"]


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels that a phase reads.

    Attributes:
        first: The offset of the first pixel from the one that the phase lies on, for each dimension.
        last: The offset of the last pixel, for each dimension.
        pixels: How many pixels between the two are read.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    pixels: int


def matrix(layer: UpsamplingLayer, size: Sequence[int]) -> Tensor:
    """Write a linear layer as a matrix.

    Args:
        layer: The layer; its bias is left out.
        size: The sides of the input, in pixels.

    Returns:
        The matrix (out_channels * output pixels, in_channels * input pixels). Both sides count channels slowest and the
        last dimension fastest.

    Raises:
        ValueError: The layer is not linear.
    """
    like = _dtype_and_device(layer)
    channels = layer.in_channels
    count = channels * math.prod(size)
    impulses = torch.eye(count, **like)
    with torch.no_grad():
        # the answer to nothing is the bias
        zero = layer(impulses.new_zeros(1, channels, *size))
        responses = layer(impulses.view(count, channels, *size)) - zero
        columns = responses.flatten(1).T
        # a random input tells whether the columns say all
        probe = torch.randn(count, **like)
        response = layer(probe.view(1, channels, *size)) - zero
        response = response.flatten()
    predicted = columns @ probe
    largest = response.abs().max().item()
    if not torch.allclose(predicted, response, rtol=1e-3, atol=1e-3 * largest):
        raise ValueError(f"{type(layer).__name__} is not linear with these options: it has no matrix")
    return columns


def impulse_response(layer: UpsamplingLayer) -> Tensor:
    """Compute the output for one bright pixel in the middle of the input.

    Args:
        layer: The layer; its bias is left out.

    Returns:
        The output (in_channels, out_channels, *sides) for a 1 in each input channel, where each side is
        scale_factor * (2 r + 1) for r = `reach(layer)`. The bright pixel lies on the output pixels scale_factor * r to
        scale_factor * (r + 1) - 1.

    Raises:
        ValueError: The layer reads pixels farther away than FARTHEST.
    """
    middle = reach(layer)
    channels = layer.in_channels
    size = [2 * middle + 1] * layer.dims
    x = torch.zeros(channels, channels, *size, **_dtype_and_device(layer))
    place_of_one = [middle] * layer.dims
    for channel in range(channels):
        x[(channel, channel, *place_of_one)] = 1
    with torch.no_grad():
        # the answer to nothing is the bias
        zero = layer(torch.zeros_like(x[:1]))
        return layer(x) - zero


def reach(layer: UpsamplingLayer) -> int:
    """Find how far one must look around a pixel to see all that the layer reads there.

    Args:
        layer: The layer.

    Returns:
        Pixels of the input to each side of the middle.

    Raises:
        ValueError: The layer reads pixels farther away than FARTHEST.
    """
    masks = receptive_masks(layer)
    some_mask = next(iter(masks.values()))
    return some_mask.shape[0] // 2


def receptive_fields(layer: UpsamplingLayer) -> dict[Phase, ReceptiveField]:
    """Measure what each phase reads.

    Args:
        layer: The layer.

    Returns:
        The receptive field of each phase.

    Raises:
        ValueError: The layer reads pixels farther away than FARTHEST.
    """
    fields = {}
    for phase, mask in receptive_masks(layer).items():
        middle = mask.shape[0] // 2
        offsets = mask.nonzero() - middle
        first = tuple(offsets.min(0).values.tolist())
        last = tuple(offsets.max(0).values.tolist())
        fields[phase] = ReceptiveField(first, last, len(offsets))
    return fields


def receptive_masks(layer: UpsamplingLayer) -> dict[Phase, Tensor]:
    """Mark the input pixels that each phase reads: those for which the gradient of its pixel is not zero.

    The gradients are taken at a random input, so that the masks hold for layers that are not linear as well.

    Args:
        layer: The layer.

    Returns:
        For each phase a boolean (2 r + 1, ...) in as many dimensions as the layer has. The input pixel that the phase
        lies on is in the middle, and r is so large that no phase reads the border.

    Raises:
        ValueError: r would have to be above FARTHEST.
    """
    radius = REACH
    while radius <= FARTHEST:
        masks = _masks_within(layer, radius)
        # a phase that reads the border may read what is beyond it
        inner = (slice(1, -1),) * layer.dims
        if all(mask.sum() == mask[inner].sum() for mask in masks.values()):
            return masks
        radius *= 2
    raise ValueError(f"{type(layer).__name__} reads pixels farther away than {FARTHEST}")


def _masks_within(layer: UpsamplingLayer, radius: int) -> dict[Phase, Tensor]:
    """Mark the input pixels that each phase reads, for an input of `radius` pixels around the middle."""
    size = [2 * radius + 1] * layer.dims
    x = torch.randn(1, layer.in_channels, *size, **_dtype_and_device(layer))
    x.requires_grad_()
    y = layer(x)
    start = layer.scale_factor * radius  # of the output pixels that lie on the one in the middle
    masks = {}
    for phase in phases(layer.dims, layer.scale_factor):
        where = [start + offset for offset in phase]
        all_channels = slice(None)
        pixel = y[(0, all_channels, *where)]
        # positive weights, so that the gradients of the channels hardly ever cancel
        weights = torch.rand_like(pixel) + 0.5
        (gradient,) = torch.autograd.grad(pixel, x, weights, retain_graph=True)
        is_read = gradient[0].ne(0)
        masks[phase] = is_read.any(0)
    return masks


def phase_gains(layer: UpsamplingLayer) -> dict[Phase, Tensor]:
    """Measure the response of each phase to a constant of 1 in one input channel, away from borders.

    Args:
        layer: The layer; its bias is left out. Where it is not linear, the gains hold for that input alone.

    Returns:
        For each phase, the gains (out_channels, in_channels).

    Raises:
        ValueError: The layer reads pixels farther away than FARTHEST.

    Source:
        Sugawara et al., Checkerboard artifacts free convolutional neural networks, APSIPA Trans. 8 (2019): the
        steady-state values of the polyphase filters' step responses.
    """
    radius = reach(layer)
    channels = layer.in_channels
    size = [2 * radius + 1] * layer.dims
    ones = [1] * layer.dims
    # one sample for each input channel, in which that channel is 1 everywhere
    x = torch.eye(channels, **_dtype_and_device(layer))
    x = x.view(channels, channels, *ones)
    x = x.expand(-1, -1, *size)
    with torch.no_grad():
        # the answer to nothing is the bias
        zero = layer(torch.zeros_like(x[:1]))
        y = layer(x) - zero
    middle = (..., *[radius] * layer.dims)
    gains = {}
    for phase in phases(layer.dims, layer.scale_factor):
        made = y[place(phase, layer.scale_factor)]
        gains[phase] = made[middle].T
    return gains


def checkerboard_score(layer: UpsamplingLayer) -> float:
    """Measure by how much the gains of the phases differ: how strong a checkerboard a constant draws.

    Args:
        layer: The layer.

    Returns:
        The deviation of the phase gains from their mean over the phases, relative to their root mean square. 0: all
        phases answer a constant alike, so it draws no checkerboard. 1: the gains cancel, and nothing but the
        checkerboard is left.

    Raises:
        ValueError: The layer reads pixels farther away than FARTHEST.

    Source:
        The condition is that of Sugawara et al. (2019), see `phase_gains`; the score is this suite's.
    """
    gains = torch.stack(list(phase_gains(layer).values()))
    deviations = gains - gains.mean(0)
    variance = deviations.square().mean()
    power = gains.square().mean()
    return (variance / power).sqrt().item()


def dependencies(layer: UpsamplingLayer) -> Mapping[Phase, tuple[Source, ...]]:
    """Tell what the convolution that makes each phase sees.

    Args:
        layer: The layer.

    Returns:
        For each phase, "input" if it sees the layer's input, and the earlier phases that it sees, in order.
    """
    if not isinstance(layer, PhaseSchedule):
        return dict.fromkeys(phases(layer.dims, layer.scale_factor), ("input",))
    graph: dict[Phase, tuple[Source, ...]] = {}
    for step in layer.schedule_steps:
        sources: tuple[Source, ...] = step.sees
        if step.sees_input:
            sources = ("input", *sources)
        for phase in step.makes:
            graph[phase] = sources
    return graph


def _dtype_and_device(layer: UpsamplingLayer) -> dict[str, Any]:
    """Give the dtype and device of the layer's parameters, as keyword arguments for a new tensor."""
    parameter = next(layer.parameters())
    return {"dtype": parameter.dtype, "device": parameter.device}

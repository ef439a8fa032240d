"""What a layer is before any training: its matrix, impulse responses, receptive fields, gains and dependencies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.layers.base import UpsamplingLayer
from bench.layers.phases import Phase, phases, place
from bench.layers.pixel_dcl import PhaseSchedule

REACH = 6  # pixels around the middle that are looked at first: wider than most layers see with their defaults
FARTHEST = 96
Source = Phase | Literal["input"]


@dataclass(frozen=True)
class ReceptiveField:
    """The input pixels a phase reads. `first` and `last`: offsets from the pixel it lies on; `pixels`: how many."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    pixels: int


def matrix(layer: UpsamplingLayer, size: Sequence[int]) -> Tensor:
    """The linear layer as a matrix (out_channels * outputs, in_channels * inputs) for an input of `size` pixels.

    Both sides count channels slowest and the last dimension fastest. Raises ValueError when the layer is not linear.
    """
    parameter = next(layer.parameters())
    count = layer.in_channels * math.prod(size)
    impulses = torch.eye(count, dtype=parameter.dtype, device=parameter.device)
    with torch.no_grad():
        zero = layer(impulses.new_zeros(1, layer.in_channels, *size))
        columns = (layer(impulses.view(count, layer.in_channels, *size)) - zero).flatten(1).T
        probe = torch.randn(count, dtype=parameter.dtype, device=parameter.device)
        seen = (layer(probe.view(1, layer.in_channels, *size)) - zero).flatten()
    if not torch.allclose(columns @ probe, seen, rtol=1e-3, atol=1e-3 * seen.abs().max().item()):
        raise ValueError(f"{type(layer).__name__} is not linear with these options: it has no matrix")
    return columns


def impulse_response(layer: UpsamplingLayer) -> Tensor:
    """Output for one bright pixel in the middle: (in_channels, out_channels, *sides), sides = factor * (2 r + 1).

    r = `reach(layer)`. The bright pixel lies on output pixels factor * r to factor * (r + 1) - 1. Without the bias.
    """
    parameter, middle = next(layer.parameters()), reach(layer)
    size = [2 * middle + 1] * layer.dims
    x = torch.zeros(layer.in_channels, layer.in_channels, *size, dtype=parameter.dtype, device=parameter.device)
    for channel in range(layer.in_channels):
        x[(channel, channel, *[middle] * layer.dims)] = 1
    with torch.no_grad():
        return layer(x) - layer(torch.zeros_like(x[:1]))


def reach(layer: UpsamplingLayer) -> int:
    """How many pixels to each side of the middle show all that a pixel of the layer's output reads.

    Raises ValueError if that is more than FARTHEST.
    """
    return next(iter(receptive_masks(layer).values())).shape[0] // 2


def receptive_fields(layer: UpsamplingLayer) -> dict[Phase, ReceptiveField]:
    """What each phase reads, see `receptive_masks`."""
    fields = {}
    for phase, mask in receptive_masks(layer).items():
        read = mask.nonzero() - mask.shape[0] // 2
        first, last = (tuple(bound.values.tolist()) for bound in (read.min(0), read.max(0)))
        fields[phase] = ReceptiveField(first, last, len(read))
    return fields


def receptive_masks(layer: UpsamplingLayer) -> dict[Phase, Tensor]:
    """The input pixels on which the gradient of a pixel of the phase is not zero; the one it lies on is in the middle.

    A boolean (2 r + 1, ...) a phase, in as many dimensions as the layer; r is so large that no phase reads the border.
    Measured at a random input, so that it holds for layers that are not linear as well. Raises ValueError where r would
    have to be above FARTHEST.
    """
    radius = REACH
    while radius <= FARTHEST:
        masks = _masks(layer, radius)
        inner = (slice(1, -1),) * layer.dims
        if all(mask.sum() == mask[inner].sum() for mask in masks.values()):
            return masks
        radius *= 2
    raise ValueError(f"{type(layer).__name__} reads pixels farther away than {FARTHEST}")


def _masks(layer: UpsamplingLayer, radius: int) -> dict[Phase, Tensor]:
    parameter = next(layer.parameters())
    size = [2 * radius + 1] * layer.dims
    x = torch.randn(1, layer.in_channels, *size, dtype=parameter.dtype, device=parameter.device).requires_grad_()
    y = layer(x)
    masks = {}
    for phase in phases(layer.dims, layer.factor):
        pixel = y[(0, slice(None), *(layer.factor * radius + p for p in phase))]
        (gradient,) = torch.autograd.grad(pixel, x, torch.rand_like(pixel) + 0.5, retain_graph=True)
        masks[phase] = gradient[0].ne(0).any(0)
    return masks


def phase_gains(layer: UpsamplingLayer) -> dict[Phase, Tensor]:
    """The response of each phase to a constant of 1 in one input channel, away from borders: (out, in) a phase.

    Source: Sugawara et al., Checkerboard artifacts free convolutional neural networks, APSIPA Trans. 8 (2019): the
    steady-state values of the polyphase filters' step responses. For a layer that is not linear: at that input.
    """
    parameter, radius = next(layer.parameters()), reach(layer)
    size = [2 * radius + 1] * layer.dims
    x = torch.eye(layer.in_channels, dtype=parameter.dtype, device=parameter.device)
    x = x.view(layer.in_channels, layer.in_channels, *[1] * layer.dims).expand(-1, -1, *size)
    with torch.no_grad():
        y = layer(x) - layer(torch.zeros_like(x[:1]))
    middle = (..., *[radius] * layer.dims)
    return {phase: y[place(phase, layer.factor)][middle].T for phase in phases(layer.dims, layer.factor)}


def checkerboard_score(layer: UpsamplingLayer) -> float:
    """Deviation of the phase gains from their mean over the phases, relative to their root mean square.

    0: all phases answer a constant alike, so a constant draws no checkerboard (Sugawara et al., 2019). 1: the gains
    cancel, and nothing but the checkerboard is left.
    """
    gains = torch.stack(list(phase_gains(layer).values()))
    return ((gains - gains.mean(0)).square().mean() / gains.square().mean()).sqrt().item()


def dependencies(layer: UpsamplingLayer) -> Mapping[Phase, tuple[Source, ...]]:
    """What the convolution that makes each phase sees: earlier phases, in order, and "input"."""
    if not isinstance(layer, PhaseSchedule):
        return dict.fromkeys(phases(layer.dims, layer.factor), ("input",))
    graph: dict[Phase, tuple[Source, ...]] = {}
    for step in layer.schedule:
        sources: tuple[Source, ...] = ("input", *step.sees) if step.sees_input else step.sees
        graph |= dict.fromkeys(step.makes, sources)
    return graph

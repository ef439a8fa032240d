"""Weights of the authors' TensorFlow layers, read into ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from bench.layers.base import UpsamplingLayer
from bench.layers.pixel_dcl import IPixelDCL, PhaseSchedule
from bench.layers.schedule import released
from bench.layers.steps import PhaseStep, SharedStep, residue_key

NAME = re.compile(r"(?:.*/)?conv(?P<number>\d+)/(?:conv/)?(?:w|weights)(?::0)?")


def load_released(layer: UpsamplingLayer, arrays: Mapping[str, NDArray[np.floating]]) -> None:
    """Copy the arrays of a released layer into `layer`, in place.

    layer: a `pixel_dcl` or `ipixel_dcl` of the released schedule, 2-D or 3-D, factor 2, any odd kernel.
    arrays: one a convolution, under the authors' names (`conv0/w`, `conv2/weights`, `conv0/conv/weights`, ...), perhaps
    with a scope before them; the numbers, from 0 or 1 on, are the order of the steps; axes (row, column[, depth], in,
    out).
    Raises ValueError when the layer is not one the authors released, or, naming the array, when a name, the number of
    arrays or a shape does not fit; the layer is then unchanged.
    """
    if not isinstance(layer, PhaseSchedule):
        raise ValueError(f"the authors released PixelDCL and IPixelDCL, not {type(layer).__name__}")
    if layer.dims == 1 or layer.factor != 2:
        raise ValueError(
            f"the authors released 2-D and 3-D layers of factor 2, not {layer.dims}-D factor {layer.factor}"
        )
    if layer.schedule != released(layer.dims, layer.factor, input_always=isinstance(layer, IPixelDCL)):
        raise ValueError("the layer's schedule must be 'released'; the authors released no other")
    if len(arrays) != len(layer.steps):
        raise ValueError(f"{len(layer.steps)} arrays are needed, one a step; got {', '.join(sorted(arrays)) or 'none'}")
    loaded: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
    for name, step in zip(_in_order(arrays), layer.step_modules(), strict=True):
        array = np.asarray(arrays[name])
        if array.ndim != layer.dims + 2:
            raise ValueError(f"array {name!r}: must have {layer.dims + 2} axes, got shape {array.shape}")
        kernel = torch.as_tensor(np.moveaxis(array, (-1, -2), (0, 1)).copy())
        if isinstance(step, SharedStep):
            loaded += _shared(name, kernel, step, layer)
        else:
            loaded.append(_own(name, kernel, step, layer))
    with torch.no_grad():
        for parameter, value in loaded:
            parameter.copy_(value)


def _in_order(names: Iterable[str]) -> list[str]:
    """Names of the authors' convolutions by their number."""
    numbers: dict[int, str] = {}
    for name in sorted(names):
        found = NAME.fullmatch(name)
        if not found:
            raise ValueError(f"array {name!r}: the authors' names are conv0/w, conv2/weights, conv0/conv/weights, ...")
        if (number := int(found["number"])) in numbers:
            raise ValueError(f"arrays {numbers[number]!r} and {name!r} are both of convolution {number}")
        numbers[number] = name
    ordered = sorted(numbers)
    if ordered not in (list(range(len(ordered))), list(range(1, len(ordered) + 1))):
        raise ValueError(f"arrays must be numbered from 0 or 1 without a gap, got {', '.join(sorted(names))}")
    return [numbers[number] for number in ordered]


def _own(
    name: str, kernel: torch.Tensor, step: PhaseStep, layer: PhaseSchedule
) -> tuple[torch.nn.Parameter, torch.Tensor]:
    _check(name, kernel, tuple(step.weight.shape))
    if layer.dims == 3 and step.step.sees_input and len(step.step.sees) == 5:
        # the released 3-D iPixelDCL concatenates [F3, F4, F5, input, F1, F2]; ours is always input, F1, F2, ...
        late = 3 * layer.out_channels
        kernel = torch.cat([kernel[:, late:], kernel[:, :late]], 1)
    return step.weight, kernel


def _shared(
    name: str, kernel: torch.Tensor, step: SharedStep, layer: PhaseSchedule
) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    _check(name, kernel, (layer.out_channels, layer.out_channels, *[layer.kernel] * layer.dims))
    return [(step.weights[residue_key(residue)], kernel[step.kernel_slices(residue)]) for residue in step.residues()]


def _check(name: str, kernel: torch.Tensor, expected: tuple[int, ...]) -> None:
    if tuple(kernel.shape) != expected:
        ours, theirs = ((*s[2:], s[1], s[0]) for s in (expected, tuple(kernel.shape)))
        raise ValueError(f"array {name!r}: axes (row, column[, depth], in, out) must be {ours}, got {theirs}")

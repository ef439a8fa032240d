"""Weights of the authors' TensorFlow layers, read into ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from upbench.layers.base import UpsamplingLayer
from upbench.layers.pixel_dcl import IPixelDCL, PhaseSchedule
from upbench.layers.schedule import released
from upbench.layers.steps import PhaseStep, SharedStep, residue_key

NAME = re.compile(r"(?:.*/)?conv(?P<number>\d+)/(?:conv/)?(?:w|weights)(?::0)?")

Loaded = list[tuple[torch.nn.Parameter, torch.Tensor]]  # parameters of a layer, and the values they are to get


def load_released(layer: UpsamplingLayer, arrays: Mapping[str, NDArray[np.floating]]) -> None:
    """Copy the arrays of a released layer into `layer`, in place.

    Args:
        layer: A `PixelDCL` or `IPixelDCL` of the released schedule, 2-D or 3-D, of scale factor 2 and any odd kernel.
        arrays: One array for each convolution, under the authors' names (`conv0/w`, `conv2/weights`,
            `conv0/conv/weights`, ...), perhaps with a scope before them. Their numbers, from 0 or 1 on, are the order
            of the steps; their axes are (row, column[, depth], in, out).

    Raises:
        ValueError: The layer is not one that the authors released, or a name, the number of arrays or a shape does not
            fit; the message names the array. The layer is then unchanged.
    """
    checked = _check_layer(layer, arrays)
    loaded: Loaded = []
    for name, step in zip(_sort_by_number(arrays), checked.step_modules(), strict=True):
        array = np.asarray(arrays[name])
        axes = checked.dims + 2
        if array.ndim != axes:
            raise ValueError(f"array {name!r}: must have {axes} axes, got shape {array.shape}")
        # (..., in, out) becomes (out, in, ...); the copy is because torch takes no array of negative strides
        moved = np.moveaxis(array, (-1, -2), (0, 1))
        kernel = torch.as_tensor(moved.copy())
        if isinstance(step, SharedStep):
            loaded += _match_shared_step(name, kernel, step, checked)
        else:
            loaded += _match_phase_step(name, kernel, step, checked)
    # nothing is copied before everything fits
    with torch.no_grad():
        for parameter, value in loaded:
            parameter.copy_(value)


def _check_layer(layer: UpsamplingLayer, arrays: Mapping[str, NDArray[np.floating]]) -> PhaseSchedule:
    """Return the layer if the authors released one like it, of as many convolutions as there are arrays."""
    if not isinstance(layer, PhaseSchedule):
        raise ValueError(f"the authors released PixelDCL and IPixelDCL, not {type(layer).__name__}")
    dims, scale_factor = layer.dims, layer.scale_factor
    if dims == 1 or scale_factor != 2:
        ours = f"{dims}-D scale_factor {scale_factor}"
        raise ValueError(f"the authors released 2-D and 3-D layers of scale_factor 2, not {ours}")
    # the steps tell, whatever the schedule is called: with few phases two schedules can be the same
    input_always = isinstance(layer, IPixelDCL)
    if layer.schedule_steps != released(dims, scale_factor, input_always=input_always):
        raise ValueError("the layer's schedule must be 'released'; the authors released no other")
    steps = len(layer.steps)
    if len(arrays) != steps:
        names = ", ".join(sorted(arrays)) or "none"
        raise ValueError(f"{steps} arrays are needed, one a step; got {names}")
    return layer


def _sort_by_number(names: Iterable[str]) -> list[str]:
    """Sort the names of the authors' convolutions by their number."""
    numbers: dict[int, str] = {}
    # sorted, so that of two names with one number the message says the same each time
    for name in sorted(names):
        found = NAME.fullmatch(name)
        if not found:
            raise ValueError(f"array {name!r}: the authors' names are conv0/w, conv2/weights, conv0/conv/weights, ...")
        number = int(found["number"])
        if number in numbers:
            raise ValueError(f"arrays {numbers[number]!r} and {name!r} are both of convolution {number}")
        numbers[number] = name
    ordered = sorted(numbers)
    from_zero = list(range(len(ordered)))
    from_one = list(range(1, len(ordered) + 1))
    if ordered not in (from_zero, from_one):
        raise ValueError(f"arrays must be numbered from 0 or 1 without a gap, got {', '.join(sorted(names))}")
    return [numbers[number] for number in ordered]


def _match_phase_step(name: str, kernel: torch.Tensor, step: PhaseStep, layer: PhaseSchedule) -> Loaded:
    """Pair the weights of a step on the grid of the input with their values."""
    _check_shape(name, kernel, tuple(step.weight.shape))
    is_last_step = step.step.sees_input and len(step.step.sees) == 5
    if layer.dims == 3 and is_last_step:
        # the released 3-D iPixelDCL concatenates [F3, F4, F5, input, F1, F2]; ours is always input, F1, F2, ...
        late = 3 * layer.out_channels
        phases_3_to_5 = kernel[:, :late]
        others = kernel[:, late:]
        kernel = torch.cat([others, phases_3_to_5], 1)
    return [(step.weight, kernel)]


def _match_shared_step(name: str, kernel: torch.Tensor, step: SharedStep, layer: PhaseSchedule) -> Loaded:
    """Pair the small kernels of a shared step with their taps in the authors' masked kernel."""
    channels = layer.out_channels
    sides = [layer.kernel_size] * layer.dims
    _check_shape(name, kernel, (channels, channels, *sides))
    loaded: Loaded = []
    for residue in step.residues():
        parameter = step.weights[residue_key(residue)]
        loaded.append((parameter, kernel[step.kernel_slices(residue)]))
    return loaded


def _check_shape(name: str, kernel: torch.Tensor, expected: tuple[int, ...]) -> None:
    """Check the shape of an array; the message shows both shapes in the order of the authors' axes."""
    shape = tuple(kernel.shape)
    if shape == expected:
        return
    # ours are (out, in, *sides); the message speaks the language of the arrays
    ours_in_their_order = (*expected[2:], expected[1], expected[0])
    theirs = (*shape[2:], shape[1], shape[0])
    raise ValueError(
        f"array {name!r}: axes (row, column[, depth], in, out) must be {ours_in_their_order}, got {theirs}"
    )

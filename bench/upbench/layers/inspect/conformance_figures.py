"""Which figures of an up-sampling layer must agree: gradients, memory formats, precisions, multiply-adds.

Each function returns what is wrong in one line, or None, as those of `upbench.layers.inspect.conformance_checks`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError, gradcheck
from torch.utils.flop_counter import FlopCounterMode

from upbench.layers.inspect.conformance_case import (
    CHANNELS_LAST,
    SAME,
    Case,
    Counted,
    NotChecked,
    first_line,
    move_parameters,
    relative_difference,
    set_memory_format,
)

# Of the norm of the output. The registered layers, in all schedules: at most 9e-7 and 0.0078.
NORM_TOLERANCES = {torch.float64: 1e-5, torch.bfloat16: 0.03}


def check_gradients(case: Case) -> str | None:
    """torch.autograd.gradcheck agrees in float64, and every parameter gets a finite gradient that is not all zero."""
    layer = case.build().double()
    move_parameters(layer)
    x = case.draw_input(batch=1).double()
    values: dict[str, Tensor] = {}
    for name, parameter in layer.named_parameters():
        if parameter.requires_grad:
            values[name] = parameter.detach().clone()
    fault = find_missing_gradient(layer, x)
    if fault:
        return fault

    def call_with_input(value: Tensor) -> Tensor:
        """The output for an input; a clone, as a layer that changes its input is named by another check."""
        return layer(value.clone())

    fault = find_wrong_gradient("the input", call_with_input, x)
    if fault:
        return fault
    for name, value in values.items():
        call = partial(call_with_parameter, layer, x, name)
        fault = find_wrong_gradient(name, call, value)
        if fault:
            return fault
    return None


def call_with_parameter(layer: nn.Module, x: Tensor, name: str, value: Tensor) -> Tensor:
    """The output for `x` with another value in place of one parameter."""
    return torch.func.functional_call(layer, {name: value}, (x.clone(),))


def find_wrong_gradient(name: str, call: Callable[[Tensor], Tensor], value: Tensor) -> str | None:
    """What torch.autograd.gradcheck has against the gradient of `call` at `value`."""
    try:
        gradcheck(call, [value.clone().requires_grad_()], fast_mode=True)
    except GradcheckError as error:
        return f"gradcheck of {name}: {first_line(error)}"
    return None


def find_missing_gradient(layer: nn.Module, x: Tensor) -> str | None:
    """Which parameter gets no gradient, one that is not finite, or one of zeros."""
    y = layer(x.clone())
    if not y.requires_grad:
        return None
    # a random direction: a plain sum is blind to weights whose effects cancel
    generator = torch.Generator().manual_seed(4)
    direction = torch.randn(y.shape, generator=generator, dtype=y.dtype)
    y.backward(direction)
    for name, parameter in layer.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:
            return f"parameter {name} gets no gradient"
        if not parameter.grad.isfinite().all():
            return f"parameter {name} gets a gradient that is not finite"
        if not parameter.grad.any():
            return f"parameter {name} gets a gradient of zeros"
    return None


def check_memory_formats(case: Case) -> str | None:
    """A channels-last input gives the same values, channels last."""
    if case.dims not in CHANNELS_LAST:
        raise NotChecked("torch has no channels-last format of one dimension")
    memory_format = CHANNELS_LAST[case.dims]
    layer = case.build()
    move_parameters(layer)
    x = case.draw_input()
    with torch.no_grad():
        expected = layer(x.clone())
        set_memory_format(layer, memory_format)
        y = layer(x.contiguous(memory_format=memory_format))
    difference = relative_difference(y, expected)
    if not difference <= SAME:  # so that a NaN is a fault
        return f"a channels-last input gives other values, by {difference:.1e} of the largest"
    if not y.is_contiguous(memory_format=memory_format):
        return "a channels-last input gives an output that is not channels-last"
    return None


def check_dtypes(case: Case) -> str | None:
    """The layer runs in bfloat16 and float64, returns what it was given, and agrees with float32."""
    layer = case.build()
    move_parameters(layer)
    x = case.draw_input()
    with torch.no_grad():
        expected = layer(x.clone()).double()
    for dtype, tolerance in NORM_TOLERANCES.items():
        converted = copy.deepcopy(layer).to(dtype)
        with torch.no_grad():
            y = converted(x.to(dtype))
        if y.dtype != dtype:
            return f"a layer and an input of {dtype} give {y.dtype}"
        error = torch.linalg.norm(y.double() - expected)
        difference = error.item() / torch.linalg.norm(expected).item()
        if not difference <= tolerance:  # so that a NaN is a fault
            return f"{dtype} is {difference:.1e} away from float32, more than {tolerance:.0e}"
    return None


def check_flops(case: Case) -> str | None:
    """What torch counts for a forward pass is twice the counted part of multiply_adds() for each input pixel."""
    layer = case.build()
    if not isinstance(layer, Counted):
        raise NotChecked("the layer does not define both multiply_adds() and uncounted_multiply_adds()")
    said = layer.multiply_adds()
    uncounted = layer.uncounted_multiply_adds()
    if not 0 <= uncounted <= said:
        return f"uncounted_multiply_adds() says {uncounted:,}, not between 0 and multiply_adds(), {said:,}"
    expected = said - uncounted
    for memory_format in case.memory_formats():
        # a layer may compute in another way in another format
        counted = count_multiply_adds(case, layer, memory_format)
        if counted != expected:
            ratio = counted / expected if expected else math.inf
            apart = f", {uncounted:,} of them uncounted" if uncounted else ""
            return f"multiply_adds() says {said:,} a pixel{apart}, counted {counted:,.10g} (x {ratio:.2f})"
    return None


def count_multiply_adds(case: Case, layer: nn.Module, memory_format: torch.memory_format) -> float:
    """The multiply-adds for one input pixel that torch counts in a forward pass."""
    x = case.draw_input().contiguous(memory_format=memory_format)
    set_memory_format(layer, memory_format)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer(x)
    operations = counter.get_total_flops()
    pixels = x[:, 0].numel()
    # a multiply-add is two operations; torch counts a convolution as if nothing were cut off at the borders
    return operations / (2 * pixels)

"""How an up-sampling layer must behave, one function a demand: each returns what is wrong in one line, or None.

A function that finds nothing to check raises NotChecked with the reason. An exception of the layer itself is left to
`upbench.layers.inspect.conformance`, which makes a finding of it.
"""

from __future__ import annotations

import copy
import io
import itertools

import torch
from torch import Tensor, nn

from upbench.layers.base import UpsamplingLayer
from upbench.layers.inspect.conformance_case import (
    IN,
    OUT,
    SAME,
    SIDES,
    Case,
    NotChecked,
    first_line,
    move_parameters,
    relative_difference,
)


def check_shapes(case: Case) -> str | None:
    """(N, in, *S) becomes (N, out, *(scale_factor * s for s in S)), for unequal and equal channels."""
    sizes = (SIDES, (4, 6, 2), (7, 7, 7))
    for out_channels in (OUT, IN):
        layer = case.build(out_channels=out_channels)
        for sides, batch in itertools.product(sizes, (1, 3)):
            x = case.draw_input(batch=batch, sides=sides)
            fault = find_shape_fault(case, layer, x, out_channels)
            if fault:
                return fault
    return None


def find_shape_fault(case: Case, layer: nn.Module, x: Tensor, out_channels: int = OUT) -> str | None:
    """What is wrong with the size of the layer's output for `x`, or with its numbers."""
    y = layer(x.clone())
    given = tuple(x.shape)
    made = tuple(y.shape)
    expected = case.output_shape(x, out_channels)
    if made != expected:
        return f"an input {given} gives {made}, not {expected}"
    if not y.isfinite().all():
        return f"an input {given} gives numbers that are not finite"
    return None


def check_thin_inputs(case: Case) -> str | None:
    """Sides of one pixel are taken, or refused with ValueError."""
    layer = case.build()
    for sides in ((1, 1, 1), (1, 6, 1), (6, 1, 1)):
        x = case.draw_input(sides=sides)
        try:
            fault = find_shape_fault(case, layer, x)
        except ValueError as error:
            raise NotChecked(f"not supported: {first_line(error)}") from None
        if fault:
            return fault
    return None


def check_empty_batch(case: Case) -> str | None:
    """A batch of no samples is taken, forward and backward, or refused with an exception."""
    layer = case.build()
    x = case.draw_input(batch=0)
    # any exception will do: torch's own pixel_shuffle refuses the backward pass with RuntimeError
    try:
        y = layer(x)
        if y.requires_grad:
            y.sum().backward()
    except Exception as error:
        raise NotChecked(f"not supported: {type(error).__name__}: {first_line(error)}") from None
    if tuple(y.shape) != case.output_shape(x):
        return f"an empty batch gives {tuple(y.shape)}, not {case.output_shape(x)}"
    return None


def check_refusal(case: Case) -> str | None:
    """An input with a channel too few is refused, by an UpsamplingLayer with ValueError."""
    layer = case.build()
    x = case.draw_input(channels=IN - 1)
    try:
        layer(x)
    except ValueError:
        return None
    except Exception as error:
        # torch's own modules refuse with RuntimeError: only the base class promises more
        if isinstance(layer, UpsamplingLayer):
            return f"{IN - 1} channels where {IN} are expected: {type(error).__name__}, not ValueError"
        return None
    return f"{IN - 1} channels where {IN} are expected are taken without an error"


def check_repr(case: Case) -> str | None:
    """The repr of an UpsamplingLayer says its channels, dims and scale_factor."""
    layer = case.build()
    if not isinstance(layer, UpsamplingLayer):
        raise NotChecked("not an UpsamplingLayer, whose extra_repr says channels, dims and scale_factor")
    said = layer.extra_repr()
    words = (str(IN), str(OUT), f"dims={case.dims}", f"scale_factor={case.scale_factor}")
    for word in words:
        if word not in said:
            return f"extra_repr does not say {word}: {said!r}"
    return None


def check_determinism(case: Case) -> str | None:
    """One seed gives the same weights, outputs and gradients to the bit, and two calls the same output."""
    layer = case.build(seed=3)
    twin = case.build(seed=3)
    twin_weights = twin.state_dict()
    for name, weight in layer.state_dict().items():
        if not torch.equal(weight, twin_weights[name]):
            return f"the same seed gives different weights: {name}"
    x = case.draw_input()
    y = layer(x.clone())
    twin_y = twin(x.clone())
    if not torch.equal(y, layer(x.clone())):
        return "two calls with the same input differ"
    if not torch.equal(y, twin_y):
        return "the same seed gives different outputs"
    if not y.requires_grad:
        return None
    y.square().sum().backward()
    twin_y.square().sum().backward()
    twin_parameters = dict(twin.named_parameters())
    for name, parameter in layer.named_parameters():
        gradient = parameter.grad
        twin_gradient = twin_parameters[name].grad
        if gradient is None or twin_gradient is None:
            continue  # check_gradients names the parameter
        if not torch.equal(gradient, twin_gradient):
            return f"the same seed gives different gradients: {name}"
    return None


def check_input_kept(case: Case) -> str | None:
    """The layer leaves its input as it was."""
    layer = case.build()
    for memory_format in case.memory_formats():
        x = case.draw_input().contiguous(memory_format=memory_format)
        before = x.clone()
        layer(x)
        if not torch.equal(x, before):
            return "the layer changes its input in place"
    return None


def check_batch_independence(case: Case) -> str | None:
    """In eval mode the output of a sample does not depend on the other samples."""
    layer = case.build().eval()
    move_parameters(layer)
    x = case.draw_input(batch=3)
    others_changed = x.clone()
    others_changed[1:] = 10 * x[1:].flip(0)
    with torch.no_grad():
        y = layer(x.clone())
        changed = layer(others_changed)
        alone = layer(x[:1].clone())
    if not relative_difference(changed[:1], y[:1]) <= SAME:
        return "the output of a sample changes with the other samples of its batch"
    if not relative_difference(alone, y[:1]) <= SAME:
        return "a sample alone gives another output than in a batch"
    return None


def check_copies(case: Case) -> str | None:
    """A deep copy, and a new layer that loads the saved state_dict, give the same output to the bit."""
    layer = case.build()
    move_parameters(layer)
    x = case.draw_input()
    twin = copy.deepcopy(layer)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    loaded = case.build(seed=5)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        expected = layer(x.clone())
        if not torch.equal(twin(x.clone()), expected):
            return "a deep copy gives another output"
        if not torch.equal(loaded(x.clone()), expected):
            return "a layer that loads the state_dict gives another output: something is missing from it"
        # weights shared between the copies would move together
        move_parameters(twin)
        if not torch.equal(layer(x.clone()), expected):
            return "a deep copy shares its weights with the layer"
    return None


def check_modes(case: Case) -> str | None:
    """A call in eval mode changes no state, and a switch to train mode and back changes no output."""
    layer = case.build()
    layer.eval()
    x = case.draw_input()
    before = copy.deepcopy(layer.state_dict())
    with torch.no_grad():
        y = layer(x.clone())
        for name, value in layer.state_dict().items():
            if not torch.equal(value, before[name]):
                return f"a call in eval mode changes {name}"
        layer.train()
        layer.eval()
        if not torch.equal(layer(x.clone()), y):
            return "a switch to train mode and back changes the output"
        layer.train()
        trained = layer(x.clone())
    if trained.shape != y.shape:
        return f"the output is {tuple(y.shape)} in eval mode and {tuple(trained.shape)} in train mode"
    return None

"""Drop-in: replace the transposed convolutions of any network by another up-sampling layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from bench.layers import build
from bench.layers.base import UpsamplingLayer

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Replaced:
    """One replacement: dotted name in the network, what was there, what is there now."""

    name: str
    was: str
    now: str


@dataclass(frozen=True)
class Left:
    """A transposed convolution that stays, and why."""

    name: str
    was: str
    reason: str


@dataclass(frozen=True)
class SwapReport:
    """What `swap` replaced and what it left."""

    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        lines = [f"{one.name}: {one.was} -> {one.now}" for one in self.replaced]
        return "\n".join([*lines, *(f"{one.name}: {one.was} left: {one.reason}" for one in self.left)])


def swap(network: nn.Module, name: str, **options: Any) -> SwapReport:
    """Replace every stride-2 transposed convolution in `network`, in place, by the layer registered as `name`.

    options: those of the layer; dims, factor and bias follow what is replaced. A module used in several places stays
    one module. The shape of every output is kept: one that is not exactly twice the input is cut, or filled with zeros,
    at its end, which is where the transposed convolution's own padding puts the difference. Device, dtype and training
    mode are kept; weights start anew. One with a parametrization or a hook, such as spectral normalisation, stays: the
    new layer would be without it. A network that calls a transposed convolution with `output_size` cannot call what
    stands in its place so.
    Raises UserError for an unknown layer or option, ValueError when `network` is itself a transposed convolution.
    """
    if isinstance(network, TRANSPOSED):
        raise ValueError("network is itself a transposed convolution: build the layer with bench.layers.build")
    replaced: list[Replaced] = []
    left: list[Left] = []
    made: dict[nn.Module, nn.Module] = {}
    for parent, child, path, module in list(transposed_convs(network)):
        try:
            new = made[module] = made.get(module) or replacement(module, name, options)
        except UnsuitableError as error:
            left.append(Left(path, describe(module), str(error)))
            continue
        setattr(parent, child, new)
        replaced.append(Replaced(path, describe(module), repr(new).partition("\n")[0].rstrip("(")))
    return SwapReport(tuple(replaced), tuple(left))


class UnsuitableError(Exception):
    """A transposed convolution that the layer cannot stand for."""


def transposed_convs(network: nn.Module) -> Iterator[tuple[nn.Module, str, str, nn.Module]]:
    """(parent, attribute, dotted name, module) of each place that holds a transposed convolution."""
    for path, parent in network.named_modules():
        for child, module in parent._modules.items():  # named_children would leave out a module seen before
            if isinstance(module, TRANSPOSED):
                yield parent, child, f"{path}.{child}".removeprefix("."), module


def replacement(module: Any, name: str, options: dict[str, Any]) -> nn.Module:
    """The layer that stands for `module`. Raises UnsuitableError with the reason when there is none."""
    dims = len(module.stride)
    if set(module.stride) != {2}:
        raise UnsuitableError(f"stride {tuple(module.stride)}, not 2")
    if is_parametrized(module) or module._forward_pre_hooks or module._forward_hooks:
        raise UnsuitableError("it has a parametrization or a hook, which would be lost")
    if module.groups != 1:
        raise UnsuitableError(f"{module.groups} groups")
    if set(module.dilation) != {1}:
        raise UnsuitableError(f"dilation {tuple(module.dilation)}")
    try:
        layer = build(name, module.in_channels, module.out_channels, dims=dims, bias=module.bias is not None, **options)
    except ValueError as error:
        raise UnsuitableError(str(error)) from None
    extra = tuple(
        kernel - stride - 2 * padding + output
        for kernel, stride, padding, output in zip(
            module.kernel_size, module.stride, module.padding, module.output_padding, strict=True
        )
    )
    layer = layer.to(module.weight.device, module.weight.dtype).train(module.training)
    return layer if not any(extra) else Fitted(layer, extra)


class Fitted(nn.Module):
    """A layer whose output is made longer, with zeros, or shorter at the end of each dimension.

    extra: pixels to add to (factor * s), one a dimension; negative to cut.
    """

    def __init__(self, layer: UpsamplingLayer, extra: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.extra = layer, extra

    def forward(self, x: Tensor) -> Tensor:
        padding = [side for extra in reversed(self.extra) for side in (0, extra)]
        return nn.functional.pad(self.layer(x), padding)

    def extra_repr(self) -> str:
        return f"extra={self.extra}"


def describe(module: nn.Module) -> str:
    return torch.nn.Module.__repr__(module)

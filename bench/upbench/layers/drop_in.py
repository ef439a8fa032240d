"""Drop-in: replace the transposed convolutions of any network by another up-sampling layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from upbench.layers import build
from upbench.layers.base import UpsamplingLayer

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Replaced:
    """One replacement.

    Attributes:
        name: The dotted name of the place in the network.
        was: What was there, with its settings.
        now: What is there now, with its options.
    """

    name: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.name}: {self.was} -> {self.now}"


@dataclass(frozen=True)
class Left:
    """A transposed convolution that stays.

    Attributes:
        name: The dotted name of the place in the network.
        was: What is there, with its settings.
        reason: Why it stays.
    """

    name: str
    was: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.was} left: {self.reason}"


@dataclass(frozen=True)
class SwapReport:
    """What `swap` replaced and what it left.

    Attributes:
        replaced: The replacements, in the order of the network's modules.
        left: The transposed convolutions that stay, in the same order.
    """

    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        places = [*self.replaced, *self.left]
        return "\n".join(map(str, places))


def swap(network: nn.Module, name: str, **options: Any) -> SwapReport:
    """Replace every stride-2 transposed convolution in `network`, in place, by the layer `name`.

    A module used in several places stays one module. The shape of every output is kept: an output that is not exactly
    twice the input is cut, or filled with zeros, at its end, which is where the transposed convolution's own padding
    puts the difference. Device, dtype and training mode are kept; weights start anew. A transposed convolution with a
    parametrization or a hook, such as spectral normalisation, stays: the new layer would be without it. A network that
    calls a transposed convolution with `output_size` cannot call what stands in its place so.

    Args:
        network: Any network; its modules are replaced in place.
        name: A registered layer, see `upbench list`, or a layer of the user's own as "package.module:Class".
        **options: Options of the layer; dims, scale_factor and bias follow what is replaced.

    Returns:
        What was replaced by what, and what was left and why. Printed, it has one line for each place.

    Raises:
        UserError: The layer or an option is unknown.
        ValueError: `network` is itself a transposed convolution.
    """
    if isinstance(network, TRANSPOSED):
        raise ValueError("network is itself a transposed convolution: build the layer with upbench.layers.build")
    replaced: list[Replaced] = []
    left: list[Left] = []
    replacements: dict[nn.Module, nn.Module] = {}
    # listed before the first is replaced, as the network changes under the search
    for parent, child, path, module in list(find_transposed_convs(network)):
        was = describe(module)
        try:
            # a module used in several places is replaced by one module
            if module not in replacements:
                replacements[module] = build_replacement(module, name, options)
        except UnsuitableError as error:
            left.append(Left(path, was, str(error)))
            continue
        new = replacements[module]
        setattr(parent, child, new)
        replaced.append(Replaced(path, was, describe(new)))
    return SwapReport(tuple(replaced), tuple(left))


class UnsuitableError(Exception):
    """A transposed convolution that the layer cannot stand for; the message is the reason."""


def find_transposed_convs(network: nn.Module) -> Iterator[tuple[nn.Module, str, str, nn.Module]]:
    """Find each place that holds a transposed convolution: (parent, attribute, dotted name, module)."""
    for path, parent in network.named_modules():
        # named_children would leave out a module seen before
        for child, module in parent._modules.items():
            if isinstance(module, TRANSPOSED):
                name = f"{path}.{child}".removeprefix(".")
                yield parent, child, name, module


def build_replacement(module: Any, name: str, options: dict[str, Any]) -> nn.Module:
    """Build the layer that stands for a transposed convolution.

    Args:
        module: The transposed convolution.
        name: The layer's name.
        options: The layer's options.

    Returns:
        The layer, inside a `Fitted` where the output is not exactly twice the input.

    Raises:
        UnsuitableError: No layer of that name can stand for the module.
    """
    check_suitable(module)
    has_bias = module.bias is not None
    dims = len(module.stride)
    try:
        layer = build(
            name,
            module.in_channels,
            module.out_channels,
            dims=dims,
            bias=has_bias,
            **options,
        )
    except ValueError as error:
        raise UnsuitableError(str(error)) from None
    layer.to(module.weight.device, module.weight.dtype)
    layer.train(module.training)
    extra = count_extra_pixels(module)
    if any(extra):
        return Fitted(layer, extra)
    return layer


def check_suitable(module: Any) -> None:
    """Check that a layer of scale factor 2 can stand for a transposed convolution; raise UnsuitableError if not."""
    if set(module.stride) != {2}:
        raise UnsuitableError(f"stride {tuple(module.stride)}, not 2")
    if is_parametrized(module) or module._forward_pre_hooks or module._forward_hooks:
        raise UnsuitableError("it has a parametrization or a hook, which would be lost")
    if module.groups != 1:
        raise UnsuitableError(f"{module.groups} groups")
    if set(module.dilation) != {1}:
        raise UnsuitableError(f"dilation {tuple(module.dilation)}")


def count_extra_pixels(module: Any) -> tuple[int, ...]:
    """Count by how many pixels the output of a transposed convolution is longer than `stride` times its input."""
    extra = []
    for dim, stride in enumerate(module.stride):
        overlap = module.kernel_size[dim] - stride
        cut = 2 * module.padding[dim]
        added = module.output_padding[dim]
        extra.append(overlap - cut + added)
    return tuple(extra)


class Fitted(nn.Module):
    """A layer whose output is made longer, with zeros, or shorter at the end of each dimension.

    Args:
        layer: The layer.
        extra: Pixels to add to (scale_factor * s), one number a dimension; negative to cut.
    """

    def __init__(self, layer: UpsamplingLayer, extra: tuple[int, ...]) -> None:
        super().__init__()
        self.layer = layer
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """Up-sample (N, in, *S) to (N, out, *(scale_factor * s + e for s and e in S and extra))."""
        padding = []
        for extra in reversed(self.extra):  # F.pad counts dimensions from the last
            padding += [0, extra]
        return nn.functional.pad(self.layer(x), padding)

    def extra_repr(self) -> str:
        """Show by how many pixels the output is longer."""
        return f"extra={self.extra}"


def describe(module: nn.Module) -> str:
    """Describe a module in one line by its type and settings, without the modules inside it."""
    settings = module.extra_repr()
    if isinstance(module, Fitted):
        # the layer is what one asks for, so its options are shown too
        settings = f"{describe(module.layer)}, {settings}"
    return f"{type(module).__name__}({settings})"

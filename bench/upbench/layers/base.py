"""What all up-sampling layers share: their contract and initialisation by fan-in."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upbench.layers.phases import memory_format

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class UpsamplingLayer(nn.Module):
    """Enlarges feature maps by a whole factor, the same in each dimension.

    This class is the contract of a layer. A layer is a subclass that defines `upsample`, `reset_parameters` and
    `multiply_adds`, and takes `in_channels` and `out_channels` by position and all else by keyword. Its keyword-only
    parameters besides `dims` and `scale_factor` are its options: each has an annotation, a default, and an attribute of
    the same name, from which the layer's repr is made. A layer is linear unless its class says otherwise.

    Args:
        in_channels: Channels of the input, 1 or more.
        out_channels: Channels of the output, 1 or more.
        dims: Spatial dimensions of the input, one of `dims_supported`.
        scale_factor: Up-sampling factor in each dimension, 2 or more.
        bias: Whether to add a learned number to each output channel. It is the same number for all phases, so that it
            cannot draw a checkerboard.

    Attributes:
        dims_supported: The spatial dimensions in which the layer exists.
        even_kernels: Whether `kernel_size` may be even.
        in_multiple: The number of which `in_channels` must be a multiple.

    Raises:
        ValueError: There is less than one channel, `scale_factor` is below 2, or the layer does not support `dims`.
    """

    dims_supported: ClassVar[tuple[int, ...]] = (1, 2, 3)
    even_kernels: ClassVar[bool] = False
    in_multiple: ClassVar[int] = 1

    def __init__(self, in_channels: int, out_channels: int, *, dims: int, scale_factor: int, bias: bool) -> None:
        super().__init__()
        # torch itself would build a layer of no channels, with a warning
        if min(in_channels, out_channels) < 1:
            raise ValueError(f"channels must be at least 1, got {in_channels} in and {out_channels} out")
        if dims not in self.dims_supported:
            supported = " or ".join(map(str, self.dims_supported))
            raise ValueError(f"dims must be {supported} for {type(self).__name__}, got {dims}")
        if scale_factor < 2:
            raise ValueError(f"scale_factor must be at least 2, got {scale_factor}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.dims = dims
        self.scale_factor = scale_factor
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Up-sample `x` and add the bias.

        Args:
            x: Feature maps (N, in_channels, *S).

        Returns:
            Feature maps (N, out_channels, *(scale_factor * s for s in S)) in the memory format of `x`.

        Raises:
            ValueError: `x` has another number of dimensions or channels.
        """
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(self._refusal(x))
        y = self.upsample(x)
        layout = memory_format(x)
        # some of torch's operations forget the memory format
        if layout != torch.contiguous_format:
            y = y.contiguous(memory_format=layout)
        if self.bias is None:
            return y
        # autocast makes the output narrower than the bias; without the cast the sum would be wide again
        bias = self.bias.to(y.dtype)
        ones = [1] * self.dims
        return y + bias.view(-1, *ones)

    def _refusal(self, x: Tensor) -> str:
        """Say which shape the layer takes, for an input of another shape."""
        sides = "DHW"[-self.dims :]
        expected = ", ".join(["N", str(self.in_channels), *sides])
        return f"{type(self).__name__} takes ({expected}), got {tuple(x.shape)}"

    def reset_parameters(self) -> None:
        """Draw the weights anew from torch's default generator."""
        raise TypeError(f"{type(self).__name__} does not define reset_parameters")

    def upsample(self, x: Tensor) -> Tensor:
        """Up-sample (N, in_channels, *S) to (N, out_channels, *(scale_factor * s for s in S)), without the bias."""
        raise TypeError(f"{type(self).__name__} does not define upsample")

    def multiply_adds(self) -> int:
        """Count the multiply-adds for one input pixel, borders not subtracted: the formula behind the FLOP column."""
        raise TypeError(f"{type(self).__name__} does not define multiply_adds")

    def uncounted_multiply_adds(self) -> int:
        """Count the part of `multiply_adds` that torch.utils.flop_counter counts as nothing, such as interpolation."""
        return 0

    def extra_repr(self) -> str:
        """Show the channels, `dims`, `scale_factor`, and every option whose value differs from its default."""
        shown = [
            str(self.in_channels),
            str(self.out_channels),
            f"dims={self.dims}",
            f"scale_factor={self.scale_factor}",
        ]
        parameters = inspect.signature(type(self)).parameters
        for name, parameter in parameters.items():
            if parameter.kind is not parameter.KEYWORD_ONLY or name in ("dims", "scale_factor"):
                continue
            value = self._option_value(name, parameter.default)
            if value != parameter.default:
                shown.append(f"{name}={value!r}")
        return ", ".join(shown)

    def _option_value(self, name: str, default: Any) -> Any:
        """Read the value of an option from the attribute of its name, or return its default if there is none."""
        # a layer of the user's own may keep an option under another name: nothing can then be said of it
        attribute = getattr(self, name, default)
        # the name may be that of a method of every module, such as `compile`
        if inspect.ismethod(attribute):
            return default
        # bias=True becomes a parameter, and bias=False becomes None
        if isinstance(default, bool) and not isinstance(attribute, bool):
            return attribute is not None
        # what is made from an option is not its value
        if isinstance(attribute, Tensor | nn.Module):
            return default
        return attribute


def init_by_fan_in(weight: Tensor, fan_in: int) -> None:
    """Fill `weight`, in place, with normal numbers of mean square 1 / fan_in.

    White input of variance v then gives output of variance v: the gain is that of a linear layer.

    Args:
        weight: The weights of one phase, of any shape.
        fan_in: The number of inputs that one output pixel is a weighted sum of.

    Source:
        LeCun et al., Efficient BackProp (1998), section 4.6.
    """
    # a network that is only checked has no numbers to draw, and torch would import its compiler to draw none
    if weight.is_meta:
        return
    nn.init.normal_(weight)
    with torch.no_grad():
        # the mean square is made exact, and not only expected: phases with few taps would start a few per cent apart
        mean_square = weight.square().mean()
        weight *= mean_square.mul(fan_in).rsqrt()


def check_odd(kernel_size: int) -> None:
    """Check that a stride-1 convolution with this kernel has a centre.

    Args:
        kernel_size: The side of the kernel.

    Raises:
        ValueError: `kernel_size` is even or not positive.
    """
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd and positive, got {kernel_size}")

"""Convolutions of stride 1 after uneven padding, as autograd functions that keep no padded copy and add in place.

The padding of each dimension is given in two parts. `uneven` is what F.pad pads: two numbers a dimension, from the last
dimension on. `even` is the same on both sides and left to the convolution: one number a dimension, from the first on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import conv_flop_count, flop_registry, register_flop_formula

from upbench.layers.base import CONV
from upbench.layers.phases import memory_format

# oneDNN's convolution that adds to its output. torch.compile makes it of `y += conv(x)`; no public function does.
_SUM: Any = None
if torch.backends.mkldnn.is_available():
    _SUM = getattr(torch.ops.mkldnn, "_convolution_pointwise_", None)


def padded_conv(x: Tensor, weight: Tensor, uneven: list[int], even: list[int]) -> Tensor:
    """Convolve `x` after padding.

    Args:
        x: Feature maps (N, in, *S).
        weight: The kernel (out, in, *taps).
        uneven: The padding before and after, in the order of F.pad.
        even: The padding on both sides that comes on top, one number a dimension.

    Returns:
        conv(F.pad(x, uneven), weight, padding=even).
    """
    is_uneven = any(uneven)
    if is_uneven and not torch.compiler.is_compiling():
        # an autograd function does not cast by itself under autocast
        return _PaddedConv.apply(x, weight.to(x.dtype), uneven, even)
    conv = CONV[x.ndim - 2]
    if is_uneven:
        # the compiler does by itself what the autograd function is for, and cannot look into it
        return conv(F.pad(x, uneven), weight, padding=even)
    return conv(x, weight, padding=even)


def added_conv(y: Tensor, x: Tensor, weight: Tensor, uneven: list[int], even: list[int]) -> Tensor:
    """Add a `padded_conv` to `y`, written over `y` in the pass that computes it.

    Args:
        y: What is added to and overwritten, for which `adds_in_one_pass(y, x)` holds.
        x: Feature maps, as for `padded_conv`.
        weight: The kernel, as for `padded_conv`.
        uneven: Padding, as for `padded_conv`.
        even: Padding, as for `padded_conv`.

    Returns:
        `y` itself, which holds the sum.
    """
    return _AddedConv.apply(y, x, weight, uneven, even)


def adds_in_one_pass(y: Tensor, x: Tensor) -> bool:
    """Tell whether a convolution of `x` can be added to `y` while it is computed, and whether that pays.

    In contiguous memory it does not: oneDNN would reorder `y` to a format of its own and back.
    """
    if _SUM is None or torch.compiler.is_compiling():
        return False
    # oneDNN takes no empty tensor
    on_cpu = x.device.type == "cpu" and x.numel() > 0
    if not on_cpu or not torch.backends.mkldnn.enabled:
        return False
    channels_last = memory_format(x) == memory_format(y) != torch.contiguous_format
    return channels_last and x.dtype == y.dtype == torch.float32


class _PaddedConv(torch.autograd.Function):
    """A convolution after padding, which pads again in its backward: copies that are kept make a fifth of the peak."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, uneven: list[int], even: list[int]) -> Tensor:
        """Pad and convolve."""
        conv = CONV[x.ndim - 2]
        padded = F.pad(x, uneven)
        return conv(padded, weight, padding=even)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the input without its padding."""
        x, weight, ctx.uneven, ctx.even = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give the input and the weight their gradients."""
        x_grad, weight_grad = _backward(ctx, grad, ctx.needs_input_grad[:2])
        return x_grad, weight_grad, None, None


class _AddedConv(torch.autograd.Function):
    """A `_PaddedConv` that adds to its output. What is added has the gradient of the sum, so only forward differs."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, weight: Tensor, uneven: list[int], even: list[int]) -> Tensor:
        """Pad, convolve and add to `y`."""
        padded = F.pad(x, uneven)
        ones = [1] * len(even)
        stride, dilation, groups = ones, ones, 1
        # the sum is y + 1.0 * conv, with no bias and no activation after it
        _SUM.binary(
            y,
            padded,
            weight,
            None,
            even,
            stride,
            dilation,
            groups,
            "add",
            1.0,
            None,
            [],
            None,
        )
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the input without its padding, and say that `y` is overwritten."""
        y, x, weight, ctx.uneven, ctx.even = inputs
        ctx.mark_dirty(y)
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give `y`, the input and the weight their gradients."""
        x_grad, weight_grad = _backward(ctx, grad, ctx.needs_input_grad[1:3])
        return grad, x_grad, weight_grad, None, None


def _backward(ctx: Any, grad: Tensor, wanted: Sequence[bool]) -> tuple[Tensor | None, Tensor | None]:
    """Compute the gradients to the input and the weight of a convolution after padding, those that are wanted."""
    x, weight = ctx.saved_tensors
    padded = F.pad(x, ctx.uneven)
    ones = [1] * len(ctx.even)
    stride, dilation, output_padding = ones, ones, [0] * len(ones)
    mask = [*wanted, False]  # there is no bias
    transposed, groups = False, 1
    padded_grad, weight_grad, _ = torch.ops.aten.convolution_backward(
        grad,
        padded,
        weight,
        None,
        stride,
        ctx.even,
        dilation,
        transposed,
        output_padding,
        groups,
        mask,
    )
    if padded_grad is None:
        return None, weight_grad
    return _crop(padded_grad, ctx.uneven), weight_grad


def _crop(x: Tensor, widths: list[int]) -> Tensor:
    """Take away what F.pad(_, widths) padded.

    The result is a view, which autograd adds to the other gradients of a phase without a copy.
    """
    # F.pad counts dimensions from the last
    dims = range(x.ndim - 1, 1, -1)
    befores = widths[::2]
    afters = widths[1::2]
    for dim, before, after in zip(dims, befores, afters, strict=True):
        length = x.shape[dim] - before - after
        x = x.narrow(dim, before, length)
    return x


def _flops(y: list[int], x: list[int], weight: list[int], *_: Any, out_shape: list[int], **__: Any) -> int:
    """Count the FLOPs of the convolution in an `added_conv`, without the addition: torch's counter does not know it."""
    return conv_flop_count(x, weight, out_shape)


if _SUM is not None and _SUM not in flop_registry:
    register_flop_formula(_SUM)(_flops)

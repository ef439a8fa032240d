"""Convolutions of stride 1 after uneven padding, as autograd functions that keep no padded copy and add in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import conv_flop_count, flop_registry, register_flop_formula

from bench.layers.base import CONV
from bench.layers.phases import memory_format

# oneDNN's convolution that adds to its output. torch.compile makes it of `y += conv(x)`; no public function does.
_SUM: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise_", None) if torch.backends.mkldnn.is_available() else None


def padded_conv(x: Tensor, weight: Tensor, odd: list[int], even: list[int]) -> Tensor:
    """conv(F.pad(x, odd), weight, padding=even)."""
    if torch.compiler.is_compiling() or not any(odd):
        return CONV[x.ndim - 2](F.pad(x, odd) if any(odd) else x, weight, padding=even)
    return _PaddedConv.apply(x, weight.to(x.dtype), odd, even)


def added_conv(y: Tensor, x: Tensor, weight: Tensor, odd: list[int], even: list[int]) -> Tensor:
    """`y` plus a `padded_conv`, written over `y` in the pass that computes it; only if `adds_in_one_pass(y, x)`."""
    return _AddedConv.apply(y, x, weight, odd, even)


def adds_in_one_pass(y: Tensor, x: Tensor) -> bool:
    """Whether a convolution of `x` can be added to `y` while it is computed, and it pays.

    In contiguous memory it does not: oneDNN would reorder `y` to a format of its own and back.
    """
    if _SUM is None or torch.compiler.is_compiling():
        return False
    on_cpu = x.device.type == "cpu" and x.numel() > 0 and bool(torch.backends.mkldnn.enabled)
    channels_last = memory_format(x) == memory_format(y) != torch.contiguous_format
    return on_cpu and channels_last and x.dtype == y.dtype == torch.float32


class _PaddedConv(torch.autograd.Function):
    """It pads again in its backward: copies that are kept make a fifth of the peak."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, odd: list[int], even: list[int]) -> Tensor:
        return CONV[x.ndim - 2](F.pad(x, odd), weight, padding=even)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, ctx.odd, ctx.even = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return *_backward(ctx, grad, ctx.needs_input_grad[:2]), None, None


class _AddedConv(torch.autograd.Function):
    """A `_PaddedConv` that adds to its output. What is added has the gradient of the sum, so only forward differs."""

    @staticmethod
    def forward(y: Tensor, x: Tensor, weight: Tensor, odd: list[int], even: list[int]) -> Tensor:
        ones = [1] * len(even)
        _SUM.binary(y, F.pad(x, odd), weight, None, even, ones, ones, 1, "add", 1.0, None, [], None)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        y, x, weight, ctx.odd, ctx.even = inputs
        ctx.mark_dirty(y)
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad, *_backward(ctx, grad, ctx.needs_input_grad[1:3]), None, None


def _backward(ctx: Any, grad: Tensor, wanted: Sequence[bool]) -> tuple[Tensor | None, Tensor | None]:
    """The gradients to the input and the weight of a convolution after padding."""
    x, weight = ctx.saved_tensors
    ones = [1] * len(ctx.even)
    padded, weight_grad, _ = torch.ops.aten.convolution_backward(
        grad, F.pad(x, ctx.odd), weight, None, ones, ctx.even, ones, False, [0] * len(ones), 1, [*wanted, False]
    )
    return None if padded is None else _crop(padded, ctx.odd), weight_grad


def _crop(x: Tensor, widths: list[int]) -> Tensor:
    """What F.pad(_, widths) padded: a view, which autograd adds to the other gradients of a phase without a copy."""
    for dim, before, after in zip(range(x.ndim - 1, 1, -1), widths[::2], widths[1::2], strict=True):
        x = x.narrow(dim, before, x.shape[dim] - before - after)
    return x


def _flops(y: list[int], x: list[int], weight: list[int], *_: Any, out_shape: list[int], **__: Any) -> int:
    """Those of the convolution alone, as for an addition apart; torch's counter does not know this one."""
    return conv_flop_count(x, weight, out_shape)


if _SUM is not None and _SUM not in flop_registry:
    register_flop_formula(_SUM)(_flops)

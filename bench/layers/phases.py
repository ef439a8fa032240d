"""Periodic shuffling: phases interleaved into the output, and taken out of it again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Phase = tuple[int, ...]  # offset of an interleaved sub-grid in the output, one number a dimension


def phases(dims: int, factor: int) -> list[Phase]:
    """All factor**dims phases in row-major order, the order `interleave` wants them in."""
    return list(itertools.product(range(factor), repeat=dims))


def interleave(terms: Sequence[Sequence[Tensor]], factor: int) -> Tensor:
    """Periodic shuffling: for each phase in row-major order, the tensors (N, C, *S) whose sum it is.

    Returns (N, C, *(factor * s for s in S)) in the memory format of the first tensor.
    Source: Shi et al., arXiv 1609.05158, section 2.2, eq. 4, in any number of dimensions.
    """
    if torch.compiler.is_compiling():
        return shuffle(torch.stack([sum(parts[1:], parts[0]) for parts in terms], 2), factor)
    return _Interleave.apply(factor, tuple(map(len, terms)), *itertools.chain(*terms))


def shuffle(y: Tensor, factor: int) -> Tensor:
    """Periodic shuffling as plain tensor operations: (N, C, factor**d, *S) -> (N, C, *(factor * s for s in S))."""
    channels, size = y.shape[1], y.shape[3:]
    dims = len(size)
    if dims == 2 and y.shape[0] != 0:  # pixel_shuffle has no backward for an empty batch
        return F.pixel_shuffle(y.flatten(1, 2), factor)
    y = y.unflatten(2, [factor] * dims)
    order = [axis for d in range(dims) for axis in (2 + dims + d, 2 + d)]
    return y.permute(0, 1, *order).reshape(y.shape[0], channels, *(factor * s for s in size))


def memory_format(x: Tensor) -> torch.memory_format:
    """The channels-last format if the channels of `x` lie next to each other, as in a slice of them; or contiguous."""
    if x.shape[1] > 1 and x.stride(1) == 1 and not x.is_contiguous():
        return {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim, torch.contiguous_format)
    return torch.contiguous_format


def place(phase: Phase, factor: int) -> Any:
    """The index that picks `phase` out of an output."""
    return (..., *(slice(p, None, factor) for p in phase))


def views(y: Tensor, factor: int) -> list[Tensor]:
    """The phases of `y` as strided views, in row-major order."""
    return [y[place(phase, factor)] for phase in phases(y.ndim - 2, factor)]


def dilate(x: Tensor, phase: Phase, factor: int) -> Tensor:
    """`x` at the places of `phase` in a map of zeros: (N, C, *S) -> (N, C, *(factor * s for s in S))."""
    size = (*x.shape[:2], *(factor * side for side in x.shape[2:]))
    y = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=memory_format(x)).zero_()
    y[place(phase, factor)] = x
    return y


class _Interleave(torch.autograd.Function):
    """Writes each phase once, straight into its place; the autograd of slice assignment would copy whole outputs."""

    @staticmethod
    def forward(factor: int, counts: tuple[int, ...], *terms: Tensor) -> Tensor:
        first, left = terms[0], iter(terms)
        size = (*first.shape[:2], *(factor * side for side in first.shape[2:]))
        y = torch.empty(size, dtype=first.dtype, device=first.device, memory_format=memory_format(first))
        parts = [list(itertools.islice(left, count)) for count in counts]
        if factor == 2 and y.is_contiguous() and y.dtype in (torch.float32, torch.float64):
            _write_pairs(y, parts)
        else:
            for view, added in zip(views(y, factor), parts, strict=True):
                _write(view, added)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.factor, ctx.counts, first, *_ = inputs
        ctx.format = memory_format(first)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        parts = _Deinterleave.apply(grad, ctx.factor, ctx.format)
        return None, None, *(part for part, count in zip(parts, ctx.counts, strict=True) for _ in range(count))


class _Deinterleave(torch.autograd.Function):
    """The transpose of interleaving; a function of its own so that gradients of gradients exist."""

    @staticmethod
    def forward(y: Tensor, factor: int, format_: torch.memory_format) -> tuple[Tensor, ...]:
        return tuple(view.clone(memory_format=format_) for view in views(y, factor))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return interleave([[grad] for grad in grads], ctx.factor), None, None


def _write(view: Tensor, terms: list[Tensor]) -> None:
    """Write the sum of `terms` into `view`."""
    if len(terms) == 1:
        view.copy_(terms[0])
    else:
        torch.add(*terms[:2], out=view)
        for term in terms[2:]:
            view.add_(term)


def _write_pairs(y: Tensor, parts: list[list[Tensor]]) -> None:
    """Write the sums of `parts`, one a phase, into the contiguous output `y` of factor 2.

    Two phases that alternate along the last dimension are the real and imaginary parts of complex numbers: written
    together, each cache line of the output is touched once and not twice.
    """
    numbers = torch.view_as_complex(y.unflatten(-1, (-1, 2)))
    rows = [numbers[(*place(row, 2), slice(None))] for row in phases(y.ndim - 3, 2)]
    for row, real, imaginary in zip(rows, parts[::2], parts[1::2], strict=True):
        torch.complex(sum(real[1:], real[0]), sum(imaginary[1:], imaginary[0]), out=row)

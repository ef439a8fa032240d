"""Periodic shuffling: phases interleaved into the output, and taken out of it again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx

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
    """The channels-last format of `x`, if it has that one only, else the contiguous format."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    if last and x.is_contiguous(memory_format=last) and not x.is_contiguous():
        return last
    return torch.contiguous_format


def views(y: Tensor, factor: int) -> list[Tensor]:
    """The phases of `y` as strided views, in row-major order."""
    return [y[(..., *(slice(p, None, factor) for p in phase))] for phase in phases(y.ndim - 2, factor)]


class _Interleave(torch.autograd.Function):
    """Writes each phase once, straight into its place; the autograd of slice assignment would copy whole outputs."""

    @staticmethod
    def forward(ctx: FunctionCtx, factor: int, counts: tuple[int, ...], *terms: Tensor) -> Tensor:
        first = terms[0]
        ctx.factor, ctx.counts, ctx.format = factor, counts, memory_format(first)  # type: ignore[attr-defined]
        size = (*first.shape[:2], *(factor * side for side in first.shape[2:]))
        y = torch.empty(size, dtype=first.dtype, device=first.device, memory_format=ctx.format)  # type: ignore[attr-defined]
        left = iter(terms)
        for view, count in zip(views(y, factor), counts, strict=True):
            if count == 1:
                view.copy_(next(left))
            else:
                torch.add(next(left), next(left), out=view)
                for _ in range(count - 2):
                    view.add_(next(left))
        return y

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        parts = _Deinterleave.apply(grad, ctx.factor, ctx.format)  # type: ignore[attr-defined]
        repeated = (itertools.repeat(part, count) for part, count in zip(parts, ctx.counts, strict=True))  # type: ignore[attr-defined]
        return None, None, *itertools.chain(*repeated)


class _Deinterleave(torch.autograd.Function):
    """The transpose of interleaving; a function of its own so that gradients of gradients exist."""

    @staticmethod
    def forward(ctx: FunctionCtx, y: Tensor, factor: int, format_: torch.memory_format) -> tuple[Tensor, ...]:
        ctx.factor = factor  # type: ignore[attr-defined]
        return tuple(view.clone(memory_format=format_) for view in views(y, factor))

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return interleave([[grad] for grad in grads], ctx.factor), None, None  # type: ignore[attr-defined]

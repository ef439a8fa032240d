"""Periodic shuffling: phases interleaved into the output, and taken out of it again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Phase = tuple[int, ...]  # offset of an interleaved sub-grid in the output, one number a dimension

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the number of a tensor's dimensions


def phases(dims: int, scale_factor: int) -> list[Phase]:
    """List all scale_factor**dims phases in row-major order.

    Args:
        dims: Spatial dimensions of the output.
        scale_factor: Up-sampling factor in each dimension.

    Returns:
        The phases in the order in which `interleave` takes them, the last dimension fastest.
    """
    return list(itertools.product(range(scale_factor), repeat=dims))


def interleave(terms: Sequence[Sequence[Tensor]], scale_factor: int) -> Tensor:
    """Put phases together to an output: periodic shuffling.

    Args:
        terms: For each phase, in row-major order, the tensors (N, C, *S) whose sum the phase is.
        scale_factor: Up-sampling factor in each dimension.

    Returns:
        The output (N, C, *(scale_factor * s for s in S)) in the memory format of the first tensor.

    Source:
        Shi et al., arXiv 1609.05158, section 2.2, eq. 4, in any number of dimensions.
    """
    if torch.compiler.is_compiling():
        # the compiler makes one kernel of plain operations; it cannot look into an autograd function
        sums = [_add_up(parts) for parts in terms]
        side_by_side = torch.stack(sums, 2)
        return shuffle(side_by_side, scale_factor)
    counts = tuple(map(len, terms))
    return _Interleave.apply(scale_factor, counts, *itertools.chain(*terms))


def shuffle(y: Tensor, scale_factor: int) -> Tensor:
    """Put phases together to an output by plain tensor operations.

    Args:
        y: The phases side by side (N, C, scale_factor**d, *S), where S has d sides.
        scale_factor: Up-sampling factor in each dimension.

    Returns:
        The output (N, C, *(scale_factor * s for s in S)).
    """
    batch, channels = y.shape[:2]
    size = y.shape[3:]
    dims = len(size)
    if dims == 2 and batch != 0:  # pixel_shuffle has no backward for an empty batch
        return F.pixel_shuffle(y.flatten(1, 2), scale_factor)
    y = y.unflatten(2, [scale_factor] * dims)
    # each side of the input is followed by the offsets of the phases along it, which run faster
    order = [0, 1]
    for dim in range(dims):
        side = 2 + dims + dim
        offset = 2 + dim
        order += [side, offset]
    large = [scale_factor * side for side in size]
    return y.permute(order).reshape(batch, channels, *large)


def memory_format(x: Tensor) -> torch.memory_format:
    """Tell in which memory format a tensor lies.

    Args:
        x: A tensor (N, C, *S), perhaps a slice of another's channels.

    Returns:
        The channels-last format if the channels of a pixel lie next to each other, the contiguous format otherwise.
    """
    # not x.is_contiguous(memory_format=...), which a slice of channels is not
    if x.shape[1] > 1 and x.stride(1) == 1 and not x.is_contiguous():
        return CHANNELS_LAST.get(x.ndim, torch.contiguous_format)
    return torch.contiguous_format


def place(phase: Phase, scale_factor: int) -> Any:
    """Make the index with which a phase is picked out of an output (..., *S)."""
    return (..., *(slice(offset, None, scale_factor) for offset in phase))


def views(y: Tensor, scale_factor: int) -> list[Tensor]:
    """Take the phases out of an output (N, C, *S) as strided views, in row-major order."""
    return [y[place(phase, scale_factor)] for phase in phases(y.ndim - 2, scale_factor)]


def dilate(x: Tensor, phase: Phase, scale_factor: int) -> Tensor:
    """Put a phase (N, C, *S) at its places in a map of zeros (N, C, *(scale_factor * s for s in S))."""
    y = _empty_output(x, scale_factor).zero_()
    y[place(phase, scale_factor)] = x
    return y


def _empty_output(x: Tensor, scale_factor: int) -> Tensor:
    """Make an output, not yet filled, for a phase `x` (N, C, *S), in the memory format of `x`."""
    large = [scale_factor * side for side in x.shape[2:]]
    return torch.empty(
        (*x.shape[:2], *large),
        dtype=x.dtype,
        device=x.device,
        memory_format=memory_format(x),
    )


class _Interleave(torch.autograd.Function):
    """Writes each phase once, straight into its place; the autograd of slice assignment would copy whole outputs."""

    @staticmethod
    def forward(scale_factor: int, counts: tuple[int, ...], *terms: Tensor) -> Tensor:
        """Interleave `terms`, of which the first counts[0] make the first phase, the next counts[1] the second, ..."""
        # an autograd function takes tensors as arguments of its own, not in lists
        remaining = iter(terms)
        parts = [list(itertools.islice(remaining, count)) for count in counts]
        y = _empty_output(terms[0], scale_factor)
        # there are no complex numbers of bf16, and those of half precision are experimental in torch
        has_complex = y.dtype in (torch.float32, torch.float64)
        if scale_factor == 2 and y.is_contiguous() and has_complex:
            _write_pairs(y, parts)
        else:
            for view, added in zip(views(y, scale_factor), parts, strict=True):
                _write(view, added)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Remember what `backward` needs: no tensor is kept."""
        ctx.scale_factor, ctx.counts, first, *_ = inputs
        ctx.format = memory_format(first)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Give each term the gradient of its phase: all terms of a phase share one tensor."""
        parts = _Deinterleave.apply(grad, ctx.scale_factor, ctx.format)
        gradients: list[Tensor] = []
        for part, count in zip(parts, ctx.counts, strict=True):
            gradients += [part] * count
        return None, None, *gradients


class _Deinterleave(torch.autograd.Function):
    """The transpose of interleaving; a function of its own so that gradients of gradients exist."""

    @staticmethod
    def forward(y: Tensor, scale_factor: int, format_: torch.memory_format) -> tuple[Tensor, ...]:
        """Copy each phase out of `y`."""
        return tuple(view.clone(memory_format=format_) for view in views(y, scale_factor))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Remember what `backward` needs: no tensor is kept."""
        ctx.scale_factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """Interleave the gradients of the phases."""
        terms = [[grad] for grad in grads]
        return interleave(terms, ctx.scale_factor), None, None


def _write(view: Tensor, terms: list[Tensor]) -> None:
    """Write the sum of `terms` into `view`, without a tensor for the sum."""
    if len(terms) == 1:
        view.copy_(terms[0])
        return
    torch.add(*terms[:2], out=view)
    for term in terms[2:]:
        view.add_(term)


def _write_pairs(y: Tensor, parts: list[list[Tensor]]) -> None:
    """Write the sums of `parts`, one for each phase, into the contiguous output `y` of scale factor 2.

    Two phases that alternate along the last dimension are the real and imaginary parts of complex numbers: written
    together, each cache line of the output is touched once and not twice.
    """
    pairs = y.unflatten(-1, (-1, 2))
    numbers = torch.view_as_complex(pairs)
    # the phases of all dimensions but the last, which is that of the pairs
    outer_phases = phases(y.ndim - 3, 2)
    reals = parts[::2]
    imaginaries = parts[1::2]
    for phase, real, imaginary in zip(outer_phases, reals, imaginaries, strict=True):
        where = place(phase, 2)
        rows = numbers[(*where, slice(None))]
        torch.complex(_add_up(real), _add_up(imaginary), out=rows)


def _add_up(terms: Sequence[Tensor]) -> Tensor:
    """Add `terms` up from the first to the last."""
    return sum(terms[1:], terms[0])

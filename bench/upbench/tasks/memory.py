"""Peak memory as the allocator sees it: the same number each time, unlike the size of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def measure_peak(step: Callable[[], object], device: str) -> int:
    """Measure the memory that a step takes at its highest moment.

    Args:
        step: what is measured; it is run once before, to warm up. On the CPU it must free nothing that was allocated
            before it: the profiler books such a block by its address, with whatever size it last saw there, and the
            peak would vary.
        device: "cpu" or "cuda".

    Returns:
        The bytes held then beyond what was held before the step.
    """
    # workspaces that are allocated once are no part of the peak
    step()
    if device == "cuda":
        return _measure_cuda_peak(step)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    # the public tables add allocations up by operator; only the raw events say in which order they came and went
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    held = 0
    peak = 0
    for event in events:
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def _measure_cuda_peak(step: Callable[[], object]) -> int:
    """The same on a GPU, whose allocator keeps the account itself."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    step()
    return torch.cuda.max_memory_allocated() - before


def count_bytes_moved(step: Callable[[], object]) -> int:
    """Count the bytes that the operators of a step read and write, if each tensor crosses the bus once an operator.

    Views move nothing. The count is a lower bound on the traffic where an operator passes over its data more than
    once, an upper one where they stay in cache.
    """
    with _Traffic() as traffic:
        step()
    return traffic.bytes


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of what each operator is given and returns."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func.is_view or "empty" in func.name():
            return result
        # by identity: an operator that works in place also returns what it was given
        tensors = {}
        for leaf in tree_leaves((args, kwargs, result)):
            if isinstance(leaf, torch.Tensor):
                tensors[id(leaf)] = leaf
        for tensor in tensors.values():
            self.bytes += tensor.numel() * tensor.element_size()
        return result

"""Peak memory as the allocator sees it: the same number each time, unlike the size of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def allocator_peak(step: Callable[[], object], device: str) -> int:
    """Bytes that `step` holds at its highest moment beyond what was held before it; `step` is run once to warm up.

    On the CPU `step` must free nothing that was allocated before it: the profiler books such a block by its address,
    with whatever size it last saw there, and the peak would vary.
    """
    step()
    if device == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    # the public tables add allocations up by operator; only the raw events say in which order they came and went
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def bytes_moved(step: Callable[[], object]) -> int:
    """Bytes that the operators of `step` read and write, if each tensor crosses the memory bus once an operator.

    Views move nothing. A lower bound on the traffic where an operator passes over its data more than once, an upper
    one where they stay in cache.
    """
    with _Traffic() as traffic:
        step()
    return traffic.bytes


class _Traffic(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in func.name():
            # by identity: an operator that works in place also returns what it was given
            tensors = {id(leaf): leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)}
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        return result

"""Peak memory as the allocator sees it: the same number each time, unlike the size of the process."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


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

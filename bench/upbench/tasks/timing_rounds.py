"""The pytest file that `timing.time_interleaved` runs: one benchmark for each step of each block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upbench.tasks.timing import Plan


def test_rounds(benchmark: Any, plan: Plan, block: int, subject: str) -> None:
    """Time the rounds of one step in one block."""
    step = plan.steps[subject]
    benchmark.pedantic(step, rounds=plan.rounds[subject], iterations=1, warmup_rounds=1)
    plan.samples[subject][block] = list(benchmark.stats.stats.data)

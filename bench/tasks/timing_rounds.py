"""The pytest file that `timing.time_interleaved` runs: one benchmark for each step of each block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.tasks.timing import Plan


def test_rounds(benchmark: Any, plan: Plan, block: int, subject: str) -> None:
    benchmark.pedantic(plan.steps[subject], rounds=plan.rounds[subject], iterations=1, warmup_rounds=1)
    plan.samples[subject][block] = list(benchmark.stats.stats.data)

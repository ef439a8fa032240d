"""Times steps in turn, by pytest-benchmark, inside this process."""

from __future__ import annotations

import contextlib
import io
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

WARM_UP = 3
ROUNDS_FILE = Path(__file__).with_name("timing_rounds.py")


class Plan:
    """The pytest plugin that tells `timing_rounds.py` what to time, and collects the seconds of every round."""

    def __init__(
        self, steps: Mapping[str, Callable[[], object]], rounds: Mapping[str, int], order: list[tuple[int, str]]
    ) -> None:
        self.steps, self.rounds, self.order = steps, rounds, order
        blocks = 1 + max(block for block, _ in order)
        self.samples: dict[str, list[list[float]]] = {subject: [[] for _ in range(blocks)] for subject in steps}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.parametrize(("block", "subject"), self.order)

    @pytest.fixture
    def plan(self) -> Plan:
        return self


def time_interleaved(
    steps: Mapping[str, Callable[[], object]], blocks: int, seconds: float, rng: random.Random
) -> dict[str, list[list[float]]]:
    """Seconds of each round of each step: {name: [[round, ...] for each block]}.

    Within a block each step has its rounds in a row; the order of the steps is drawn anew for each block. All blocks
    together take about `seconds`, but every block has at least one round of each step.
    """
    share = seconds / (blocks * len(steps))
    rounds = {}
    for subject, step in steps.items():
        durations = [_seconds(step) for _ in range(WARM_UP)]
        rounds[subject] = max(1, round(share / min(durations)))
    order = [(block, subject) for block in range(blocks) for subject in rng.sample(list(steps), len(steps))]
    plan = Plan(steps, rounds, order)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        # this file alone: neither the conftest of `pytest bench/` nor a configuration that lies about
        arguments = ["--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(ROUNDS_FILE.parent)]
        status = pytest.main(
            ["-q", "--capture=no", *arguments, "--benchmark-disable-gc", str(ROUNDS_FILE)], plugins=[plan]
        )
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"timing ended with pytest status {status!r}:\n{output.getvalue()}")
    return plan.samples


def _seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start

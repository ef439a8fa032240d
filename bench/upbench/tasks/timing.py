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

WARM_UP = 3  # calls, which also say how many rounds fit into a block
ROUNDS_FILE = Path(__file__).with_name("timing_rounds.py")

Steps = Mapping[str, Callable[[], object]]
Samples = dict[str, list[list[float]]]


class Plan:
    """The pytest plugin that tells `timing_rounds.py` what to time, and collects the seconds of every round.

    Attributes:
        steps: what is timed, by name.
        rounds: how many rounds a block has of each step.
        order: (block, name of a step), in the order in which they are timed.
        samples: the seconds of each round: one list a block, by the name of the step.
    """

    def __init__(self, steps: Steps, rounds: Mapping[str, int], order: list[tuple[int, str]]) -> None:
        self.steps = steps
        self.rounds = rounds
        self.order = order
        blocks = 1 + max(block for block, _ in order)
        self.samples: Samples = {}
        for subject in steps:
            self.samples[subject] = [[] for _ in range(blocks)]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make one benchmark for each step of each block."""
        metafunc.parametrize(("block", "subject"), self.order)

    @pytest.fixture
    def plan(self) -> Plan:
        """What `timing_rounds.py` asks for."""
        return self


def time_interleaved(steps: Steps, blocks: int, seconds: float, rng: random.Random) -> Samples:
    """Time steps in turn.

    Within a block each step has its rounds in a row; the order of the steps is drawn anew for each block.

    Args:
        steps: what is timed, by name.
        blocks: number of blocks.
        seconds: about how long all blocks together take; every block has at least one round of each step.
        rng: draws the order of the steps.

    Returns:
        The seconds of each round of each step: {name: [[round, ...] for each block]}.

    Raises:
        RuntimeError: if a step fails.
    """
    share = seconds / (blocks * len(steps))
    rounds = {}
    for subject, step in steps.items():
        durations = [_time_once(step) for _ in range(WARM_UP)]
        # by the fastest: the first calls also load and compile
        fitting = round(share / min(durations))
        rounds[subject] = max(1, fitting)
    # at random: what the machine does meanwhile then favours no step
    order: list[tuple[int, str]] = []
    for block in range(blocks):
        drawn = rng.sample(list(steps), len(steps))
        order += [(block, subject) for subject in drawn]
    plan = Plan(steps, rounds, order)
    _run_pytest(plan)
    return plan.samples


def _run_pytest(plan: Plan) -> None:
    """Run the benchmarks of the plan, silently. Raises RuntimeError, with what they printed, if one fails."""
    arguments = [
        # this file alone: neither the conftest of `pytest bench/` nor a configuration that lies about
        *["--noconftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(ROUNDS_FILE.parent)],
        # a collection of garbage would count for the step in which it falls
        *["-q", "--capture=no", "--benchmark-disable-gc", str(ROUNDS_FILE)],
    ]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = pytest.main(arguments, plugins=[plan])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"timing ended with pytest status {status!r}:\n{output.getvalue()}")


def _time_once(step: Callable[[], object]) -> float:
    """The seconds that a step takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start

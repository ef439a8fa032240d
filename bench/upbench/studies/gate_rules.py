"""The gate's rule, and the rules of two other suites, as decisions on the same recorded processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from upbench.errors import UserError
from upbench.gate import PAIRS
from upbench.gate.decide import Rule, decide, weigh
from upbench.gate.recording import ANCHOR, Recording
from upbench.gate.verdict import Verdict

Key = tuple[str, str]  # cell id and mode
Draw = Callable[[int], tuple[list[Recording], list[Recording]]]  # so many pairs, base and head, none drawn twice
Decision = Callable[[Draw], set[Key]]  # what a whole comparison calls slower

POOLED = 10  # processes of each side for the rules that pool their rounds


def make_rules() -> dict[str, Decision]:
    """Make every rule of the table, by name. Raises UserError where another suite is not installed."""
    return {
        f"upbench regress, {PAIRS} pairs": make_gate_rule(PAIRS),
        f"upbench regress, {POOLED} pairs": make_gate_rule(POOLED),
        f"pytest-benchmark compare, min:5%, {POOLED} processes pooled": make_pytest_benchmark_rule("min", 5, POOLED),
        f"pytest-benchmark compare, median:5%, {POOLED} processes pooled": make_pytest_benchmark_rule(
            "median", 5, POOLED
        ),
        "pytest-benchmark compare, median:10%, 1 process": make_pytest_benchmark_rule("median", 10, 1),
        f"asv continuous, factor 1.1, {POOLED} processes pooled": make_asv_rule(1.1, POOLED),
        "asv continuous, factor 1.1, 2 processes (its default)": make_asv_rule(1.1, 2),
    }


def make_gate_rule(pairs: int) -> Decision:
    """Make the rule of `upbench regress`.

    It takes ratios to the anchor, one figure a process. What it flags has to be flagged again by as many new processes.
    """

    def decide_by_gate(draw: Draw) -> set[Key]:
        """Measure, and measure once more what was flagged."""
        base, head = draw(pairs)
        flagged = find_regressed(base, head, None)
        if not flagged:
            return flagged
        flagged_cells = {cell for cell, _ in flagged}
        base, head = draw(pairs)
        return flagged & find_regressed(base, head, flagged_cells)

    return decide_by_gate


def find_regressed(base: Sequence[Recording], head: Sequence[Recording], cells: Collection[str] | None) -> set[Key]:
    """Find the times that one measurement of the gate calls regressed.

    Args:
        base: the recorded processes of base.
        head: the recorded processes of head.
        cells: the ids of the cells that are measured; None for all.

    Returns:
        Those times, as (cell id, mode).
    """
    rule = Rule()
    base_ratios = [recording.ratios() for recording in base]
    head_ratios = [recording.ratios() for recording in head]
    keys_by_name = {}
    evidence = {}
    for key in base_ratios[0]:
        if cells is not None and key[0] not in cells:
            continue
        before = [ratios[key] for ratios in base_ratios]
        after = [ratios[key] for ratios in head_ratios]
        name = str(key)
        keys_by_name[name] = key
        evidence[name] = weigh(before, after, rule)
    regressed = set()
    # the decision is over all times together, as its correction is
    for name, verdict in decide(evidence, rule).items():
        if verdict is Verdict.REGRESSED:
            regressed.add(keys_by_name[name])
    return regressed


def make_pytest_benchmark_rule(field: str, percent: float, processes: int) -> Decision:
    """Make the rule of `--benchmark-compare-fail=FIELD:PERCENT%` on the seconds of so many processes.

    The statistics and the check are pytest-benchmark's own.
    """
    from pytest_benchmark.stats import Stats
    from pytest_benchmark.utils import PercentageRegressionCheck

    check = PercentageRegressionCheck(field, percent)

    def summarise(seconds: Sequence[float]) -> dict[str, float]:
        """Compute the one statistic that the check compares."""
        statistics = Stats()
        for value in seconds:
            statistics.update(value)
        return {field: getattr(statistics, field)}

    def decide_by_pytest_benchmark(draw: Draw) -> set[Key]:
        """Pool the rounds of each side, and compare one statistic of them."""
        base, head = draw(processes)
        base_seconds = pool_seconds(base)
        head_seconds = pool_seconds(head)
        slower = set()
        for key, before in base_seconds.items():
            after = head_seconds[key]
            if check.fails(summarise(after), summarise(before)):
                slower.add(key)
        return slower

    return decide_by_pytest_benchmark


def make_asv_rule(factor: float, processes: int) -> Decision:
    """Make the rule of `asv continuous --factor FACTOR` on the seconds of so many processes.

    The statistics and the comparison are asv's own. Raises UserError where asv is not installed.
    """
    try:
        from asv.commands.compare import _is_result_better
        from asv_runner.statistics import compute_stats
    except ImportError:
        raise UserError("asv is not installed; `pip install asv` to compare the gate with its rule") from None

    def decide_by_asv(draw: Draw) -> set[Key]:
        """Pool the rounds of each side, and compare their medians and intervals."""
        base, head = draw(processes)
        base_seconds = pool_seconds(base)
        head_seconds = pool_seconds(head)
        slower = set()
        for key, before in base_seconds.items():
            after = head_seconds[key]
            # a sample is one call
            base_value, base_stats = compute_stats(before, 1)
            head_value, head_stats = compute_stats(after, 1)
            # head is slower where base is the better one
            if _is_result_better(base_value, head_value, (base_stats, before), (head_stats, after), factor):
                slower.add(key)
        return slower

    return decide_by_asv


def pool_seconds(recordings: Sequence[Recording]) -> dict[Key, list[float]]:
    """Put the rounds of all blocks and processes together, by (cell id, mode), the anchor left out."""
    pooled: dict[Key, list[float]] = {}
    for key in recordings[0].seconds:
        if key[0] == ANCHOR:
            continue
        pooled[key] = []
        for recording in recordings:
            for rounds in recording.seconds[key].values():
                pooled[key] += rounds
    return pooled

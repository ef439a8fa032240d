"""False alarms and findings of the gate, and of two other rules on the same recorded processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy import stats

from bench.errors import UserError
from bench.gate import PAIRS
from bench.gate.decide import Rule, decide, weigh
from bench.gate.recording import ANCHOR, Recording
from bench.gate.study import LAYER, SAME, SLOWER, Pair, pool
from bench.run.store import write_atomically

Key = tuple[str, str]  # cell id and mode
Draw = Callable[[int], tuple[list[Recording], list[Recording]]]  # so many pairs, none drawn twice
Decision = Callable[[Draw], set[Key]]  # what a whole comparison calls slower

POOLED = 10  # processes of each side for the rules that pool their rounds


def gate_rule(pairs: int) -> Decision:
    """Ours: ratios to the anchor, one figure a process; what is flagged must be flagged again by as many new ones."""

    def decision(draw: Draw) -> set[Key]:
        flagged = _flagged(*draw(pairs), None)
        return _flagged(*draw(pairs), {cell for cell, _ in flagged}) & flagged if flagged else flagged

    return decision


def _flagged(base: Sequence[Recording], head: Sequence[Recording], cells: Collection[str] | None) -> set[Key]:
    before, after = ([recording.ratios() for recording in side] for side in (base, head))
    keys = {str(key): key for key in before[0] if cells is None or key[0] in cells}
    evidence = {
        name: weigh([each[key] for each in before], [each[key] for each in after], Rule()) for name, key in keys.items()
    }
    return {keys[name] for name, verdict in decide(evidence, Rule()).items() if verdict == "regressed"}


def pytest_benchmark_rule(field: str, percent: float, processes: int) -> Decision:
    """`--benchmark-compare-fail=FIELD:PERCENT%` on the seconds of so many processes, by its own check."""
    from pytest_benchmark.stats import Stats
    from pytest_benchmark.utils import PercentageRegressionCheck

    check = PercentageRegressionCheck(field, percent)

    def summary(values: Sequence[float]) -> dict[str, float]:
        summarised = Stats()
        for value in values:
            summarised.update(value)
        return {field: getattr(summarised, field)}

    def decision(draw: Draw) -> set[Key]:
        base, head = (_pooled(side) for side in draw(processes))
        return {key for key in base if check.fails(summary(head[key]), summary(base[key]))}

    return decision


def asv_rule(factor: float, processes: int) -> Decision:
    """`asv continuous --factor FACTOR` on seconds, by asv's own functions. Raises UserError without asv."""
    try:
        from asv.commands.compare import _is_result_better
        from asv_runner.statistics import compute_stats
    except ImportError:
        raise UserError("asv is not installed; `pip install asv` to compare the gate with its rule") from None

    def decision(draw: Draw) -> set[Key]:
        base, head = (_pooled(side) for side in draw(processes))
        slower = set()
        for key in base:
            (before, its_stats), (after, our_stats) = (compute_stats(side[key], 1) for side in (base, head))
            if _is_result_better(before, after, (its_stats, base[key]), (our_stats, head[key]), factor):
                slower.add(key)
        return slower

    return decision


def _pooled(side: Sequence[Recording]) -> dict[Key, list[float]]:
    keys = [key for key in side[0].seconds if key[0] != ANCHOR]
    return {
        key: list(chain.from_iterable(chain.from_iterable(each.seconds[key].values()) for each in side)) for key in keys
    }


@dataclass(frozen=True)
class Rate:
    hits: int
    trials: int

    def __str__(self) -> str:
        return f"{self.hits} of {self.trials}"

    def with_interval(self) -> str:
        """And the exact (Clopper-Pearson) 95 % interval of the rate, where the trials have nothing in common."""
        if not self.trials:
            return str(self)
        interval = stats.binomtest(self.hits, self.trials).proportion_ci(method="exact")
        return f"{self} ({100 * interval.low:.1f} to {100 * interval.high:.1f} %)"


@dataclass(frozen=True)
class Line:
    """One rule: comparisons of the same code that raised an alarm, and of slower code that named the right layer."""

    rule: str
    false_alarms: Rate
    found: tuple[Rate, ...]


def rules() -> dict[str, Decision]:
    return {
        f"upbench regress, {PAIRS} pairs": gate_rule(PAIRS),
        f"upbench regress, {POOLED} pairs": gate_rule(POOLED),
        f"pytest-benchmark compare, min:5%, {POOLED} processes pooled": pytest_benchmark_rule("min", 5, POOLED),
        f"pytest-benchmark compare, median:5%, {POOLED} processes pooled": pytest_benchmark_rule("median", 5, POOLED),
        "pytest-benchmark compare, median:10%, 1 process": pytest_benchmark_rule("median", 10, 1),
        f"asv continuous, factor 1.1, {POOLED} processes pooled": asv_rule(1.1, POOLED),
        "asv continuous, factor 1.1, 2 processes (its default)": asv_rule(1.1, 2),
    }


def rates(out: Path, *, alarms: int = 200, findings: int = 100) -> list[Line]:
    """Draw whole comparisons from the recorded pairs, without putting back within one. Seeds are 0, 1, 2, ...

    Two of them share pairs, so the rates are those of these recordings, and no interval belongs to them.
    Raises UserError if fewer pairs are recorded than two whole measurements take.
    """
    pools = {variant.name: pool(out, variant) for variant in (SAME, *SLOWER)}
    for name, pairs in pools.items():
        if len(pairs) < 2 * PAIRS:
            raise UserError(f"{out} holds {len(pairs)} recorded pairs of {name!r}; at least {2 * PAIRS} are needed")
    lines = []
    for name, rule in rules().items():
        false = sum(bool(rule(_draw(pools[SAME.name], seed))) for seed in range(alarms))
        found = (sum(_found(rule, pools[variant.name], seed) for seed in range(findings)) for variant in SLOWER)
        lines.append(Line(name, Rate(false, alarms), tuple(Rate(hits, findings) for hits in found)))
    return lines


def _found(rule: Decision, pairs: Sequence[Pair], seed: int) -> bool:
    """Whether a comparison names the layer with the defect."""
    cells = pairs[0][0].recorded.cells
    return any(cells[cell]["layer"]["name"] == LAYER for cell, _ in rule(_draw(pairs, seed)))


def _draw(pairs: Sequence[Pair], seed: int) -> Draw:
    left = [pairs[index] for index in np.random.default_rng(seed).permutation(len(pairs))]

    def draw(count: int) -> tuple[list[Recording], list[Recording]]:
        drawn = [left.pop() for _ in range(count)]
        return [base for base, _ in drawn], [head for _, head in drawn]

    return draw


def measured(pairs: Sequence[Pair]) -> float:
    """How many times slower the defect has made the layer's forward pass, by the medians of all processes."""
    cells = pairs[0][0].recorded.cells
    key = next(key for key in pairs[0][0].ratios() if key[1] == "forward" and cells[key[0]]["layer"]["name"] == LAYER)
    base, head = (np.median([pair[side].ratios()[key] for pair in pairs]) for side in (0, 1))
    return float(head / base)


def whole(out: Path) -> Rate:
    """Alarms among the comparisons of the same code that were run whole."""
    files = sorted((out / "comparisons").glob("*.json"))
    return Rate(sum(json.loads(file.read_bytes())["failed"] for file in files), len(files))


def to_markdown(out: Path, lines: Sequence[Line], exact: dict[str, Rate]) -> str:
    """The table of GATE.md."""
    variants = [variant.name.removeprefix("slower ") for variant in SLOWER]
    head = ["rule", "false alarms", *(f"{factor}x slower found" for factor in variants)]
    rows = [[line.rule, str(line.false_alarms), *map(str, line.found)] for line in lines]
    text = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---", *["---:"] * (len(head) - 1)], *rows])
    pools = {variant.name: pool(out, variant) for variant in (SAME, *SLOWER)}
    recorded = ", ".join(f"{len(pairs)} of `{name}`, {measured(pairs):.3f}" for name, pairs in pools.items())
    found = "; ".join(f"{name}: {rate.with_interval()}" for name, rate in exact.items()) or "not run"
    return (
        f"{text}\n\nDrawn from recorded pairs of fresh processes ({recorded} times as slow as its base). Whole "
        f"comparisons of the same code, run for real, that raised an alarm: {whole(out).with_interval()}. Found among "
        f"exact figures: {found}.\n"
    )


def write_table(out: Path, text: str) -> Path:
    path = out / "table.md"
    write_atomically(path, text)
    return path

"""When two sets of noisy figures differ: pure functions of samples, one figure a fresh process.

Three things must agree before a difference counts: it is large enough to matter, the bootstrap interval is clear of no
difference, and an exact rank test is significant after correction over the whole grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from upbench.gate.verdict import Verdict

RESAMPLES = 2000
EXACT_UP_TO = 60  # samples of both sides together for which the exact distribution is computed


@dataclass(frozen=True)
class Rule:
    """When a difference of noisy figures counts.

    Attributes:
        margin: ratios from 1/margin to margin do not matter.
        level: the false discovery rate over a grid; the bootstrap interval has the confidence 1 - level.
    """

    margin: float = 1.05
    level: float = 0.05


@dataclass(frozen=True)
class Evidence:
    """What two samples say of the ratio of head to base.

    Attributes:
        ratio: head over base.
        low: the lower end of the ratio's interval.
        high: the upper end of the ratio's interval.
        p: the two-sided p-value, not adjusted.
        n: how many figures base and head have.
    """

    ratio: float
    low: float
    high: float
    p: float
    n: tuple[int, int]


def weigh(base: Sequence[float], head: Sequence[float], rule: Rule) -> Evidence:
    """Compare two samples of positive figures on the log scale.

    The ratio is exp of the Hodges-Lehmann shift, the median of all pairwise differences of logarithms. Its interval is
    the percentile bootstrap of that shift, both sides drawn anew. The p-value is that of Mann-Whitney U, exact also
    with ties.
    Sources: Hodges and Lehmann (1963), Ann. Math. Statist. 34, 598; Mann and Whitney (1947), ibid. 18, 50.

    Args:
        base: one figure a process of base, in any unit.
        head: one figure a process of head, in the same unit.
        rule: its level sets the interval's confidence.

    Returns:
        The ratio of head to base with its interval and its p-value.

    Raises:
        ValueError: a side is empty, or a figure is not finite and positive.
    """
    base_logs = _take_logarithms(base)
    head_logs = _take_logarithms(head)
    # every figure of head against every one of base
    differences = head_logs[:, None] - base_logs
    shift = float(np.median(differences))
    low, high = _bootstrap_shift(base_logs, head_logs, rule.level)
    return Evidence(
        ratio=math.exp(shift),
        low=math.exp(low),
        high=math.exp(high),
        p=compute_rank_p_value(base_logs, head_logs),
        n=(base_logs.size, head_logs.size),
    )


def decide(evidence: Mapping[str, Evidence], rule: Rule) -> dict[str, Verdict]:
    """Give the verdict on each comparison of a grid of figures of which lower is better.

    A figure regressed or improved where its ratio is beyond the margin, its interval is clear of 1, and its p-value is
    significant at `rule.level` by Benjamini-Hochberg over the grid. It is the same where its whole interval lies within
    the margin. Anything else is ambiguous.
    Source: Benjamini and Hochberg (1995), J. R. Statist. Soc. B 57, 289.

    Args:
        evidence: what the two samples of each figure say, by any name of the figure.
        rule: margin and level.

    Returns:
        The verdict on each figure, by the same names in the same order.
    """
    if not evidence:
        return {}
    p_values = [each.p for each in evidence.values()]
    adjusted = adjust_p_values(p_values)
    verdicts = {}
    for (name, each), p in zip(evidence.items(), adjusted, strict=True):
        verdicts[name] = _judge(each, float(p), rule)
    return verdicts


def adjust_p_values(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Adjust p-values for their number by the procedure of Benjamini and Hochberg.

    Args:
        p_values: the p-values of all comparisons of a grid, of shape (n,).

    Returns:
        The adjusted p-values in the same order, of shape (n,).
    """
    return stats.false_discovery_control(np.asarray(p_values, float))


def compute_rank_p_value(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Compute the two-sided p-value of the Mann-Whitney U test, with mid-ranks for ties.

    Up to EXACT_UP_TO figures the p-value is exact, also with ties: it counts all ways to deal the figures to the sides.

    Args:
        a: the figures of one side, of shape (n,).
        b: the figures of the other side, of shape (m,).

    Returns:
        The p-value, at most 1.
    """
    if a.size + b.size > EXACT_UP_TO:
        return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    both = np.concatenate([a, b])
    ranks = stats.rankdata(both)
    # mid-ranks are multiples of one half, so twice a rank is whole and sums of them can be counted
    doubled = (2 * ranks).astype(int)
    observed = int(doubled[: a.size].sum())
    # sorted: samples of the same ranks then share one count, which is kept
    values = sorted(doubled.tolist())
    ways_by_sum = _count_subset_sums(tuple(values), a.size)
    total = lower = upper = 0
    for value, ways in ways_by_sum.items():
        total += ways
        if value <= observed:
            lower += ways
        if value >= observed:
            upper += ways
    return min(1.0, 2 * min(lower, upper) / total)


@cache
def _count_subset_sums(values: tuple[int, ...], size: int) -> dict[int, int]:
    """How many subsets of `size` of the values have each sum."""
    # tables[count] belongs to subsets of `count` of the values seen so far
    tables: list[dict[int, int]] = [{} for _ in range(size + 1)]
    tables[0][0] = 1
    for value in values:
        # the larger subsets first: each takes from the table below it as that was before this value
        for count in range(size, 0, -1):
            larger = tables[count]
            smaller = tables[count - 1]
            for total, ways in smaller.items():
                extended = total + value
                larger[extended] = larger.get(extended, 0) + ways
    return tables[size]


def _take_logarithms(figures: Sequence[float]) -> NDArray[np.float64]:
    """The logarithms of figures. Raises ValueError where there is none, or one is not finite and positive."""
    values = np.asarray(figures, float)
    if not values.size:
        raise ValueError("both sides need a figure")
    if not np.isfinite(values).all() or not (values > 0).all():
        raise ValueError("figures must be finite and above zero")
    return np.log(values)


def _bootstrap_shift(a: NDArray[np.float64], b: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The percentile interval of the median pairwise difference b - a."""
    # seeded by the sizes alone: the draws are the same for all samples of the same sizes
    rng = np.random.default_rng(a.size * 1000 + b.size)
    # the order of the two draws matters: another would give other intervals
    drawn_a = _resample(a, rng)
    drawn_b = _resample(b, rng)
    # of shape (RESAMPLES, b.size, a.size)
    differences = drawn_b[:, :, None] - drawn_a[:, None, :]
    pooled = differences.reshape(RESAMPLES, -1)
    shifts = np.median(pooled, axis=1)
    tail = level / 2
    interval = np.quantile(shifts, [tail, 1 - tail])
    low, high = interval.tolist()
    return low, high


def _resample(figures: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """RESAMPLES samples drawn with putting back, of shape (RESAMPLES, figures.size)."""
    chosen = rng.integers(figures.size, size=(RESAMPLES, figures.size))
    return figures[chosen]


def _judge(evidence: Evidence, p: float, rule: Rule) -> Verdict:
    """The verdict on one comparison; p is adjusted over the grid."""
    clear_of_no_change = evidence.low > 1 or evidence.high < 1
    if p <= rule.level and clear_of_no_change:
        if evidence.ratio > rule.margin:
            return Verdict.REGRESSED
        if evidence.ratio < 1 / rule.margin:
            return Verdict.IMPROVED
    least = 1 / rule.margin
    within_margin = least <= evidence.low and evidence.high <= rule.margin
    # one figure a side has an interval of no width, which says nothing
    if within_margin and min(evidence.n) > 1:
        return Verdict.SAME
    return Verdict.AMBIGUOUS

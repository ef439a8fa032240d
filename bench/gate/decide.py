"""When two sets of noisy figures differ: pure functions of samples, one figure a fresh process.

Three things must agree before a difference counts: it is large enough to matter, the bootstrap interval is clear of no
difference, and an exact rank test is significant after correction over the whole grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Verdict = Literal["improved", "same", "regressed", "ambiguous"]

RESAMPLES = 2000
EXACT_UP_TO = 60  # samples of both sides together for which the exact distribution is computed


@dataclass(frozen=True)
class Rule:
    """margin: ratios from 1/margin to margin do not matter. level: false discovery rate; 1 - level: the interval's."""

    margin: float = 1.05
    level: float = 0.05


@dataclass(frozen=True)
class Evidence:
    """Head over base: ratio, its interval [low, high], two-sided p-value; n: figures of base and of head."""

    ratio: float
    low: float
    high: float
    p: float
    n: tuple[int, int]


def weigh(base: Sequence[float], head: Sequence[float], rule: Rule) -> Evidence:
    """Compare two samples of positive figures on the log scale.

    ratio: exp of the Hodges-Lehmann shift, the median of all pairwise differences of logarithms; interval: percentile
    bootstrap of that shift, both sides drawn anew; p: Mann-Whitney U, exact also with ties.
    Sources: Hodges and Lehmann (1963), Ann. Math. Statist. 34, 598; Mann and Whitney (1947), ibid. 18, 50.
    Raises ValueError for an empty side or a figure that is not finite and positive.
    """
    a, b = (np.asarray(side, float) for side in (base, head))
    if not (a.size and b.size):
        raise ValueError("both sides need a figure")
    if not (np.isfinite(a).all() and np.isfinite(b).all() and (a > 0).all() and (b > 0).all()):
        raise ValueError("figures must be finite and above zero")
    a, b = np.log(a), np.log(b)
    shift = float(np.median(b[:, None] - a))
    low, high = _bootstrap(a, b, rule.level)
    return Evidence(math.exp(shift), math.exp(low), math.exp(high), rank_test(a, b), (a.size, b.size))


def decide(evidence: Mapping[str, Evidence], rule: Rule) -> dict[str, Verdict]:
    """The verdict on each comparison of a grid of figures of which lower is better.

    regressed, improved: beyond the margin, interval clear of 1, and p significant at `rule.level` by
    Benjamini-Hochberg over the grid. same: the whole interval within the margin. ambiguous: anything else.
    Source: Benjamini and Hochberg (1995), J. R. Statist. Soc. B 57, 289.
    """
    if not evidence:
        return {}
    adjusted = dict(zip(evidence, adjust([each.p for each in evidence.values()]), strict=True))
    return {name: _verdict(each, adjusted[name], rule) for name, each in evidence.items()}


def adjust(p_values: Sequence[float]) -> NDArray[np.float64]:
    """p-values by Benjamini-Hochberg."""
    return stats.false_discovery_control(np.asarray(p_values, float))


def rank_test(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Two-sided p-value of the Mann-Whitney U test, exact up to EXACT_UP_TO figures, with mid-ranks for ties."""
    if a.size + b.size > EXACT_UP_TO:
        return float(stats.mannwhitneyu(a, b, method="asymptotic").pvalue)
    doubled = (2 * stats.rankdata(np.concatenate([a, b]))).astype(int)
    counts = _subset_sums(tuple(sorted(doubled.tolist())), a.size)
    ours = int(doubled[: a.size].sum())
    total = sum(counts.values())
    lower = sum(count for value, count in counts.items() if value <= ours)
    upper = sum(count for value, count in counts.items() if value >= ours)
    return min(1.0, 2 * min(lower, upper) / total)


@cache
def _subset_sums(values: tuple[int, ...], size: int) -> dict[int, int]:
    """How many subsets of `size` of the values have each sum."""
    tables: list[dict[int, int]] = [{0: 1}, *({} for _ in range(size))]
    for value in values:
        for count in range(size, 0, -1):
            for total, ways in tables[count - 1].items():
                tables[count][total + value] = tables[count].get(total + value, 0) + ways
    return tables[size]


def _bootstrap(a: NDArray[np.float64], b: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Percentile interval of the median pairwise difference; the draws are the same for samples of the same sizes."""
    rng = np.random.default_rng(a.size * 1000 + b.size)
    first = a[rng.integers(a.size, size=(RESAMPLES, a.size))]
    second = b[rng.integers(b.size, size=(RESAMPLES, b.size))]
    shifts = np.median((second[:, :, None] - first[:, None, :]).reshape(RESAMPLES, -1), axis=1)
    low, high = np.quantile(shifts, [level / 2, 1 - level / 2])
    return float(low), float(high)


def _verdict(evidence: Evidence, p: float, rule: Rule) -> Verdict:
    if p <= rule.level and (evidence.low > 1 or evidence.high < 1):
        if evidence.ratio > rule.margin:
            return "regressed"
        if evidence.ratio < 1 / rule.margin:
            return "improved"
    if 1 / rule.margin <= evidence.low and evidence.high <= rule.margin and min(evidence.n) > 1:
        return "same"
    return "ambiguous"

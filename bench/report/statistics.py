"""Means, intervals and comparisons over replicates. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """n replicates; half_width is NaN where n < 2 leaves no interval, 0 where nothing varies."""

    n: int
    mean: float
    half_width: float


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and half-width of its 95 % interval by Student's t, which assumes replicates that are roughly normal."""
    sample = np.asarray(values, float)
    n = len(sample)
    if n == 0:
        return Estimate(0, float("nan"), float("nan"))
    if n == 1:
        return Estimate(1, float(sample[0]), float("nan"))
    if np.ptp(sample) == 0:
        return Estimate(n, float(sample[0]), 0.0)
    error = float(sample.std(ddof=1)) / np.sqrt(n)
    return Estimate(n, float(sample.mean()), float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * error))


def paired_p(ours: pd.Series, theirs: pd.Series) -> float:
    """p-value of the paired t-test over the replicates both have, (seeds as index); 1 with fewer than two.

    Differences that are all the same and not zero give 0: nothing random can have made them.
    """
    difference = (ours - theirs).dropna().to_numpy()
    if len(difference) < 2:
        return 1.0
    if np.ptp(difference) == 0:
        return 0.0 if difference[0] else 1.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values that keep the family-wise error rate. Source: Holm (1979), Scand. J. Statist. 6, 65-70."""
    ordered = sorted(p_values, key=p_values.__getitem__)
    adjusted: dict[str, float] = {}
    highest = 0.0
    for index, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - index) * p_values[name]))
        adjusted[name] = highest
    return adjusted


@dataclass(frozen=True)
class Ranking:
    """best: the row with the best mean. tied: the rows that cannot be told apart from it at the 5 % level."""

    best: str | None
    tied: frozenset[str]


def rank(samples: Mapping[str, pd.Series], better: str, *, exact: bool) -> Ranking:
    """Compare each row's replicates, paired by seed, with the best row's: paired t-test, Holm over the rows.

    exact: the figure never varies, so any difference is real and a single replicate decides.
    """
    means = {name: float(values.mean()) for name, values in samples.items() if values.notna().any()}
    if not means:
        return Ranking(None, frozenset())
    best = (min if better == "lower" else max)(means, key=means.__getitem__)
    others = [name for name in means if name != best]
    if exact:
        return Ranking(best, frozenset(name for name in others if means[name] == means[best]))
    adjusted = holm({name: paired_p(samples[name], samples[best]) for name in others})
    return Ranking(best, frozenset(name for name in others if adjusted[name] >= 1 - LEVEL))

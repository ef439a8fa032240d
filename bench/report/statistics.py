"""Means, intervals and comparisons over replicates. Pure functions of arrays.

A *block* is one column of a table over rows that differ in nothing but the layer: an array (seeds, rows), the values of
one seed in one line, NaN where a replicate was lost. STATISTICS.md says why these tests, and how often each errs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
POWER = 0.8
RUNS = 4000  # simulated to find an effect: its power is known to within 1 %
ROUNDING = 1e-24  # sums of squares below this share of the total are what floating point leaves of zero

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """n replicates; half_width is NaN where n < 2 leaves no interval, 0 where nothing varies."""

    n: int
    mean: float
    half_width: float


def estimate(values: Sequence[float] | Floats) -> Estimate:
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


def estimate_difference(ours: Floats, theirs: Floats) -> Estimate:
    """`estimate` of ours - theirs over the seeds that both have; (seeds,) each, NaN where a replicate was lost."""
    difference = ours - theirs
    return estimate(difference[np.isfinite(difference)])


@dataclass(frozen=True)
class Pairs:
    """Row i minus row j of a block: replicates that both have, mean and standard deviation of the differences."""

    count: NDArray[np.int64]
    mean: Floats
    deviation: Floats


def pairs(block: Floats) -> Pairs:
    """All three (rows, rows); the deviation is NaN where the count is below 2."""
    difference = block[:, :, None] - block[:, None, :]
    there = np.isfinite(difference)
    count = there.sum(0)
    mean = np.where(there, difference, 0).sum(0) / np.maximum(count, 1)
    squares = np.where(there, (difference - mean) ** 2, 0).sum(0)
    return Pairs(count, mean, np.sqrt(np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)))


def paired_p(block: Floats) -> Floats:
    """p-values (rows, rows) of the paired t-test of each row with each; 1 with fewer than two pairs.

    Differences that are all the same and not zero give 0: nothing random can have made them.
    """
    found = pairs(block)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(found.mean) / (found.deviation / np.sqrt(found.count))
    t = np.where((found.count > 1) & (found.mean != 0), t, 0.0)
    return np.asarray(2 * stats.t.sf(t, np.maximum(found.count - 1, 1)))


def omnibus_p(block: Floats) -> float:
    """p-value of "all rows have the same mean": the better of two tests, doubled for the choice; NaN if there is none.

    The F-test finds a difference that shows against the noise of all rows together, and the surest pair, times the
    number of pairs, one between two quiet rows that a noisy third would hide from it.
    """
    rows = int((np.isfinite(block).sum(0) > 1).sum())
    overall, surest = f_test_p(block), comb(rows, 2) * paired_p(block).min(initial=1.0)
    return overall if rows < 3 or np.isnan(overall) else min(1.0, 2 * min(overall, surest))


def f_test_p(block: Floats) -> float:
    """F-test of the rows in the additive model row + seed.

    Lost replicates are left out of the least squares. NaN where nothing is left to test. With two rows it is the
    paired t-test. Source: Scheffe, The Analysis of Variance (1959), section 4.2, without interaction.
    """
    seeds, rows = np.nonzero(np.isfinite(block))
    values = block[seeds, rows]
    by_seed, by_row = np.eye(block.shape[0])[seeds], np.eye(block.shape[1])[rows]
    values = values - values.mean() if len(values) else values
    null, null_rank = _residual(by_seed, values)
    full, full_rank = _residual(np.hstack([by_seed, by_row]), values)
    extra, left = full_rank - null_rank, len(values) - full_rank
    if extra < 1 or left < 1:
        return float("nan")
    total = float(values @ values)
    if full <= ROUNDING * total:
        return 0.0 if null - full > ROUNDING * total else 1.0
    return float(stats.f.sf((null - full) / extra / (full / left), extra, left))


def _residual(design: Floats, values: Floats) -> tuple[float, int]:
    """Sum of squares that the columns of the design leave, and their rank."""
    if not len(values):
        return 0.0, 0
    solution, _, rank, _ = np.linalg.lstsq(design, values)
    rest = values - design @ solution
    return float(rest @ rest), int(rank)


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values that keep the family-wise error rate; a NaN stays one and does not count.

    Source: Holm (1979), Scand. J. Statist. 6, 65-70.
    """
    adjusted = np.array(p_values, float)
    order = [index for index in np.argsort(adjusted) if np.isfinite(adjusted[index])]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1, factors * adjusted[order]))
    return adjusted


@cache
def true_counts(rows: int) -> tuple[int, ...]:
    """How many of the pairs of `rows` rows can be equal, ascending: of three rows 0, 1 or 3, never 2."""
    if rows < 2:
        return (0,)
    return tuple(sorted({comb(same, 2) + rest for same in range(1, rows + 1) for rest in true_counts(rows - same)}))


def first_factor(rows: int) -> int:
    """The most pairs that can be equal when not all are; at least 1, as two rows have no other pair."""
    return max(1, max(true_counts(rows)[:-1], default=1))


def shaffer(p_values: Floats) -> Floats:
    """Adjusted p-values (rows, rows) of all pairs of rows, given that an omnibus test has found them not all equal.

    A step-down like Holm's whose factor is the largest number of pairs that can still be equal. With the omnibus test
    before it the family-wise error rate is kept; without it not. Source: Shaffer (1986), J. Am. Stat. Assoc. 81,
    826-831; begun with an F-test as in Seaman, Levin and Serlin (1991), Psychol. Bull. 110, 577-586.
    """
    rows = len(p_values)
    upper = np.triu_indices(rows, 1)
    raw = p_values[upper]
    order = np.argsort(raw, kind="stable")
    counts = np.array(true_counts(rows))
    most = np.minimum(np.arange(len(raw), 0, -1), first_factor(rows))  # pairs not yet rejected, and never all of them
    factors = counts[np.searchsorted(counts, most, side="right") - 1]
    ordered = np.empty(len(raw))
    ordered[order] = np.maximum.accumulate(np.minimum(1, factors * raw[order]))
    adjusted = np.ones((rows, rows))
    adjusted[upper] = ordered
    return np.minimum(adjusted, adjusted.T)


def compare(blocks: Sequence[Floats]) -> list[Floats]:
    """Adjusted p-values (rows, rows) of every pair of rows in every block of a grid.

    A block is looked into only if its rows differ at all: `omnibus_p`, by Holm's correction over the blocks. There all
    pairs are compared: `paired_p`, by Shaffer's correction. So with identical layers a difference is claimed in at
    most 5 % of grids, and in a block where some layers differ an equal pair is told apart in at most 5 % of grids.
    """
    return [
        np.ones((block.shape[1],) * 2) if np.isnan(gate) else np.maximum(gate, _compare_pairs(block))
        for block, gate in zip(blocks, holm([omnibus_p(block) for block in blocks]), strict=True)
    ]


def _compare_pairs(block: Floats) -> Floats:
    """`shaffer` over the rows that have two values; one with fewer differs from none, and costs the others nothing."""
    kept = np.flatnonzero(np.isfinite(block).sum(0) > 1)
    adjusted = np.ones((block.shape[1],) * 2)
    adjusted[np.ix_(kept, kept)] = shaffer(paired_p(block[:, kept]))
    return adjusted


def detectable(block: Floats, columns: int = 1) -> float:
    """The true difference of two rows that `compare` finds in 80 % of runs like this; NaN where no pair can be tested.

    In units of s, the root mean square over the pairs of the standard deviation of their differences, it is
    `_effect`, at the least number of seeds that two rows share. columns: blocks that `compare` corrects together.
    """
    kept = block[:, np.isfinite(block).sum(0) > 1]
    found = pairs(kept)
    upper = np.triu_indices(kept.shape[1], 1)
    count, deviation = found.count[upper], found.deviation[upper]
    tested = count > 1
    if not tested.any():
        return float("nan")
    spread = float(np.sqrt(np.mean(deviation[tested] ** 2)))
    return _effect(int(count[tested].min()), kept.shape[1], columns) * spread


@cache
def _effect(seeds: int, rows: int, columns: int) -> float:
    """How far one row must lie from equal others, in s, to be told from each of them with a probability of 80 %.

    From RUNS simulated blocks of normal noise, the same for every call; the other columns are taken to show nothing,
    so this one has to pass Holm's first step and the pair Shaffer's.
    """
    noise = np.random.default_rng(0).standard_normal((RUNS, seeds, rows))
    below, above = 0.0, 1.0
    while _power(noise, above, columns) < POWER:
        below, above = above, 2 * above
    for _ in range(20):
        middle = (below + above) / 2
        below, above = (middle, above) if _power(noise, middle, columns) < POWER else (below, middle)
    return above


def _power(noise: Floats, effect: float, columns: int) -> float:
    """Share of pairs with the first row told apart once it lies `effect` s away; noise: (runs, seeds, rows)."""
    _, seeds, rows = noise.shape
    blocks = noise + effect * np.sqrt(2) * np.eye(rows)[0]  # s is the deviation of a difference
    upper = np.triu_indices(rows, 1)
    difference = blocks[:, :, upper[0]] - blocks[:, :, upper[1]]
    t = np.abs(difference.mean(1)) / difference.std(1, ddof=1) * np.sqrt(seeds)

    def critical(share: float) -> float:
        return float(stats.t.isf((1 - LEVEL) / share / 2, seeds - 1))

    found = t[:, upper[0] == 0] > critical(first_factor(rows))
    gate = columns if rows < 3 else 2 * columns  # `omnibus_p` doubles for its choice of two tests
    by_row, by_seed = blocks.mean(1), blocks.mean(2)
    rest = blocks - by_row[:, None, :] - by_seed[:, :, None] + blocks.mean((1, 2))[:, None, None]
    freedom = (rows - 1, (rows - 1) * (seeds - 1))
    f = seeds * by_row.var(1, ddof=1) / ((rest**2).sum((1, 2)) / freedom[1])
    open_ = (f > stats.f.isf((1 - LEVEL) / gate, *freedom)) | (t.max(1) > critical(gate * len(upper[0])))
    return float((found & open_[:, None]).mean())

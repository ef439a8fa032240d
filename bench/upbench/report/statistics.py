"""Means, intervals and comparisons over replicates. Pure functions of arrays.

A *block* is one column of a table over rows that differ in nothing but the layer: an array (seeds, rows), the values of
one seed in one line, NaN where a replicate was lost. STATISTICS.md says why these tests, and how often each errs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from upbench.report.multiplicity import Floats, holm, shaffer
from upbench.report.power import find_effect

LEVEL = 0.95
ROUNDING = 1e-24  # sums of squares below this share of the total are what floating point leaves of zero


@dataclass(frozen=True)
class Estimate:
    """A mean and its interval.

    Attributes:
        n: the number of replicates.
        mean: their mean, in their unit; NaN where there are none.
        half_width: half the width of the interval, in their unit; NaN where n < 2 leaves no interval, 0 where nothing
            varies.
    """

    n: int
    mean: float
    half_width: float


def estimate(values: Sequence[float] | Floats) -> Estimate:
    """Estimate a mean and its 95 % interval by Student's t, which assumes replicates that are roughly normal.

    Args:
        values: (n,), finite.

    Returns:
        The estimate, in the unit of the values.

    Source:
        Student (1908), The probable error of a mean, Biometrika 6, 1-25.
    """
    sample = np.asarray(values, float)
    n = len(sample)
    if n == 0:
        return Estimate(0, float("nan"), float("nan"))
    if n == 1:
        return Estimate(1, float(sample[0]), float("nan"))
    if np.ptp(sample) == 0:
        # the mean of equal numbers need not be that number in floating point
        return Estimate(n, float(sample[0]), 0.0)
    deviation = float(sample.std(ddof=1))
    error = deviation / np.sqrt(n)
    upper_end = (1 + LEVEL) / 2  # the interval leaves out as much below as above
    quantile = stats.t.ppf(upper_end, n - 1)
    half_width = float(quantile * error)
    return Estimate(n, float(sample.mean()), half_width)


def estimate_difference(ours: Floats, theirs: Floats) -> Estimate:
    """Estimate the mean of the paired differences `ours - theirs`, see `estimate`.

    Args:
        ours: (seeds,), NaN where a replicate was lost.
        theirs: (seeds,), the values of the same seeds in the same order.

    Returns:
        The estimate over the seeds that both have.
    """
    difference = ours - theirs
    both_have = np.isfinite(difference)
    return estimate(difference[both_have])


@dataclass(frozen=True)
class Pairs:
    """The differences of each row of a block and each other row, row i minus row j.

    Attributes:
        count: (rows, rows), the number of seeds that both rows have.
        mean: (rows, rows), the mean of the differences at those seeds.
        deviation: (rows, rows), their standard deviation; NaN where the count is below 2.
    """

    count: NDArray[np.int64]
    mean: Floats
    deviation: Floats


def pair_rows(block: Floats) -> Pairs:
    """Take the differences of each row of a block and each other row, seed by seed.

    Args:
        block: (seeds, rows), NaN where a replicate was lost.

    Returns:
        Their count, mean and standard deviation.
    """
    difference = block[:, :, None] - block[:, None, :]
    both_have = np.isfinite(difference)
    count = both_have.sum(0)
    total = np.where(both_have, difference, 0).sum(0)
    # where nothing can be divided by, the divisor 1 only keeps numpy silent
    mean = total / np.maximum(count, 1)
    squares = (difference - mean) ** 2
    squares = np.where(both_have, squares, 0).sum(0)
    freedom = np.maximum(count - 1, 1)
    variance = squares / freedom
    variance = np.where(count > 1, variance, np.nan)
    return Pairs(count, mean, np.sqrt(variance))


def paired_p(block: Floats) -> Floats:
    """Test each row of a block against each other row by the paired t-test, two-sided.

    Args:
        block: (seeds, rows), NaN where a replicate was lost.

    Returns:
        (rows, rows), the p-values, not corrected. 1 with fewer than two pairs. Differences that are all the same and
        not zero give 0: nothing random can have made them.

    Source:
        Student (1908), The probable error of a mean, Biometrika 6, 1-25.
    """
    pairs = pair_rows(block)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = pairs.deviation / np.sqrt(pairs.count)
        t = np.abs(pairs.mean) / error
    has_pairs = pairs.count > 1
    differs = pairs.mean != 0
    # t = 0 gives 1; without this a row against itself would be 0 / 0
    t = np.where(has_pairs & differs, t, 0.0)
    freedom = np.maximum(pairs.count - 1, 1)
    one_side = stats.t.sf(t, freedom)
    return np.asarray(2 * one_side)


def omnibus_p(block: Floats) -> float:
    """Test "all rows have the same mean" by the better of two tests, doubled for the choice.

    The F-test finds a difference that shows against the noise of all rows together. The surest pair, times the number
    of pairs, finds one between two quiet rows that a noisy third row would hide from the F-test.

    Args:
        block: (seeds, rows), NaN where a replicate was lost.

    Returns:
        The p-value, NaN where nothing is left to test. With two rows it is that of the paired t-test.
    """
    rows = _rows_with_pairs(block).size
    overall = f_test_p(block)
    if rows < 3 or np.isnan(overall):
        return overall
    all_pairs = comb(rows, 2)
    surest = all_pairs * paired_p(block).min(initial=1.0)
    better = min(overall, surest)
    return min(1.0, 2 * better)


def f_test_p(block: Floats) -> float:
    """Test "all rows have the same mean" by the F-test of the rows in the additive model row + seed.

    Args:
        block: (seeds, rows), NaN where a replicate was lost. Those are left out of the least squares.

    Returns:
        The p-value, NaN where nothing is left to test. With two rows it is that of the paired t-test.

    Source:
        Scheffe, The Analysis of Variance (1959), section 4.2, without interaction.
    """
    seeds, rows = np.nonzero(np.isfinite(block))
    values = block[seeds, rows]
    if len(values):
        # the sums of squares stay the same, and lose fewer digits
        values = values - values.mean()
    all_seeds, all_rows = block.shape
    by_seed = np.eye(all_seeds)[seeds]
    by_row = np.eye(all_rows)[rows]
    by_both = np.hstack([by_seed, by_row])
    null, null_rank = _fit_residual(by_seed, values)
    full, full_rank = _fit_residual(by_both, values)

    freedom = full_rank - null_rank
    rest_freedom = len(values) - full_rank
    if freedom < 1 or rest_freedom < 1:
        return float("nan")
    total = float(values @ values)
    explained = null - full
    if full <= ROUNDING * total:
        # nothing is left unexplained: the rows differ surely, or not at all
        differs = explained > ROUNDING * total
        return 0.0 if differs else 1.0
    unexplained = full / rest_freedom
    f = explained / freedom / unexplained
    return float(stats.f.sf(f, freedom, rest_freedom))


def _fit_residual(design: Floats, values: Floats) -> tuple[float, int]:
    """The sum of squares that a least-squares fit of the design's columns leaves, and the rank of the design.

    Args:
        design: (values, columns).
        values: (values,).
    """
    if not len(values):
        return 0.0, 0
    solution, _, rank, _ = np.linalg.lstsq(design, values)
    fitted = design @ solution
    rest = values - fitted
    return float(rest @ rest), int(rank)


def _rows_with_pairs(block: Floats) -> NDArray[np.int64]:
    """The indices of the rows that have two values or more, and can be compared with others."""
    replicates = np.isfinite(block).sum(0)
    return np.flatnonzero(replicates > 1)


def compare_rows(blocks: Sequence[Floats]) -> list[Floats]:
    """Compare all rows of each block with each other, corrected for all pairs and all blocks together.

    A pair is told apart only where an omnibus test finds its block not all equal. Those tests are corrected by Holm
    over the blocks, and the pairs by Shaffer within their block: where no layer differs, a difference is claimed in at
    most 5 % of grids, and in a block where some layers differ an equal pair is told apart in at most 5 % of grids.

    Args:
        blocks: each (seeds, rows), NaN where a replicate was lost.

    Returns:
        For each block (rows, rows), the adjusted p-values; 1 throughout where nothing could be tested.
    """
    omnibus = [omnibus_p(block) for block in blocks]
    gates = holm(omnibus)
    adjusted = []
    for block, gate in zip(blocks, gates, strict=True):
        if np.isnan(gate):
            rows = block.shape[1]
            p_values = np.ones((rows, rows))
        else:
            # no pair is surer than that its block has a difference at all
            p_values = np.maximum(gate, _compare_within(block))
        adjusted.append(p_values)
    return adjusted


def _compare_within(block: Floats) -> Floats:
    """`shaffer` over the rows that have two values; one with fewer differs from none, and costs the others nothing."""
    kept = _rows_with_pairs(block)
    rows = block.shape[1]
    p_values = paired_p(block[:, kept])
    adjusted = np.ones((rows, rows))
    adjusted[np.ix_(kept, kept)] = shaffer(p_values)
    return adjusted


def detectable(block: Floats, columns: int = 1) -> float:
    """Find the true difference of two rows that `compare` finds in 80 % of runs like this one.

    In units of s it is `upbench.report.power.find_effect` at the least number of seeds that two rows share, where s is
    the root mean square over the pairs of the standard deviation of their differences.

    Args:
        block: (seeds, rows), NaN where a replicate was lost.
        columns: the number of blocks that `compare_rows` corrects together.

    Returns:
        The difference, in the unit of the block; NaN where no pair can be tested.
    """
    kept = block[:, _rows_with_pairs(block)]
    rows = kept.shape[1]
    pairs = pair_rows(kept)
    upper = np.triu_indices(rows, 1)
    count = pairs.count[upper]
    tested = count > 1
    if not tested.any():
        return float("nan")
    deviations = pairs.deviation[upper]
    variances = deviations[tested] ** 2
    spread = float(np.sqrt(np.mean(variances)))
    seeds = int(count[tested].min())
    return find_effect(seeds, rows, columns, LEVEL) * spread

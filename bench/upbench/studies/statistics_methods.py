"""The statistical methods that `statistics_simulation` holds against each other.

Intervals are found from paired differences (trials, n), where n is the number of seeds. Comparisons are made on a block
(seeds, rows), one row a layer, and say which pairs of rows they call different.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from upbench.report.statistics import LEVEL, Floats, compare_rows, holm, paired_p

Rng = np.random.Generator
Interval = tuple[Floats, Floats]  # low and high ends, (trials,) each
Called = NDArray[np.bool_]  # (rows, rows): whether a pair of rows is called different

RESAMPLES = 999
LOW, HIGH = (1 - LEVEL) / 2, (1 + LEVEL) / 2  # the quantiles at which an interval ends


def student_interval(differences: Floats, rng: Rng) -> Interval:
    """Find the interval of Student's t, which is the one that the suite shows.

    Args:
        differences: paired differences, (trials, n).
        rng: not used. All four methods are called alike.

    Returns:
        The low and the high ends, (trials,) each.
    """
    n = differences.shape[1]
    mean = differences.mean(1)
    deviation = differences.std(1, ddof=1)
    quantile = stats.t.ppf(HIGH, n - 1)
    half_width = quantile * deviation / np.sqrt(n)
    return mean - half_width, mean + half_width


def percentile_interval(differences: Floats, rng: Rng) -> Interval:
    """Find the percentile bootstrap interval: the quantiles of the means of resamples.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Args:
        differences: paired differences, (trials, n).
        rng: draws the resamples, the same ones for all trials.

    Returns:
        The low and the high ends, (trials,) each.
    """
    n = differences.shape[1]
    drawn = rng.integers(n, size=(RESAMPLES, n))
    means = differences[:, drawn].mean(2)  # (trials, RESAMPLES)
    low = np.quantile(means, LOW, axis=1)
    high = np.quantile(means, HIGH, axis=1)
    return low, high


def bca_interval(differences: Floats, rng: Rng) -> Interval:
    """Find the bias-corrected and accelerated bootstrap interval, by `scipy.stats.bootstrap`.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 14.

    Args:
        differences: paired differences, (trials, n).
        rng: draws the resamples.

    Returns:
        The low and the high ends, (trials,) each. NaN where all resamples are alike.
    """
    with warnings.catch_warnings():
        # scipy warns of degenerate resamples; their NaN ends cover nothing, which counts against the method
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (differences,),
            np.mean,
            axis=-1,
            n_resamples=RESAMPLES,
            method="BCa",
            confidence_level=LEVEL,
            rng=rng,
        )
    return found.confidence_interval.low, found.confidence_interval.high


def bootstrap_t_interval(differences: Floats, rng: Rng) -> Interval:
    """Find the bootstrap-t interval: Student's, with the quantiles of t taken from resamples.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 12.5.

    Args:
        differences: paired differences, (trials, n).
        rng: draws the resamples, the same ones for all trials.

    Returns:
        The low and the high ends, (trials,) each. Infinite where many resamples have no spread.
    """
    n = differences.shape[1]
    root = np.sqrt(n)
    centre = differences.mean(1)
    error = differences.std(1, ddof=1) / root
    indices = rng.integers(n, size=(RESAMPLES, n))
    drawn = differences[:, indices]  # (trials, RESAMPLES, n)
    drawn_centre = drawn.mean(2)
    # a resample of one seed drawn n times has no spread; its t is infinite, or NaN
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn_error = drawn.std(2, ddof=1) / root
        t = (drawn_centre - centre[:, None]) / drawn_error
    t_low, t_high = np.quantile(
        t,
        [LOW, HIGH],
        axis=1,
        method="inverted_cdf",  # one that interpolates would make NaN of two infinite values
    )
    # the high quantile of t makes the low end, because t is what a mean is too large by
    low = centre - t_high * error
    high = centre - t_low * error
    return low, high


INTERVALS: dict[str, Callable[[Floats, Rng], Interval]] = {
    "Student t": student_interval,
    "percentile bootstrap": percentile_interval,
    "BCa bootstrap": bca_interval,
    "bootstrap-t": bootstrap_t_interval,
}


def compare_as_the_suite(block: Floats) -> Called:
    """Call pairs different as the suite does for a grid of one column.

    Args:
        block: values of one column, (seeds, rows).

    Returns:
        Whether each pair is called different, (rows, rows).
    """
    (adjusted,) = compare_rows([block])
    return adjusted < 1 - LEVEL


def compare_all_pairs_by_holm(block: Floats) -> Called:
    """Call pairs different by paired t-tests, corrected by Holm over all pairs.

    Source: Holm (1979), Scandinavian Journal of Statistics 6, 65.

    Args:
        block: values of one column, (seeds, rows).

    Returns:
        Whether each pair is called different, (rows, rows).
    """
    rows = block.shape[1]
    # each pair once: Holm counts them
    upper = np.triu_indices(rows, 1)
    p_values = paired_p(block)[upper]
    adjusted = np.ones((rows, rows))
    adjusted[upper] = holm(p_values)
    both_triangles = np.minimum(adjusted, adjusted.T)
    return both_triangles < 1 - LEVEL


def compare_with_the_best_by_holm(block: Floats) -> Called:
    """Call rows different from the one with the best mean, as if that one had been named before the run.

    Args:
        block: values of one column, (seeds, rows).

    Returns:
        Whether each pair is called different, (rows, rows). No pair without the best row is.
    """
    rows = block.shape[1]
    best = int(block.mean(0).argmax())
    # fewer tests than all pairs, so each is held to less; but which row is best is known only after the run
    others = [row for row in range(rows) if row != best]
    p_values = paired_p(block)[best, others]
    different = holm(p_values) < 1 - LEVEL
    called = np.zeros((rows, rows), bool)
    called[best, others] = different
    called[others, best] = different
    return called


def compare_by_tukey(block: Floats) -> Called:
    """Call pairs different by the studentised range, with one variance for all rows, in a two-way layout.

    Source: Miller, Simultaneous Statistical Inference (1981), section 2.1.

    Args:
        block: values of one column, (seeds, rows).

    Returns:
        Whether each pair is called different, (rows, rows).
    """
    seeds, rows = block.shape
    row_means = block.mean(0)
    seed_means = block.mean(1, keepdims=True)
    residuals = block - row_means - seed_means + block.mean()
    squares = (residuals**2).sum()  # of what neither the row nor the seed explains
    freedom = (seeds - 1) * (rows - 1)
    error = np.sqrt(squares / freedom / seeds)
    distances = np.abs(row_means[:, None] - row_means)
    critical = _studentised_range(rows, freedom)
    return distances > critical * error


@cache  # scipy integrates for 0.3 s, and the tables ask thousands of times for the same few
def _studentised_range(rows: int, freedom: int) -> float:
    return float(stats.studentized_range.ppf(LEVEL, rows, freedom))


PROCEDURES: dict[str, Callable[[Floats], Called]] = {
    "this suite": compare_as_the_suite,
    "all pairs by Holm": compare_all_pairs_by_holm,
    "against the best by Holm": compare_with_the_best_by_holm,
    "Tukey, one variance": compare_by_tukey,
}

"""How large a true difference must be for a run to find it.

It is found by simulation: a pair has to pass two gates in a row, for whose power there is no formula.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import stats

from upbench.report.multiplicity import Floats, most_equal_pairs

POWER = 0.8
RUNS = 4000  # simulated to find an effect: its power is known to within 1 %
HALVINGS = 20  # of the interval that holds the effect, whose width is then a millionth of where it began


@cache
def find_effect(seeds: int, rows: int, columns: int, level: float) -> float:
    """Find how far one row must lie from equal others to be told from each of them with a probability of POWER.

    The noise is normal and is the same in every call. The other columns are taken to show nothing, so this one has to
    pass Holm's first step, and the pair Shaffer's.

    Args:
        seeds: replicates of each row, 2 or more.
        rows: rows of the block, 2 or more.
        columns: columns that are corrected together, this one among them.
        level: the confidence level of the comparison, 0.95 for one.

    Returns:
        The distance, in standard deviations of the difference of two rows.
    """
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((RUNS, seeds, rows))
    below = 0.0
    above = 1.0
    while _share_told_apart(noise, above, columns, level) < POWER:
        below = above
        above = 2 * above
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        share = _share_told_apart(noise, middle, columns, level)
        if share < POWER:
            below = middle
        else:
            above = middle
    return above


def _share_told_apart(noise: Floats, effect: float, columns: int, level: float) -> float:
    """The share of pairs with the first row that are told apart once that row lies `effect` away.

    The tests are those of `upbench.report.statistics.compare_rows`, written out for all runs at once.

    Args:
        noise: (runs, seeds, rows).
        effect: in standard deviations of the difference of two rows.
        columns: columns that are corrected together.
        level: the confidence level.
    """
    _, seeds, rows = noise.shape
    alpha = 1 - level
    # a difference of two rows has sqrt(2) times the deviation of one of them
    distance = effect * np.sqrt(2)
    first_row = np.eye(rows)[0]
    blocks = noise + distance * first_row
    left, right = np.triu_indices(rows, 1)
    difference = blocks[:, :, left] - blocks[:, :, right]
    mean = np.abs(difference.mean(1))
    deviation = difference.std(1, ddof=1)
    t = mean / deviation * np.sqrt(seeds)

    # the step of Shaffer's that decides on the pairs with the first row
    pairs = most_equal_pairs(rows)
    with_first_row = left == 0
    told_apart = t[:, with_first_row] > _critical_t(alpha / pairs, seeds)

    # the gate before it; from three rows on `omnibus_p` doubles its p-value, for its choice of two tests
    tests = columns if rows < 3 else 2 * columns
    freedom = rows - 1
    rest_freedom = (rows - 1) * (seeds - 1)
    critical_f = stats.f.isf(alpha / tests, freedom, rest_freedom)
    by_f_test = _f_values(blocks) > critical_f
    all_pairs = len(left)
    by_surest_pair = t.max(1) > _critical_t(alpha / (tests * all_pairs), seeds)
    gate_open = by_f_test | by_surest_pair
    found = told_apart & gate_open[:, None]
    return float(found.mean())


def _critical_t(alpha: float, seeds: int) -> float:
    """The value of t at which a two-sided paired test over the seeds is significant at the level `alpha`."""
    one_side = alpha / 2
    return float(stats.t.isf(one_side, seeds - 1))


def _f_values(blocks: Floats) -> Floats:
    """The F statistic of the rows in the additive model row + seed, (runs,), of whole blocks (runs, seeds, rows)."""
    _, seeds, rows = blocks.shape
    by_row = blocks.mean(1)
    by_seed = blocks.mean(2)
    by_run = blocks.mean((1, 2))
    # what neither row nor seed explains; added up from left to right, as the last bits depend on the order
    rest = blocks - by_row[:, None, :]
    rest = rest - by_seed[:, :, None]
    rest = rest + by_run[:, None, None]
    squares = rest**2
    freedom = (rows - 1) * (seeds - 1)
    unexplained = squares.sum((1, 2)) / freedom
    explained = seeds * by_row.var(1, ddof=1)
    return np.asarray(explained / unexplained)

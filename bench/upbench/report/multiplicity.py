"""Corrections of p-values for the number of tests. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjust p-values by Holm's step-down, which keeps the family-wise error rate whatever their dependence.

    Args:
        p_values: (tests,), each from 0 to 1, or NaN where there was nothing to test.

    Returns:
        (tests,), the adjusted p-values. A NaN stays NaN and does not count as a test.

    Source:
        Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6, 65-70.
    """
    adjusted = np.array(p_values, float)
    ascending = np.argsort(adjusted)
    tested = np.isfinite(adjusted[ascending])
    order = ascending[tested]
    factors = np.arange(len(order), 0, -1)
    products = factors * adjusted[order]
    products = np.minimum(1, products)
    # a test is never surer than one that came before it
    adjusted[order] = np.maximum.accumulate(products)
    return adjusted


@cache
def possible_equal_pairs(rows: int) -> tuple[int, ...]:
    """Count the pairs of rows that can truly be equal, in every way that rows can fall into groups of equal ones.

    Args:
        rows: the number of rows, 0 or more.

    Returns:
        The possible numbers of equal pairs, ascending. Of three rows they are 0, 1 and 3: where two pairs are equal,
        so is the third.

    Source:
        Shaffer (1986), J. Am. Stat. Assoc. 81, 826-831.
    """
    if rows < 2:
        return (0,)
    counts: set[int] = set()
    # one group of equal rows of each size, and every way to group the others
    for together in range(1, rows + 1):
        within = comb(together, 2)
        others = rows - together
        for rest in possible_equal_pairs(others):
            counts.add(within + rest)
    return tuple(sorted(counts))


def most_equal_pairs(rows: int) -> int:
    """Count the pairs of rows that can be equal when not all of them are.

    Args:
        rows: the number of rows, 0 or more.

    Returns:
        The largest such number, at least 1: two rows have one pair only, whose p-value keeps the factor 1.
    """
    *unless_all_are, _ = possible_equal_pairs(rows)
    most = max(unless_all_are, default=1)
    return max(1, most)


def shaffer(p_values: Floats) -> Floats:
    """Adjust the p-values of all pairs of rows, given that an omnibus test has found the rows not all equal.

    A step-down like Holm's, whose factor is the largest number of pairs that can still be equal. With the omnibus test
    before it the family-wise error rate is kept; without it, it is not.

    Args:
        p_values: (rows, rows), symmetric.

    Returns:
        (rows, rows), symmetric, 1 on the diagonal.

    Source:
        Shaffer (1986), Modified sequentially rejective multiple test procedures, J. Am. Stat. Assoc. 81, 826-831;
        begun with an F-test as in Seaman, Levin and Serlin (1991), Psychol. Bull. 110, 577-586.
    """
    rows = len(p_values)
    upper = np.triu_indices(rows, 1)
    raw = p_values[upper]
    order = np.argsort(raw, kind="stable")

    counts = np.array(possible_equal_pairs(rows))
    not_yet_rejected = np.arange(len(raw), 0, -1)
    # never all of them: the omnibus test said so
    most = np.minimum(not_yet_rejected, most_equal_pairs(rows))
    # the largest possible count that is not above `most`
    places = np.searchsorted(counts, most, side="right") - 1
    factors = counts[places]

    products = np.minimum(1, factors * raw[order])
    ordered = np.empty(len(raw))
    # a pair is never surer than one that came before it
    ordered[order] = np.maximum.accumulate(products)
    adjusted = np.ones((rows, rows))
    adjusted[upper] = ordered
    # the lower half is still 1, so the minimum mirrors the upper half into it
    return np.minimum(adjusted, adjusted.T)

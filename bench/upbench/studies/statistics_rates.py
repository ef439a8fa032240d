"""What `statistics_simulation` measures: how often an interval or a comparison errs on drawn columns and grids.

A column is a block (seeds, rows), one row a layer, as in `upbench.report.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from upbench.report.statistics import LEVEL, Floats, compare_rows, detectable
from upbench.studies.statistics_methods import INTERVALS, PROCEDURES, Rng

CHUNK = 100  # trials resampled at once, so that the resamples of 40 seeds stay within some 30 MB
SKEW = np.exp(0.5)  # the mean of the standard lognormal distribution
SHARED = 3.0  # standard deviation over seeds of what all layers of a seed share
FAR_BETTER = 30.0  # standard deviations of a layer's noise
SIZES = [(rows, seeds) for rows in (4, 9, 12) for seeds in (3, 5, 10)]

Noise = Callable[[Rng, Sequence[int]], Floats]

# ---- what is drawn: noise of layers over seeds, whatever all share taken away; every noise has mean 0 ----


def _normal(rng: Rng, shape: Sequence[int]) -> Floats:
    return rng.standard_normal(shape)


def _heavy(rng: Rng, shape: Sequence[int]) -> Floats:
    return rng.standard_t(3, shape)


def _skewed(rng: Rng, shape: Sequence[int]) -> Floats:
    return rng.lognormal(0, 1, shape) - SKEW


# the noises of the two layers of a pair
NOISES: dict[str, tuple[Noise, Noise]] = {
    "normal": (_normal, _normal),
    "heavy tails (t, 3 degrees)": (_heavy, _heavy),
    "skewed (lognormal), both layers": (_skewed, _skewed),
    "skewed, one layer; normal, the other": (_skewed, _normal),
}


def _equal_spread(rows: int) -> Floats:
    return np.ones(rows)


def _unequal_spread(rows: int) -> Floats:
    # two noisy layers among quiet ones, as a checkerboard score has them
    return np.where(np.arange(rows) < 2, 5.0, 1.0)


SPREADS: dict[str, Callable[[int], Floats]] = {
    "equal noise": _equal_spread,
    "two layers of 5 x the noise": _unequal_spread,
}

# spread, what a table calls the noise, noise
FALSE_CASES: tuple[tuple[str, str, Noise], ...] = (
    ("equal noise", "normal", _normal),
    ("two layers of 5 x the noise", "normal", _normal),
    ("equal noise", "heavy tails", _heavy),
    ("equal noise", "skewed", _skewed),
)


def draw_block(
    seeds: int,
    means: Floats,
    spread: Floats,
    rng: Rng,
    noise: Noise = _normal,
) -> Floats:
    """Draw the values of one column.

    Args:
        seeds: how many seeds.
        means: the true mean of each row, (rows,).
        spread: the factor on each row's own noise, (rows,).
        rng: the generator.
        noise: the noise of a row before its spread.

    Returns:
        What the seed gives to all rows, plus the row's mean, plus its noise: (seeds, rows).
    """
    # what is shared is drawn first: the order of the draws is that of the published tables
    shared = SHARED * rng.standard_normal((seeds, 1))
    own = spread * noise(rng, (seeds, len(means)))
    return shared + means + own


def draw_grid(
    rows: int,
    seeds: int,
    columns: int,
    different: int,
    rng: Rng,
) -> list[Floats]:
    """Draw the columns of one grid, of which every two are correlated by half.

    Args:
        rows: layers.
        seeds: seeds of each layer.
        columns: columns in all.
        different: in so many columns, the first ones, the first row is far better than the others.
        rng: the generator.

    Returns:
        A block (seeds, rows) for each column.
    """
    shared = rng.standard_normal((seeds, rows))
    spread = np.ones(rows)
    grid = []
    for column in range(columns):
        better = FAR_BETTER if column < different else 0.0
        means = _make_first_better(rows, better)
        block = draw_block(seeds, means, spread, rng)
        grid.append(block + shared)
    return grid


def _make_first_better(rows: int, by: float) -> Floats:
    """Means of rows that are equal, but for the first."""
    return np.where(np.arange(rows) == 0, by, 0.0)


# ---- how often a method errs ----


def coverage(
    method: str,
    noise: str,
    n: int,
    trials: int,
    rng: Rng,
) -> float:
    """Measure how often an interval holds the truth.

    Args:
        method: a name in INTERVALS.
        noise: a name in NOISES.
        n: seeds that both layers have.
        trials: simulated pairs of layers.
        rng: the generator.

    Returns:
        The share of trials whose 95 % interval of the paired difference contains the true one, which is 1.
    """
    our_noise, their_noise = NOISES[noise]
    find_interval = INTERVALS[method]
    inside = 0
    for start in range(0, trials, CHUNK):
        count = min(CHUNK, trials - start)
        ours = 1.0 + our_noise(rng, (count, n))
        theirs = their_noise(rng, (count, n))
        low, high = find_interval(ours - theirs, rng)
        held = (low <= 1) & (high >= 1)
        inside += int(np.sum(held))
    return inside / trials


def false_rate(
    procedure: str,
    rows: int,
    seeds: int,
    spread: str,
    noise: Noise,
    trials: int,
    rng: Rng,
) -> float:
    """Measure how often equal layers are called different.

    Args:
        procedure: a name in PROCEDURES.
        rows: layers, all with the same true mean.
        seeds: seeds of each layer.
        spread: a name in SPREADS.
        noise: the noise of a layer.
        trials: simulated columns.
        rng: the generator.

    Returns:
        The share of columns in which any layer is called different from the one with the best mean.
    """
    compare_rows = PROCEDURES[procedure]
    means = np.zeros(rows)
    spreads = SPREADS[spread](rows)
    wrong = 0
    for _ in range(trials):
        block = draw_block(seeds, means, spreads, rng, noise)
        best = block.mean(0).argmax()
        called = compare_rows(block)
        wrong += bool(called[best].any())
    return wrong / trials


def power(
    procedure: str,
    rows: int,
    seeds: int,
    effect: float,
    trials: int,
    rng: Rng,
) -> float:
    """Measure how much of a true difference is found.

    Args:
        procedure: a name in PROCEDURES.
        rows: layers, of which one is better than the others, which are equal.
        seeds: seeds of each layer.
        effect: how much better, in standard deviations of a difference between two layers.
        trials: simulated columns.
        rng: the generator.

    Returns:
        The mean share of the other layers that the better one is told apart from.
    """
    compare_rows = PROCEDURES[procedure]
    # each layer has noise of deviation 1, so a difference between two has one of sqrt(2)
    means = _make_first_better(rows, effect * np.sqrt(2))
    spread = np.ones(rows)
    shares = []
    for _ in range(trials):
        block = draw_block(seeds, means, spread, rng)
        called = compare_rows(block)
        shares.append(called[0, 1:].mean())
    return float(np.mean(shares))


def power_where_detectable(
    rows: int,
    seeds: int,
    columns: int,
    trials: int,
    rng: Rng,
) -> tuple[float, float]:
    """Measure the power at the difference that `detectable` says can be found; 80 % is what it promises.

    Args:
        rows: layers, of which one is better in the first column and none in the others.
        seeds: seeds of each layer.
        columns: columns of the grid.
        trials: simulated runs, both to ask `detectable` and to measure the power.
        rng: the generator.

    Returns:
        The mean of what `detectable` says, in standard deviations of a difference, and the power there.
    """
    equal = np.zeros(rows)
    spread = np.ones(rows)
    said = []
    for _ in range(trials):
        block = draw_block(seeds, equal, spread, rng)
        said.append(detectable(block, columns))
    # squares are averaged, because they are proportional to variances, whose mean over runs is the true one
    mean_square = np.mean(np.square(said))
    effect = float(np.sqrt(mean_square / 2))
    better = _make_first_better(rows, effect * np.sqrt(2))
    shares = []
    for _ in range(trials):
        first = draw_block(seeds, better, spread, rng)
        others = [draw_block(seeds, equal, spread, rng) for _ in range(columns - 1)]
        grid = [first, *others]
        adjusted = compare_rows(grid)[0]
        called = adjusted[0, 1:] < 1 - LEVEL
        shares.append(called.mean())
    return effect, float(np.mean(shares))


def grids_with_false_calls(
    rows: int,
    seeds: int,
    columns: int,
    different: int,
    trials: int,
    rng: Rng,
) -> tuple[float, float]:
    """Measure in how many grids equal layers are called different in some column.

    Args:
        rows: layers.
        seeds: seeds of each layer.
        columns: columns of the grid.
        different: columns in which one layer is far better. Only the other columns are counted.
        trials: simulated grids.
        rng: the generator.

    Returns:
        Shares of grids with a false call: corrected over the whole grid, and column by column.
    """
    wrong_together = 0
    wrong_alone = 0
    for _ in range(trials):
        grid = draw_grid(rows, seeds, columns, different, rng)
        # both are asked about the same draws, so that their difference is that of the corrections
        together = compare_rows(grid)[different:]
        alone = [compare_rows([block])[0] for block in grid[different:]]
        wrong_together += _any_called(together)
        wrong_alone += _any_called(alone)
    return wrong_together / trials, wrong_alone / trials


def _any_called(adjusted: Sequence[Floats]) -> bool:
    return any((column < 1 - LEVEL).any() for column in adjusted)

"""How often the intervals and comparisons err: `python -m bench.report.simulate` prints the tables of STATISTICS.md.

Every simulated run is drawn from one generator seeded with 0, so the tables repeat to the digit.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.report.statistics import LEVEL, Floats, compare, detectable, holm, paired_p

Rng = np.random.Generator
RESAMPLES = 999
CHUNK = 100  # trials resampled at once

# ---- intervals of a paired difference: one function a method, (trials, n) -> low, high ----

Interval = tuple[Floats, Floats]


def student(data: Floats, rng: Rng) -> Interval:
    n = data.shape[1]
    half = stats.t.ppf((1 + LEVEL) / 2, n - 1) * data.std(1, ddof=1) / np.sqrt(n)
    return data.mean(1) - half, data.mean(1) + half


def percentile(data: Floats, rng: Rng) -> Interval:
    means = data[:, rng.integers(data.shape[1], size=(RESAMPLES, data.shape[1]))].mean(2)
    return np.quantile(means, (1 - LEVEL) / 2, axis=1), np.quantile(means, (1 + LEVEL) / 2, axis=1)


def bca(data: Floats, rng: Rng) -> Interval:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate resamples, whose NaN then covers nothing
        found = stats.bootstrap(
            (data,), np.mean, axis=-1, n_resamples=RESAMPLES, method="BCa", confidence_level=LEVEL, rng=rng
        )
    return found.confidence_interval.low, found.confidence_interval.high


def bootstrap_t(data: Floats, rng: Rng) -> Interval:
    """Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 12.5."""
    n = data.shape[1]
    drawn = data[:, rng.integers(n, size=(RESAMPLES, n))]
    centre, error = data.mean(1), data.std(1, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (drawn.mean(2) - centre[:, None]) / (drawn.std(2, ddof=1) / np.sqrt(n))
    low, high = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1, method="inverted_cdf")
    return centre - high * error, centre - low * error


METHODS: dict[str, Callable[[Floats, Rng], Interval]] = {
    "Student t": student, "percentile bootstrap": percentile, "BCa bootstrap": bca, "bootstrap-t": bootstrap_t,
}  # fmt: skip

# ---- noise of two layers over seeds, whatever both share taken away; all have mean 0 ----

SKEW = np.exp(0.5)  # mean of the standard lognormal distribution


def _normal(rng: Rng, shape: Sequence[int]) -> Floats:
    return rng.standard_normal(shape)


def _heavy(rng: Rng, shape: Sequence[int]) -> Floats:
    return rng.standard_t(3, shape)


def _skewed(rng: Rng, shape: Sequence[int]) -> Floats:
    return rng.lognormal(0, 1, shape) - SKEW


Noise = Callable[[Rng, Sequence[int]], Floats]
NOISES: dict[str, tuple[Noise, Noise]] = {
    "normal": (_normal, _normal),
    "heavy tails (t, 3 degrees)": (_heavy, _heavy),
    "skewed (lognormal), both layers": (_skewed, _skewed),
    "skewed, one layer; normal, the other": (_skewed, _normal),
}


def coverage(method: str, noise: str, n: int, trials: int, rng: Rng) -> float:
    """Share of trials whose 95 % interval of the paired difference of n seeds contains the true one, which is 1."""
    ours, theirs = NOISES[noise]
    inside = 0
    for start in range(0, trials, CHUNK):
        count = min(CHUNK, trials - start)
        low, high = METHODS[method](1.0 + ours(rng, (count, n)) - theirs(rng, (count, n)), rng)
        inside += int(np.sum((low <= 1) & (high >= 1)))
    return inside / trials


# ---- comparisons of all rows of a block: (seeds, rows) -> which pairs are called different ----


Called = NDArray[np.bool_]


def ours(block: Floats) -> Called:
    return compare([block])[0] < 1 - LEVEL


def all_pairs_holm(block: Floats) -> Called:
    upper = np.triu_indices(block.shape[1], 1)
    adjusted = np.ones((block.shape[1],) * 2)
    adjusted[upper] = holm(paired_p(block)[upper])
    return np.minimum(adjusted, adjusted.T) < 1 - LEVEL


def best_holm(block: Floats) -> Called:
    """Only against the row with the best mean, as if it had been named before the run."""
    best = int(block.mean(0).argmax())
    others = [row for row in range(block.shape[1]) if row != best]
    called = np.zeros((block.shape[1],) * 2, bool)
    called[best, others] = called[others, best] = holm(paired_p(block)[best, others]) < 1 - LEVEL
    return called


def tukey(block: Floats) -> Called:
    """Studentised range with one variance for all rows, two-way layout. Source: Miller (1981), section 2.1."""
    seeds, rows = block.shape
    rest = block - block.mean(0) - block.mean(1, keepdims=True) + block.mean()
    freedom = (seeds - 1) * (rows - 1)
    error = np.sqrt((rest**2).sum() / freedom / seeds)
    critical = _studentised_range(rows, freedom)
    return np.abs(block.mean(0)[:, None] - block.mean(0)) > critical * error


_ranges: dict[tuple[int, int], float] = {}


def _studentised_range(rows: int, freedom: int) -> float:
    if (rows, freedom) not in _ranges:
        _ranges[rows, freedom] = float(stats.studentized_range.ppf(LEVEL, rows, freedom))
    return _ranges[rows, freedom]


PROCEDURES: dict[str, Callable[[Floats], Called]] = {
    "this suite": ours, "all pairs by Holm": all_pairs_holm, "against the best by Holm": best_holm,
    "Tukey, one variance": tukey,
}  # fmt: skip

SHARED = 3.0  # standard deviation over seeds of what all layers of a seed share


def _equal(rows: int) -> Floats:
    return np.ones(rows)


def _unequal(rows: int) -> Floats:
    """Two noisy layers among quiet ones, as a checkerboard score has them."""
    return np.where(np.arange(rows) < 2, 5.0, 1.0)


SPREADS: dict[str, Callable[[int], Floats]] = {"equal noise": _equal, "two layers of 5 x the noise": _unequal}


def draw_block(seeds: int, means: Floats, spread: Floats, rng: Rng, noise: Noise = _normal) -> Floats:
    """(seeds, rows): what the seed gives to all rows, the row's mean, and noise of the row's spread."""
    return SHARED * rng.standard_normal((seeds, 1)) + means + spread * noise(rng, (seeds, len(means)))


def false_rate(procedure: str, rows: int, seeds: int, spread: str, noise: Noise, trials: int, rng: Rng) -> float:
    """Share of blocks of layers with equal means in which any layer is called different from the best one."""
    wrong = 0
    for _ in range(trials):
        block = draw_block(seeds, np.zeros(rows), SPREADS[spread](rows), rng, noise)
        wrong += bool(PROCEDURES[procedure](block)[block.mean(0).argmax()].any())
    return wrong / trials


def power(procedure: str, rows: int, seeds: int, effect: float, trials: int, rng: Rng) -> float:
    """Share of the others that a layer, better by `effect` standard deviations of a difference, is told apart from."""
    means = np.where(np.arange(rows) == 0, effect * np.sqrt(2), 0.0)
    blocks = (draw_block(seeds, means, np.ones(rows), rng) for _ in range(trials))
    return float(np.mean([PROCEDURES[procedure](block)[0, 1:].mean() for block in blocks]))


def power_where_detectable(rows: int, seeds: int, columns: int, trials: int, rng: Rng) -> tuple[float, float]:
    """The mean over runs of what `detectable` says, in standard deviations of a difference; the power there.

    The first of the grid's columns has one better layer, the others none.
    """
    said = [detectable(draw_block(seeds, np.zeros(rows), np.ones(rows), rng), columns) for _ in range(trials)]
    effect = float(np.sqrt(np.mean(np.square(said)) / 2))
    found = []
    for _ in range(trials):
        means = [np.where(np.arange(rows) == 0, effect * np.sqrt(2), 0.0), *[np.zeros(rows)] * (columns - 1)]
        grid = [draw_block(seeds, each, np.ones(rows), rng) for each in means]
        found.append((compare(grid)[0][0, 1:] < 1 - LEVEL).mean())
    return effect, float(np.mean(found))


# ---- whole grids ----


def draw_grid(rows: int, seeds: int, columns: int, different: int, rng: Rng) -> list[Floats]:
    """Blocks of one grid; in the first `different` of them the first row is far better. Columns are alike by half."""
    shared = rng.standard_normal((seeds, rows))
    grid = []
    for column in range(columns):
        means = np.where((np.arange(rows) == 0) & (column < different), 30.0, 0.0)
        block = draw_block(seeds, means, np.ones(rows), rng)
        grid.append(block + shared)
    return grid


def grids_with_false_calls(
    rows: int, seeds: int, columns: int, different: int, trials: int, rng: Rng
) -> tuple[float, float]:
    """Shares of grids with a false call in a block of equal layers: corrected over the grid, and block by block."""
    wrong = np.zeros(2)
    for _ in range(trials):
        equal = (grid := draw_grid(rows, seeds, columns, different, rng))[different:]
        together = compare(grid)[different:]
        alone = [compare([block])[0] for block in equal]
        wrong += [any((p < 1 - LEVEL).any() for p in family) for family in (together, alone)]
    return float(wrong[0] / trials), float(wrong[1] / trials)


# ---- the tables ----


def _table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def interval_table(trials: int, rng: Rng) -> str:
    sizes = (3, 5, 7, 10, 20, 40)
    return _table(
        ["noise, interval", *(f"n = {n}" for n in sizes)],
        (
            [f"{noise}: {method}", *(_percent(coverage(method, noise, n, trials, rng)) for n in sizes)]
            for noise in NOISES
            for method in METHODS
        ),
    )


SIZES = [(rows, seeds) for rows in (4, 9, 12) for seeds in (3, 5, 10)]
SIZE_HEAD = [f"{rows} x {seeds}" for rows, seeds in SIZES]


def false_table(trials: int, rng: Rng) -> str:
    cases = [("equal noise", "normal", _normal), ("two layers of 5 x the noise", "normal", _normal),
             ("equal noise", "heavy tails", _heavy), ("equal noise", "skewed", _skewed)]  # fmt: skip
    return _table(
        ["equal layers, layers x seeds", *SIZE_HEAD],
        (
            [
                f"{spread}, {name}: {procedure}",
                *(_percent(false_rate(procedure, rows, seeds, spread, noise, trials, rng)) for rows, seeds in SIZES),
            ]
            for spread, name, noise in cases
            for procedure in PROCEDURES
        ),
    )


def power_table(trials: int, rng: Rng) -> str:
    lines: list[list[object]] = [
        [f"{effect:g} s: {procedure}", *(_percent(power(procedure, *size, effect, trials, rng)) for size in SIZES)]
        for effect in (1.0, 2.0, 4.0)
        for procedure in PROCEDURES
    ]
    return _table(["one layer is better by, layers x seeds", *SIZE_HEAD], lines)


def detectable_table(trials: int, rng: Rng) -> str:
    sizes, counts = [(2, 5), (2, 10), (4, 3), (4, 5), (4, 10), (9, 5), (9, 10), (12, 5)], (1, 8, 20)
    lines: list[list[object]] = []
    for columns in counts:
        found = [power_where_detectable(*size, columns, trials, rng) for size in sizes]
        grid = f"{columns} column{'s' if columns > 1 else ''}"
        lines.append([f"{grid}: `detectable`, in s", *(f"{effect:.2f}" for effect, _ in found)])
        lines.append([f"{grid}: power there, in %", *(_percent(share) for _, share in found)])
    return _table(["layers x seeds", *(f"{rows} x {seeds}" for rows, seeds in sizes)], lines)


def grid_table(trials: int, rng: Rng) -> str:
    sizes, kinds = ((4, 3), (4, 5), (9, 5), (12, 5)), ((8, 0), (16, 0), (16, 8))
    cases = [(*size, *kind) for size in sizes for kind in kinds]
    return _table(
        ["layers x seeds, columns (of these with a real difference)", "corrected over the grid", "column by column"],
        (
            [
                f"{rows} x {seeds}, {columns} ({different})",
                *map(_percent, grids_with_false_calls(rows, seeds, columns, different, trials, rng)),
            ]
            for rows, seeds, columns, different in cases
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="simulated runs behind each figure")
    trials = parser.parse_args().trials
    rng = np.random.default_rng(0)
    print(interval_table(trials, rng))
    print(false_table(trials, rng))
    print(power_table(trials // 2, rng))
    print(detectable_table(trials // 2, rng))
    print(grid_table(trials, rng))


if __name__ == "__main__":
    main()

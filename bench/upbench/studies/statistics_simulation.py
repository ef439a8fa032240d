"""How often do the intervals and comparisons of the suite err? This study prints the tables of STATISTICS.md.

Every simulated run is drawn from one generator seeded with 0, so the tables repeat to the digit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import numpy as np

from upbench.studies.statistics_methods import INTERVALS, PROCEDURES, Rng
from upbench.studies.statistics_rates import (
    FALSE_CASES,
    NOISES,
    SIZES,
    coverage,
    false_rate,
    grids_with_false_calls,
    power,
    power_where_detectable,
)
from upbench.studies.tables import format_table


def _format_shares(name: str, shares: Iterable[float]) -> list[str]:
    """One line of a table: shares in %."""
    return [name, *(f"{100 * share:.1f}" for share in shares)]


def _name_sizes(sizes: Iterable[tuple[int, int]]) -> list[str]:
    return [f"{rows} x {seeds}" for rows, seeds in sizes]


# The loops of the tables nest as their lines and columns do: the order of the draws decides the last digits.


def interval_table(trials: int, rng: Rng) -> str:
    """Write how often each interval holds the truth, by noise and number of seeds."""
    counts = (3, 5, 7, 10, 20, 40)
    head = ["noise, interval"]
    head += [f"n = {n}" for n in counts]
    lines = []
    for noise in NOISES:
        for method in INTERVALS:
            shares = [coverage(method, noise, n, trials, rng) for n in counts]
            lines.append(_format_shares(f"{noise}: {method}", shares))
    return format_table(head, lines)


def false_table(trials: int, rng: Rng) -> str:
    """Write how often equal layers are called different, by noise and procedure."""
    head = ["equal layers, layers x seeds"]
    head += _name_sizes(SIZES)
    lines = []
    for spread, noise_name, noise in FALSE_CASES:
        for procedure in PROCEDURES:
            shares = []
            for rows, seeds in SIZES:
                share = false_rate(procedure, rows, seeds, spread, noise, trials, rng)
                shares.append(share)
            lines.append(_format_shares(f"{spread}, {noise_name}: {procedure}", shares))
    return format_table(head, lines)


def power_table(trials: int, rng: Rng) -> str:
    """Write how often a better layer is told apart, by effect and procedure."""
    head = ["one layer is better by, layers x seeds"]
    head += _name_sizes(SIZES)
    lines = []
    for effect in (1.0, 2.0, 4.0):
        for procedure in PROCEDURES:
            shares = []
            for rows, seeds in SIZES:
                share = power(procedure, rows, seeds, effect, trials, rng)
                shares.append(share)
            lines.append(_format_shares(f"{effect:g} s: {procedure}", shares))
    return format_table(head, lines)


def detectable_table(trials: int, rng: Rng) -> str:
    """Write what `detectable` says, and the power there."""
    sizes = [(2, 5), (2, 10), (4, 3), (4, 5), (4, 10), (9, 5), (9, 10), (12, 5)]
    head = ["layers x seeds"]
    head += _name_sizes(sizes)
    lines = []
    for columns in (1, 8, 20):
        grid = "1 column" if columns == 1 else f"{columns} columns"
        effects = []
        shares = []
        for rows, seeds in sizes:
            effect, share = power_where_detectable(rows, seeds, columns, trials, rng)
            effects.append(f"{effect:.2f}")
            shares.append(share)
        lines.append([f"{grid}: `detectable`, in s", *effects])
        lines.append(_format_shares(f"{grid}: power there, in %", shares))
    return format_table(head, lines)


def grid_table(trials: int, rng: Rng) -> str:
    """Write how many whole grids hold a false call."""
    head = [
        "layers x seeds, columns (of these with a real difference)",
        "corrected over the grid",
        "column by column",
    ]
    sizes = ((4, 3), (4, 5), (9, 5), (12, 5))
    grids = ((8, 0), (16, 0), (16, 8))
    lines = []
    for rows, seeds in sizes:
        for columns, different in grids:
            name = f"{rows} x {seeds}, {columns} ({different})"
            shares = grids_with_false_calls(rows, seeds, columns, different, trials, rng)
            lines.append(_format_shares(name, shares))
    return format_table(head, lines)


def main() -> None:
    """Parse the command line and print all tables."""
    parser = argparse.ArgumentParser(
        prog="python -m upbench.studies.statistics_simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=1000,
        help="simulated runs behind each figure",
    )
    trials = parser.parse_args().trials
    # one generator for all: a table depends on how much was drawn for those before it
    rng = np.random.default_rng(0)
    print(interval_table(trials, rng))
    print(false_table(trials, rng))
    # half as many are enough here: they know a power of 80 % to within 3.5 points
    print(power_table(trials // 2, rng))
    print(detectable_table(trials // 2, rng))
    print(grid_table(trials, rng))


if __name__ == "__main__":
    main()

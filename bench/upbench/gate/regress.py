"""Record two checkouts in turn, process by process, compare, and measure once more what was flagged."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from upbench.cell import Cell
from upbench.errors import UserError
from upbench.gate.cells import align_cells
from upbench.gate.checkout import Recorder, cells_of, start
from upbench.gate.compare import Row, compare_sides, select_failing
from upbench.gate.decide import Rule
from upbench.gate.sides import read_side
from upbench.gate.verdict import Verdict
from upbench.progress import count_aloud

SIDES = ("base", "head")


@dataclass(frozen=True)
class Trees:
    """Two checkouts to compare.

    Attributes:
        base: the tree that head is held against.
        head: the tree that is judged.
    """

    base: Path
    head: Path


@dataclass(frozen=True)
class Cells:
    """What each checkout records, by the id that head knows it by.

    Attributes:
        base: the cells as base understands them.
        head: the cells as head understands them.
    """

    base: Mapping[str, Cell]
    head: Mapping[str, Cell]

    @classmethod
    def of(cls, base: Mapping[str, Cell], head: Mapping[str, Cell]) -> Cells:
        """Align the cells of two checkouts, each by its own ids."""
        ids = align_cells(base, head)
        aligned = {}
        for cell_id, cell in base.items():
            head_id = ids.get(cell_id, cell_id)
            aligned[head_id] = cell
        return cls(aligned, head)

    def chosen(self, ids: Collection[str]) -> Cells:
        """Only the cells of those ids. A side without any keeps one cell, for it has to record something."""

        def choose(side: Mapping[str, Cell]) -> dict[str, Cell]:
            """The cells of one side."""
            kept = {cell_id: cell for cell_id, cell in side.items() if cell_id in ids}
            if kept:
                return kept
            first_id = next(iter(side))
            return {first_id: side[first_id]}

        return Cells(choose(self.base), choose(self.head))


def choose_cells(trees: Trees, grid: Path | None, only: Sequence[str]) -> Cells:
    """Find what is to be recorded.

    Args:
        trees: the checkouts.
        grid: the grid of both sides; None for each side's own.
        only: KEY=VALUE conditions that a cell of head has to meet.

    Returns:
        The cells of both sides; with conditions, of base only those that head has as well.

    Raises:
        UserError: a grid is refused, or base has none of the cells that meet the conditions.
    """
    base = cells_of(trees.base, grid)
    head = cells_of(trees.head, grid, only)
    cells = Cells.of(base, head)
    if not only:
        return cells
    # conditions are met by what head calls its cells; base may know none of them
    if not set(head) & set(cells.base):
        raise UserError(f"--only {' '.join(only)}: base has none of these cells; there is nothing to compare")
    return cells.chosen(set(head))


def regress(trees: Trees, cells: Cells, out: Path, *, pairs: int, rule: Rule, console: Console) -> list[Row]:
    """Record head and base, and judge head against base.

    Args:
        trees: the checkouts.
        cells: what each of them records.
        out: the recordings are kept in out/first and, of what was flagged, in out/again.
        pairs: fresh processes of each side.
        rule: when a difference of noisy figures counts.
        console: where progress is told.

    Returns:
        The verdicts. What the second measurement does not repeat is only ambiguous.
    """
    first = _record_and_compare(trees, cells, out / "first", pairs, True, rule, console)
    flagged = select_failing(first)
    if not flagged:
        return first
    console.print(f"{len(flagged)} figures flagged; measuring their cells once more", highlight=False)
    # without a flagged exact figure there is no need to take them again
    exact = any(row.evidence is None for row in flagged)
    flagged_ids = {row.cell for row in flagged}
    flagged_cells = cells.chosen(flagged_ids)
    again = _record_and_compare(trees, flagged_cells, out / "again", pairs, exact, rule, console)
    return confirm(first, again)


def confirm(first: list[Row], again: list[Row]) -> list[Row]:
    """The first rows, where what the second measurement does not repeat is only ambiguous."""
    again_by_figure = {(row.cell, row.metric): row for row in again}
    confirmed = []
    for row in first:
        figure = (row.cell, row.metric)
        second = again_by_figure.get(figure)
        # a figure that is missing the second time has not got better
        if row.verdict.fails and second is not None and not second.verdict.fails:
            note = f"{row.verdict} at first, then {second.verdict}"
            row = dataclasses.replace(row, verdict=Verdict.AMBIGUOUS, note=note)
        confirmed.append(row)
    return confirmed


def _record_and_compare(
    trees: Trees, cells: Cells, out: Path, pairs: int, exact: bool, rule: Rule, console: Console
) -> list[Row]:
    """The verdicts of one measurement, whose recordings are kept in `out`."""
    recorded = record_pairs(trees, cells, out, pairs, exact)
    for _ in count_aloud(recorded, pairs, "pairs of processes", console):
        pass
    return compare_sides(read_side(out / "base"), read_side(out / "head"), rule)


def record_pairs(trees: Trees, cells: Cells, out: Path, pairs: int, exact: bool) -> Iterator[None]:
    """Record base and head `pairs` times each, A B B A, and yield after each pair. Exact figures come with the first.

    The two of a pair run beside each other where there are processors for both, and change places with each pair:
    whatever slows the machine then slows both.
    """
    for side in SIDES:
        (out / side).mkdir(parents=True, exist_ok=True)
    places = find_places(cells.head.values())
    for index in range(pairs):
        # A B B A: what drifts with time then burdens both alike
        order = SIDES if index % 2 == 0 else SIDES[::-1]
        running: list[Recorder] = []
        try:
            for number, side in enumerate(order):
                tree = getattr(trees, side)
                side_cells = getattr(cells, side).values()
                file = (out / side / f"{index:03}.json").resolve()
                cpus = places[number] if places else processors()
                recorder = start(tree, file, side_cells, cpus, exact=exact and index == 0)
                running.append(recorder)
                if not places:
                    recorder.finish()
            if places:
                for recorder in running:
                    recorder.finish()
        finally:
            for recorder in running:
                recorder.process.kill()  # those that have ended do not mind
        yield


def find_places(cells: Iterable[Cell]) -> list[list[int]]:
    """Processors for each of two processes beside each other; none where one after the other has to use them all."""
    free = processors()
    threads = max(cell.threads for cell in cells)
    if len(free) < 2 * threads:
        return []
    return [free[:threads], free[threads : 2 * threads]]


def processors() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))

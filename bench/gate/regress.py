"""Record two checkouts in turn, process by process, compare, and measure once more what was flagged."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.cell import Cell
from bench.gate.cells import aligned
from bench.gate.checkout import Recorder, start
from bench.gate.compare import FAILING, Row, compare, failing
from bench.gate.decide import Rule
from bench.gate.sides import read_side
from bench.run.progress import counted

SIDES = ("base", "head")


@dataclass(frozen=True)
class Trees:
    """Two checkouts to compare."""

    base: Path
    head: Path


@dataclass(frozen=True)
class Cells:
    """What each checkout records, by the id that head knows it by."""

    base: Mapping[str, Cell]
    head: Mapping[str, Cell]

    @classmethod
    def of(cls, base: Mapping[str, Cell], head: Mapping[str, Cell]) -> Cells:
        ids = aligned(base, head)
        return cls({ids.get(cell_id, cell_id): cell for cell_id, cell in base.items()}, head)

    def chosen(self, ids: Collection[str]) -> Cells:
        """Only those ids. A side without any keeps one cell, for it has to record something."""

        def few(side: Mapping[str, Cell]) -> dict[str, Cell]:
            known = {cell_id: cell for cell_id, cell in side.items() if cell_id in ids}
            return known or dict(list(side.items())[:1])

        return Cells(few(self.base), few(self.head))


def regress(trees: Trees, cells: Cells, out: Path, *, pairs: int, rule: Rule, console: Console) -> list[Row]:
    """Verdicts on head against base; the recordings are kept in out/first and, of what was flagged, out/again."""
    first = _compare(trees, cells, out / "first", pairs, True, rule, console)
    flagged = failing(first)
    if not flagged:
        return first
    console.print(f"{len(flagged)} figures flagged; measuring their cells once more", highlight=False)
    exact = any(row.evidence is None for row in flagged)
    again = cells.chosen({row.cell for row in flagged})
    return confirm(first, _compare(trees, again, out / "again", pairs, exact, rule, console))


def confirm(first: list[Row], again: list[Row]) -> list[Row]:
    """The first rows, where what the second measurement does not repeat is only ambiguous."""
    second = {(row.cell, row.metric): row for row in again}

    def settle(row: Row) -> Row:
        other = second.get((row.cell, row.metric))
        if row.verdict not in FAILING or other is None or other.verdict in FAILING:
            return row
        return dataclasses.replace(row, verdict="ambiguous", note=f"{row.verdict} at first, then {other.verdict}")

    return [settle(row) for row in first]


def _compare(trees: Trees, cells: Cells, out: Path, pairs: int, exact: bool, rule: Rule, console: Console) -> list[Row]:
    for _ in counted(record_pairs(trees, cells, out, pairs, exact), pairs, "pairs of processes", console):
        pass
    return compare(read_side(out / "base"), read_side(out / "head"), rule)


def record_pairs(trees: Trees, cells: Cells, out: Path, pairs: int, exact: bool) -> Iterator[None]:
    """Record base and head `pairs` times each, A B B A; yields after each pair. Exact figures come with the first.

    The two of a pair run beside each other where there are processors for both, and change places with each pair:
    whatever slows the machine then slows both.
    """
    for side in SIDES:
        (out / side).mkdir(parents=True, exist_ok=True)
    beside = places(cells.head.values())
    for index in range(pairs):
        running: list[Recorder] = []
        order = SIDES if index % 2 == 0 else SIDES[::-1]
        try:
            for side, place in zip(order, beside, strict=True):
                tree, file = getattr(trees, side), (out / side / f"{index:03}.json").resolve()
                wanted = getattr(cells, side).values()
                running.append(start(tree, file, wanted, place or processors(), exact=exact and not index))
                if not place:
                    running[-1].finish()
            for recorder in running if all(beside) else ():
                recorder.finish()
        finally:
            for recorder in running:
                recorder.process.kill()  # those that have ended do not mind
        yield


def places(cells: Iterable[Cell]) -> tuple[list[int], list[int]]:
    """Processors for each of two processes beside each other; none where one after the other has to use them all."""
    free, threads = processors(), max(cell.threads for cell in cells)
    return (free[:threads], free[threads : 2 * threads]) if len(free) >= 2 * threads else ([], [])


def processors() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))

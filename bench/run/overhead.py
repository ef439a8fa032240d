"""What the harness costs and what a second worker gives: `python -m bench.run.overhead ablations/quick.toml`.

Runs the same cells with one worker and with two, in turn (1 2 2 1), into folders that are thrown away. Cells that time
something run alone in any case, and are left out. RUNNING.md has the figures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.cell import Cell
from bench.run.grid import Grid, load_grid
from bench.run.progress import Progress
from bench.run.runner import Plan, check_ready, execute, plan, select
from bench.run.store import Record, Store
from bench.tasks import TASKS


@dataclass(frozen=True)
class Pass:
    """One run of all cells: seconds of wall clock from the first cell's start to the last one's end."""

    workers: int
    wall: float
    records: list[Record]

    @property
    def rate(self) -> float:
        """Cells an hour."""
        return 3600 * len(self.records) / self.wall

    @property
    def computing(self) -> float:
        """Seconds within the cells' tasks: data mapped, network built, trained, evaluated."""
        return sum(record.computing or 0.0 for record in self.records)

    @property
    def duration(self) -> float:
        """Seconds of all processes, from start to end."""
        return sum(record.duration for record in self.records)


def learning(grid: Grid) -> Grid:
    """The grid without cells that run alone, and without those that wait for trials."""

    def shared(cell: Cell) -> bool:
        return not TASKS.get(cell.task.name).exclusive

    parts = (replace(e, cells=tuple(filter(shared, e.cells)), choices=()) for e in grid.experiments)
    return replace(grid, experiments=tuple(parts))


def run_once(grid: Grid, planned: Plan, workers: int, data: Path | None) -> Pass:
    """All cells with so many workers. Raises RuntimeError if one does not end well."""
    with TemporaryDirectory(prefix="upbench-overhead-") as folder:
        store = Store(Path(folder))
        with store.opened():
            began = time.perf_counter()
            records = execute(
                planned,
                store,
                workers=workers,
                data=data,
                timeout=grid.timeout,
                progress=Progress(Console(quiet=True)),
            )
            wall = time.perf_counter() - began
    if bad := [record.reason for record in records if record.outcome != "ok"]:
        raise RuntimeError(f"{len(bad)} cells did not end well: {bad[0]}")
    return Pass(workers, wall, records)


def report(passes: Sequence[Pass]) -> list[str]:
    """Lines for a person: where the time of a cell goes, and the ratio of the rates with its spread."""
    one, two = ([p for p in passes if p.workers == workers] for workers in (1, 2))
    computing, duration, wall = (sum(getattr(p, name) for p in one) for name in ("computing", "duration", "wall"))
    cells = sum(len(p.records) for p in one)
    ratios = [b.rate / a.rate for a, b in zip(one, two, strict=True)]
    return [
        f"one worker, {cells} cells, seconds a cell: {wall / cells:.2f}, of which",
        f"  {computing / cells:.2f} ({computing / wall:.1%}) training and evaluation",
        f"  {(duration - computing) / cells:.2f} ({(duration - computing) / wall:.1%}) its process: fork, results, end",
        f"  {(wall - duration) / cells:.2f} ({(wall - duration) / wall:.1%}) between cells: records, progress",
        f"two workers against one: {statistics.geometric_mean(ratios):.2f} times the cells an hour "
        f"({', '.join(f'{ratio:.2f}' for ratio in ratios)})",
    ]


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.run.overhead", description=__doc__)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--only", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=1, help="how often 1 2 2 1 is gone through")
    arguments = parser.parse_args()
    grid = learning(select(load_grid(arguments.grid), arguments.only))
    with TemporaryDirectory(prefix="upbench-overhead-") as folder:
        planned = plan(grid, Store(Path(folder)), retry=False)
    check_ready(planned.todo, arguments.data)
    run_once(grid, replace(planned, todo=planned.todo[:1]), 1, arguments.data)  # starts the fork server, fills caches
    passes = [run_once(grid, planned, workers, arguments.data) for workers in (1, 2, 2, 1) * arguments.rounds]
    print("\n".join(report(passes)))


if __name__ == "__main__":
    main()

"""What does the harness cost, and what does a second worker give? Run `python -m upbench.studies.overhead GRID`.

The same cells are run with one worker and with two, in turn (1 2 2 1), into folders that are thrown away. Cells that
time something run alone in any case, and are left out. RUNNING.md has the figures.
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

from upbench.errors import UserError
from upbench.grid.load import find_grid, load_grid
from upbench.grid.select import select
from upbench.grid.types import Grid
from upbench.run.executor import Terms
from upbench.run.pool import LocalPool
from upbench.run.progress import Progress
from upbench.run.runner import Plan, check_ready, execute, plan
from upbench.store.record import Record
from upbench.store.results import Records
from upbench.store.store import Store
from upbench.tasks import TASKS

TURNS = (1, 2, 2, 1)  # workers; what changes steadily with time is then the same for both


@dataclass(frozen=True)
class Pass:
    """One run of all cells.

    Attributes:
        workers: cells run at once.
        wall: seconds of wall clock from the first cell's start to the last one's end.
        records: the record of every cell.
    """

    workers: int
    wall: float
    records: list[Record]

    @property
    def rate(self) -> float:
        """Cells an hour."""
        return 3600 * len(self.records) / self.wall

    @property
    def computing(self) -> float:
        """Seconds within the tasks of all cells: data mapped, network built, trained, evaluated."""
        return sum(record.computing or 0.0 for record in self.records)

    @property
    def duration(self) -> float:
        """Seconds that the processes of all cells lived."""
        return sum(record.duration for record in self.records)


def keep_learning_cells(grid: Grid) -> Grid:
    """Leave out the cells that run alone, and those that wait for trials."""
    experiments = []
    for experiment in grid.experiments:
        cells = []
        for cell in experiment.cells:
            task = TASKS.get(cell.task.name)
            if not task.exclusive:
                cells.append(cell)
        experiments.append(replace(experiment, cells=tuple(cells), choices=()))
    return replace(grid, experiments=tuple(experiments))


def run_once(grid: Grid, planned: Plan, workers: int, data: Path | None) -> Pass:
    """Run all planned cells with so many workers, in a store of their own.

    Raises RuntimeError if one of them does not end well, for its time would not be that of the others.
    """
    with TemporaryDirectory(prefix="upbench-overhead-") as folder:
        store = Store(Path(folder))
        terms = Terms(store.scratch, data, grid.timeout)
        with store.opened():
            began = time.perf_counter()
            records = execute(
                planned,
                Records(store),
                LocalPool(),
                terms,
                workers=workers,
                progress=Progress(Console(quiet=True)),
            )
            wall = time.perf_counter() - began
    reasons = [record.reason for record in records if not record.ended_well]
    if reasons:
        raise RuntimeError(f"{len(reasons)} cells did not end well: {reasons[0]}")
    return Pass(workers, wall, records)


def describe(passes: Sequence[Pass]) -> str:
    """Say in lines where the time of a cell goes, and how much faster two workers are, with the spread."""
    one_worker = [each for each in passes if each.workers == 1]
    two_workers = [each for each in passes if each.workers == 2]
    cells = 0
    wall = duration = computing = 0.0
    for each in one_worker:
        cells += len(each.records)
        wall += each.wall
        duration += each.duration
        computing += each.computing
    parts = {
        "training and evaluation": computing,
        "its process: fork, results, end": duration - computing,
        "between cells: records, progress": wall - duration,
    }
    lines = [f"one worker, {cells} cells, seconds a cell: {wall / cells:.2f}, of which"]
    for what, seconds in parts.items():
        share = seconds / wall
        lines.append(f"  {seconds / cells:.2f} ({share:.1%}) {what}")
    # a pass of two workers has the pass of one beside it, so a slow spell of the machine is in both
    pairs = zip(one_worker, two_workers, strict=True)
    ratios = [two.rate / one.rate for one, two in pairs]
    gain = statistics.geometric_mean(ratios)
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    lines.append(f"two workers against one: {gain:.2f} times the cells an hour ({listed})")
    return "\n".join(lines)


def measure(grid_name: str, only: Sequence[str], data: Path | None, rounds: int) -> list[Pass]:
    """Run the learning cells of a grid with one worker and with two, in turn.

    Args:
        grid_name: a grid that comes with upbench, or a TOML file.
        only: conditions KEY=VALUE that the cells have to meet.
        data: the folder of the data sets.
        rounds: how often the turns are gone through.

    Raises:
        UserError: the grid is refused, or what its cells need is not there.
        RuntimeError: a cell did not end well.
    """
    loaded = load_grid(find_grid(grid_name), data=data)
    selected = select(loaded, only)
    grid = keep_learning_cells(selected)
    with TemporaryDirectory(prefix="upbench-overhead-") as folder:
        empty = Store(Path(folder))
        planned = plan(grid, Records(empty), retry=False)
    if not planned.todo:
        raise UserError(f"{grid_name} has no cell that learns; the others run alone in any case")
    check_ready(planned.todo, data)
    # not counted: it starts the server that all processes are forked from, and fills caches
    first_cell = replace(planned, todo=planned.todo[:1])
    run_once(grid, first_cell, 1, data)
    return [run_once(grid, planned, workers, data) for workers in TURNS * rounds]


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(
        prog="python -m upbench.studies.overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("grid", help="a grid that comes with upbench, such as quick, or a TOML file")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only cells with this setting",
    )
    parser.add_argument("--data", type=Path, help="the folder of the data sets")
    parser.add_argument("--rounds", type=int, default=1, help="how often 1 2 2 1 is gone through")
    arguments = parser.parse_args()
    try:
        passes = measure(arguments.grid, arguments.only, arguments.data, arguments.rounds)
    except UserError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(describe(passes))


if __name__ == "__main__":
    main()

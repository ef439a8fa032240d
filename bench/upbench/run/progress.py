"""What a person sees while a grid runs: a live display in a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from upbench.cell import Cell
from upbench.progress import LINE_EVERY, format_duration
from upbench.run.executor import Batch
from upbench.store.record import Record


class Progress:
    """Told what starts, runs and ends; prints it with an estimate of the time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.batches: Sequence[Batch] = ()
        self.records: dict[str, Record] = {}
        self.active: tuple[Cell, ...] = ()
        self.began = self.printed = time.monotonic()
        # a live display redraws its lines, which is noise in a file
        self.live = Live(console=console, refresh_per_second=2, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def start(self, batches: Sequence[Batch], kept: int) -> None:
        """Say what is about to run, and how many cells need not."""
        self.batches = batches
        count = sum(len(batch.cells) for batch in batches)
        self.console.print(f"{count} cells to run, {kept} already there", highlight=False)

    def show_running(self, cells: tuple[Cell, ...]) -> None:
        """Show which cells are at work: at once in a terminal, now and then elsewhere."""
        self.active = cells
        if self.live:
            self.live.update(self._display())
        elif time.monotonic() - self.printed > LINE_EVERY:
            self.printed = time.monotonic()
            self.console.print(self._line(), highlight=False, soft_wrap=True)

    def show_ended(self, cell: Cell, record: Record) -> None:
        """Count a cell as done, and say at once if it did not end well."""
        self.records[record.id] = record
        if not record.ended_well:
            line = f"{record.outcome}: {cell}: {record.reason}"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _line(self) -> str:
        total = sum(len(batch.cells) for batch in self.batches)
        line = f"{len(self.records)} of {total} cells done after {format_duration(time.monotonic() - self.began)}"
        seconds_left = estimate_time_left(self.batches, self.records)
        if seconds_left is not None:
            line += f", about {format_duration(seconds_left)} left"
        return line

    def _display(self) -> Table:
        table = Table.grid()
        table.add_row(self._line())
        for cell in self.active:
            table.add_row(f"  running {cell}", style="dim")
        return table


def estimate_time_left(batches: Sequence[Batch], records: Mapping[str, Record]) -> float | None:
    """Seconds until all cells are done, None before the first one is.

    A cell is expected to take the mean of the finished ones of the same task and model, or of all if there are none.
    """
    if not records:
        return None
    durations = defaultdict(list)
    for batch in batches:
        for cell in batch.cells:
            if cell.id in records:
                durations[like_cells(cell)].append(records[cell.id].duration)
    expected = {like: sum(times) / len(times) for like, times in durations.items()}
    overall = sum(record.duration for record in records.values()) / len(records)
    seconds = 0.0
    for batch in batches:
        waiting = [cell for cell in batch.cells if cell.id not in records]
        # as if the cells of a batch shared their time evenly
        work = sum(expected.get(like_cells(cell), overall) for cell in waiting)
        seconds += work / batch.at_once
    return seconds


def like_cells(cell: Cell) -> tuple[str, str]:
    """What cells have in common that take about the same time."""
    return cell.task.name, cell.model.name

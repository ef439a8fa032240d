"""What a person sees while a grid runs: a live display in a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bench.cell import Cell
from bench.run.store import Record

LINE_EVERY = 15.0  # seconds between plain lines

T = TypeVar("T")
Batches = list[tuple[list[Cell], int]]


class Progress:
    """Told what starts, runs and ends; prints it with an estimate of the time left."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.batches: Batches = []
        self.records: dict[str, Record] = {}
        self.active: list[Cell] = []
        self.began = self.printed = time.monotonic()
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

    def start(self, batches: Batches, kept: int) -> None:
        self.batches = batches
        count = sum(len(cells) for cells, _ in batches)
        self.console.print(f"{count} cells to run, {kept} already there", highlight=False)

    def running(self, cells: list[Cell]) -> None:
        self.active = cells
        if self.live:
            self.live.update(self._display())
        elif time.monotonic() - self.printed > LINE_EVERY:
            self.printed = time.monotonic()
            self.console.print(self._line(), highlight=False, soft_wrap=True)

    def ended(self, cell: Cell, record: Record) -> None:
        self.records[record.id] = record
        if record.outcome != "ok":
            self.console.print(
                f"{record.outcome}: {cell}: {record.reason}", highlight=False, markup=False, soft_wrap=True
            )

    def _line(self) -> str:
        total = sum(len(cells) for cells, _ in self.batches)
        left = time_left(self.batches, self.records)
        estimate = "" if left is None else f", about {_clock(left)} left"
        return f"{len(self.records)} of {total} cells done after {_clock(time.monotonic() - self.began)}{estimate}"

    def _display(self) -> Table:
        table = Table.grid()
        table.add_row(self._line())
        for cell in self.active:
            table.add_row(f"  running {cell}", style="dim")
        return table


def time_left(batches: Batches, records: dict[str, Record]) -> float | None:
    """Seconds until all cells are done, None before the first one is.

    A cell is expected to take the mean of the finished ones of the same task and model, or of all if there are none.
    """
    if not records:
        return None
    durations = defaultdict(list)
    for cells, _ in batches:
        for cell in cells:
            if cell.id in records:
                durations[kind(cell)].append(records[cell.id].duration)
    overall = sum(record.duration for record in records.values()) / len(records)
    expected = {kind: sum(times) / len(times) for kind, times in durations.items()}
    return sum(
        sum(expected.get(kind(cell), overall) for cell in cells if cell.id not in records) / workers
        for cells, workers in batches
    )


def kind(cell: Cell) -> tuple[str, str]:
    """Cells of one kind take about the same time."""
    return cell.task.name, cell.model.name


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def counted(items: Iterable[T], total: int, what: str, console: Console) -> Iterator[T]:
    """Pass the items on, and say now and then how many of `total` are done and how long the rest will take."""
    began = printed = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if console.is_terminal or now - printed > LINE_EVERY or done == total:
            printed = now
            left = "" if done == total else f", about {_clock((now - began) / done * (total - done))} left"
            line = f"{done} of {total} {what} after {_clock(now - began)}{left}"
            console.print(line, end="\r" if console.is_terminal and done < total else "\n", highlight=False)

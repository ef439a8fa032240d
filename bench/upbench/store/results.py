"""A results folder read once: the grid with its choices closed, and the record of every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from upbench.errors import UserError
from upbench.grid.types import Grid
from upbench.store.record import Record
from upbench.store.store import Store
from upbench.store.tune import close_choices


class Records:
    """The records of a results folder, each read from its file at most once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, Record | None] = {}

    def get(self, cell_id: str) -> Record | None:
        """The record of a cell, or None if there is none. Raises UserError for a damaged file."""
        if cell_id not in self._known:
            self._known[cell_id] = self.store.read(cell_id)
        return self._known[cell_id]

    def get_readable(self, cell_id: str) -> Record | None:
        """The record of a cell, or None if there is none or it cannot be read."""
        try:
            return self.get(cell_id)
        except UserError:
            # not remembered: who needs the record is still told that it is damaged
            return None

    def add(self, record: Record) -> None:
        """Take the record that has just been written."""
        self._known[record.id] = record


@dataclass(frozen=True)
class Results:
    """What a results folder holds. Tables, pictures, status and gate take this and read no record again.

    Attributes:
        root: the folder.
        grid: the grid; an open cell whose trials have ended is a cell of it.
        records: the record of each cell of the grid that has one, by cell id.
    """

    root: Path
    grid: Grid
    records: Mapping[str, Record]

    @cached_property
    def store(self) -> Store:
        """The folder's layout, for the arrays beside the records."""
        return Store(self.root)


def read_results(root: Path) -> Results:
    """Read a results folder: its grid once, and the record of each of its cells once.

    Raises UserError if `root` is no results folder, or a file in it is damaged.
    """
    store = Store(root)
    return gather_results(store.read_grid(), Records(store))


def gather_results(grid: Grid, records: Records) -> Results:
    """The results of a grid that is at hand, of whose records some may be known already.

    Raises UserError for a record that is damaged.
    """
    closed = close_choices(grid, records.get)
    found = {}
    for cell_id in closed.cells:
        record = records.get(cell_id)
        if record is not None:
            found[cell_id] = record
    return Results(records.store.root, closed, found)

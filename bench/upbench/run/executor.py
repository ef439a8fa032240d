"""The contract of an executor: what runs cells, each in a process of its own, wherever that is.

An executor neither plans nor stores. It is given batches of cells and yields what happens to them; the runner, the one
process that writes the results folder, does the rest.
"""

from __future__ import annotations

from collections.abc import Container, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from upbench.cell import Cell


@dataclass(frozen=True)
class Batch:
    """Cells that may run beside each other.

    Attributes:
        cells: in the order in which they are started.
        at_once: how many of them run at a time.
    """

    cells: tuple[Cell, ...]
    at_once: int


@dataclass(frozen=True)
class Terms:
    """What holds for every cell of a run.

    Attributes:
        scratch: an empty folder, in which each cell gets a folder to write to.
        data: the folder of data sets, if one was named.
        timeout: seconds of wall clock after which a cell is ended.
        keep_seeds: the seeds of the cells whose compared arrays are kept, see `upbench.store.kept`.
    """

    scratch: Path
    data: Path | None
    timeout: float
    keep_seeds: Container[int] = ()


@dataclass(frozen=True)
class Running:
    """An event: these cells are at work now. It comes whenever they change, and at least every second."""

    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Ended:
    """An event: the process of a cell is over.

    Attributes:
        cell: which.
        result: the outcome and what belongs to it, as fields of a `Record`.
        duration: seconds from the start of the process to its end.
        arrays: the archive for the figures, if the cell wrote one.
        kept: the archive of what its metrics compared, if it was asked for.
    """

    cell: Cell
    result: dict[str, Any]
    duration: float
    arrays: Path | None = None
    kept: Path | None = None


class Executor(Protocol):
    """Runs batches of cells."""

    def run(self, batches: Sequence[Batch], terms: Terms) -> Generator[Ended | Running]:
        """Run each batch to its end before the next, and yield what happens.

        Exactly one `Ended` comes for every cell. Closing the generator ends what still runs.
        """
        ...

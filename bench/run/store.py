"""Where results live: one JSON file a cell, the truth; beside it an archive of arrays for the figures."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.cell import Cell
from bench.errors import UserError
from bench.run.grid import Grid
from bench.run.tune import resolve

Outcome = Literal["ok", "failed", "timeout", "out-of-memory", "diverged"]


class StoredMeasurement(BaseModel):
    """See `bench.tasks.base.Measurement`; repeated here because reading results needs no torch."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    varies: Literal["never", "seed", "machine"]


class Record(BaseModel):
    """What is known of one cell. duration: seconds of wall clock from process start to end.

    computing: those of them in which its task ran, so the rest is what the harness costs; None if it did not end well.
    conditions: load, processors and state of the GPU "before" and "after" that; empty if it did not end well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    id: str
    cell: dict[str, Any]
    outcome: Outcome
    reason: str = ""
    traceback: str = ""
    duration: float
    computing: float | None = None
    fingerprint: str
    environment: dict[str, Any]
    conditions: dict[str, Any] = {}
    measurements: list[StoredMeasurement] = []
    raw: dict[str, Any] = {}


@dataclass(frozen=True)
class Store:
    """A folder of results: grid.json, cells/ID.json, cells/ID.npz and, on request, cells/ID.kept.npz."""

    root: Path

    @property
    def cells(self) -> Path:
        return self.root / "cells"

    def path(self, cell_id: str) -> Path:
        return self.cells / f"{cell_id}.json"

    def arrays(self, cell_id: str) -> Path:
        """Where the cell's arrays are, if it left any."""
        return self.cells / f"{cell_id}.npz"

    def kept(self, cell_id: str) -> Path:
        """Where what the cell's metrics compared is, if it was kept; see `bench.run.kept`."""
        return self.cells / f"{cell_id}.kept.npz"

    @property
    def scratch(self) -> Path:
        """Where running cells write; a sibling of their final place, so that a rename moves them there whole."""
        return self.root / "scratch"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folders and hold the lock that keeps a second run out; scratch is empty before and gone after.

        Raises UserError if the folder cannot be written or another run holds it.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir()
        except Timeout:
            raise UserError(
                f"results folder {self.root} is in use by another run; wait for it or name another"
            ) from None
        except OSError as error:
            raise UserError(f"results folder {self.root} cannot be written: {error.strerror or error}") from None
        try:
            yield
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)
            lock.release()

    def read(self, cell_id: str) -> Record | None:
        """The record of a cell, or None if there is none. Raises UserError for a damaged or foreign file."""
        path = self.path(cell_id)
        try:
            record = Record.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"result file {path} cannot be read: {error.strerror or error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            what = f"{place}: {first['msg']}" if place else first["msg"]
            raise UserError(f"result file {path} is damaged ({what}); `upbench run` computes it again") from None
        try:
            its_id = Cell.from_json(record.cell).id
        except (LookupError, TypeError, ValueError):
            its_id = ""  # no cell at all
        if its_id != cell_id:
            raise UserError(f"result file {path} holds another cell; `upbench run` computes it again")
        return record

    def write(self, record: Record, arrays: Path | None = None, kept: Path | None = None) -> None:
        """Store the archives, then the record, so that whoever sees it finds them. Raises UserError if it cannot.

        What an earlier record of the cell kept is gone, as it is not what this one is about.
        """
        try:
            if arrays is not None:
                arrays.replace(self.arrays(record.id))
            self.kept(record.id).unlink(missing_ok=True)
            if kept is not None:
                kept.replace(self.kept(record.id))
            write_atomically(self.path(record.id), record.model_dump_json(indent=1))
        except OSError as error:
            raise UserError(
                f"results folder {self.root} cannot be written: {error.strerror or error}; what it holds is kept, "
                "the same command goes on from there"
            ) from None

    def write_grid(self, grid: Grid) -> None:
        """Raises UserError if the folder cannot be written."""
        try:
            write_atomically(self.root / "grid.json", json.dumps(grid.to_json(), indent=1))
        except OSError as error:
            raise UserError(f"results folder {self.root} cannot be written: {error.strerror or error}") from None

    def read_grid(self) -> Grid:
        """The grid this folder was filled from, its open cells closed where their trials have ended.

        Raises UserError if it holds none or a damaged one.
        """
        path = self.root / "grid.json"
        try:
            grid = Grid.from_json(json.loads(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{self.root} is not a results folder: it has no grid.json; `upbench run` makes one"
            ) from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); run the grid again to restore it") from None
        return resolve(grid, self.read)


def write_atomically(path: Path, text: str) -> None:
    """All of `text` or nothing: a temporary file in the same folder, flushed to the disk and renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_all(store: Store, grid: Grid) -> Mapping[str, Record | None]:
    """The record of every cell of the grid, None where there is none."""
    return {cell_id: store.read(cell_id) for cell_id in grid.cells}

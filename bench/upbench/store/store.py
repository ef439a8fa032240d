"""Where results live: one JSON file a cell, the truth; beside it an archive of arrays for the figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from upbench.cell import Cell
from upbench.errors import UserError
from upbench.files import write_atomically
from upbench.grid.types import Grid
from upbench.store.record import Record


@dataclass(frozen=True)
class Store:
    """A folder of results: grid.json, cells/ID.json, cells/ID.npz and, on request, cells/ID.kept.npz.

    Attributes:
        root: the folder. It need not exist before `opened`.
    """

    root: Path

    @property
    def cells(self) -> Path:
        """The folder of the records."""
        return self.root / "cells"

    @property
    def grid_file(self) -> Path:
        """The file of the grid from which the folder was filled."""
        return self.root / "grid.json"

    @property
    def scratch(self) -> Path:
        """Where running cells write: a sibling of their final place, so that a rename moves a file there whole."""
        return self.root / "scratch"

    def path(self, cell_id: str) -> Path:
        """The file of a cell's record."""
        return self.cells / f"{cell_id}.json"

    def arrays(self, cell_id: str) -> Path:
        """The archive of a cell's arrays, which is there only if the cell left any."""
        return self.cells / f"{cell_id}.npz"

    def kept(self, cell_id: str) -> Path:
        """The archive of what a cell's metrics compared, if it was kept; see `upbench.store.kept`."""
        return self.cells / f"{cell_id}.kept.npz"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folders and hold the lock that keeps a second run out; scratch is empty before and gone after.

        Raises UserError if the folder cannot be written or another run holds it.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
            # what a killed run left there belongs to no record
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir()
        except Timeout:
            raise UserError(
                f"results folder {self.root} is in use by another run; wait for it or name another"
            ) from None
        except OSError as error:
            raise self._cannot_be_written(error) from None
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
        # a file can have been copied under another name
        if _cell_id_of(record) != cell_id:
            raise UserError(f"result file {path} holds another cell; `upbench run` computes it again")
        return record

    def write(self, record: Record, arrays: Path | None = None, kept: Path | None = None) -> None:
        """Store the archives, then the record, so that whoever sees the record finds them.

        What an earlier record of the cell kept is gone, as it is not what this record is about.
        Raises UserError if the folder cannot be written.
        """
        try:
            if arrays is not None:
                arrays.replace(self.arrays(record.id))
            # gone before the new record is there: a record must never stand beside what another one kept
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
        """Store the grid. Raises UserError if the folder cannot be written."""
        try:
            write_atomically(self.grid_file, json.dumps(grid.to_json(), indent=1))
        except OSError as error:
            raise self._cannot_be_written(error) from None

    def read_grid(self) -> Grid:
        """The grid from which the folder was filled, with its open cells as they were then.

        Raises UserError if the folder holds no grid or a damaged one.
        """
        path = self.grid_file
        try:
            return Grid.from_json(json.loads(path.read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{self.root} is not a results folder: it has no grid.json; `upbench run` makes one"
            ) from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); run the grid again to restore it") from None

    def _cannot_be_written(self, error: OSError) -> UserError:
        return UserError(f"results folder {self.root} cannot be written: {error.strerror or error}")


def _cell_id_of(record: Record) -> str:
    """The id of the cell that the record holds, "" if it holds no cell."""
    try:
        return Cell.from_json(record.cell).id
    except (LookupError, TypeError, ValueError):
        return ""

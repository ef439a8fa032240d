"""Metrics of a finished cell once more, from what was kept of it, in the state in which it ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from bench.cell import Cell
from bench.errors import Diverged, UserError
from bench.run.kept import read_kept
from bench.run.store import Record, Store
from bench.run.worker import settle
from bench.tasks.base import Measurement, evaluate, find_metric, kind


@dataclass(frozen=True)
class Comparison:
    """A figure of a cell as it is stored, None if the run did not measure it, and as it is now, None if it is not."""

    cell: Cell
    metric: str
    stored: float | None
    recomputed: float | None

    @property
    def differs(self) -> bool:
        return self.stored is not None and self.stored != self.recomputed


def kept_cells(store: Store) -> list[str]:
    """The ids of the grid's cells of which something was kept. Raises UserError if there are none."""
    found = [cell_id for cell_id in store.read_grid().cells if store.kept(cell_id).exists()]
    if not found:
        raise UserError(
            f"{store.root} keeps no predictions or samples; add `keep_seeds = [0]` at the top of its grid and run that "
            "into another folder"
        )
    return found


def recompute(store: Store, cell_id: str, names: Iterable[str] = ()) -> list[Measurement]:
    """The named metrics, by default those that are stored, of what was kept of the cell.

    Equal to the stored values to the last bit on the machine that ran the cell. Metrics of kinds that the cell does
    not have are left out. Raises UserError if nothing was kept, if it is damaged, for an unknown metric, and for one
    that cannot be computed.
    """
    record = _record(store, cell_id)
    cell = Cell.from_json(record.cell)
    compared, facts = read_kept(store.kept(cell_id))
    chosen = [name for name in names or _measured(record) if kind(name) in compared]
    settle(cell)
    try:
        for name in chosen:
            find_metric(name).check()
        with threadpool_limits(cell.threads):  # the matrix products of NumPy depend on it
            return evaluate(chosen, compared, **facts)
    except (ValueError, Diverged) as error:
        raise UserError(f"{cell} ({cell_id}): {error}") from None


def compare(store: Store, cell_id: str, names: Iterable[str] = ()) -> list[Comparison]:
    """What `recompute` gives beside what is stored, for the named metrics or all that the cell's task measured."""
    record = _record(store, cell_id)
    now = {measurement.metric: measurement.value for measurement in recompute(store, cell_id, names)}
    stored = {measurement.metric: measurement.value for measurement in record.measurements}
    wanted = dict.fromkeys([*now, *(() if names else stored)])
    cell = Cell.from_json(record.cell)
    return [Comparison(cell, metric, stored.get(metric), now.get(metric)) for metric in wanted]


def _measured(record: Record) -> dict[str, None]:
    """The names of the metrics that are stored, without those of their members."""
    return dict.fromkeys(measurement.metric.partition("[")[0] for measurement in record.measurements)


def _record(store: Store, cell_id: str) -> Record:
    if (record := store.read(cell_id)) is None:
        raise UserError(f"{store.path(cell_id)} does not exist: the cell has no result")
    return record

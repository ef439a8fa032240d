"""Metrics of a finished cell once more, from what was kept of it, in the state in which it ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from upbench.cell import Cell
from upbench.errors import Diverged, UserError
from upbench.measurement import Measurement
from upbench.store.kept import read_kept
from upbench.store.record import Record
from upbench.store.results import Results
from upbench.tasks.base import evaluate, find_metric, select_comparable
from upbench.tasks.settled import settled


@dataclass(frozen=True)
class Recomputed:
    """A figure of a cell, as it is stored and as it is now.

    Attributes:
        cell: whose figure it is.
        metric: which.
        stored: None if the run did not measure it.
        now: None if it is not computed now.
    """

    cell: Cell
    metric: str
    stored: float | None
    now: float | None

    @property
    def differs(self) -> bool:
        """Whether a stored figure is another one now, in as little as the last bit."""
        return self.stored is not None and self.stored != self.now


def kept_cells(results: Results) -> list[str]:
    """The ids of the grid's cells of which something was kept. Raises UserError if there are none."""
    ids = [cell_id for cell_id in results.grid.cells if results.store.kept(cell_id).exists()]
    if not ids:
        raise UserError(
            f"{results.root} keeps no predictions or samples; add `keep_seeds = [0]` at the top of its grid and run "
            "that into another folder"
        )
    return ids


def recompute(results: Results, cell_id: str, names: Iterable[str] = ()) -> list[Measurement]:
    """Compute metrics of a cell from what was kept of it.

    Args:
        results: the folder.
        cell_id: one of its cells.
        names: the metrics, by default those that are stored. Metrics that compare what the cell does not have are
            left out.

    Returns:
        The figures, equal to the stored ones to the last bit on the machine that ran the cell.

    Raises UserError if nothing was kept, if it is damaged, for an unknown metric, and for one that cannot be computed.
    """
    record = _find_record(results, cell_id)
    cell = Cell.from_json(record.cell)
    compared, facts = read_kept(results.store.kept(cell_id))
    chosen = select_comparable(names or _stored_metrics(record), compared)
    try:
        # before the state is settled: a file that is lacking is found at once
        for name in chosen:
            find_metric(name).check()
        with settled(cell):
            return evaluate(chosen, compared, **facts)
    except (ValueError, Diverged) as error:
        raise UserError(f"{cell} ({cell_id}): {error}") from None


def recompute_beside_stored(results: Results, cell_id: str, names: Iterable[str] = ()) -> list[Recomputed]:
    """What `recompute` gives beside what is stored, for the named metrics or all that the cell's task measured."""
    record = _find_record(results, cell_id)
    now = {measurement.metric: measurement.value for measurement in recompute(results, cell_id, names)}
    stored = {measurement.metric: measurement.value for measurement in record.measurements}
    wanted = dict.fromkeys(now)  # a dict keeps the order and no name twice
    if not names:
        wanted |= dict.fromkeys(stored)
    cell = Cell.from_json(record.cell)
    return [Recomputed(cell, metric, stored.get(metric), now.get(metric)) for metric in wanted]


def _stored_metrics(record: Record) -> dict[str, None]:
    """The names of the metrics that are stored, without those of their members."""
    return dict.fromkeys(measurement.metric.partition("[")[0] for measurement in record.measurements)


def _find_record(results: Results, cell_id: str) -> Record:
    record = results.records.get(cell_id)
    if record is None:
        raise UserError(f"{results.store.path(cell_id)} does not exist: the cell has no result")
    return record

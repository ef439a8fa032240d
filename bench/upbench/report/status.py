"""How far a run is, for people. It counts records and makes no frame, so that it answers at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from upbench.grid.types import Experiment
from upbench.labels import label_component
from upbench.store.provenance import fingerprint
from upbench.store.record import MISSING, Record
from upbench.store.results import Results


def describe(results: Results, console: Console) -> None:
    """Print a table of cells by experiment and outcome, the stale ones, and the reason of every failure."""
    failures = [record for record in results.records.values() if not record.ended_well]
    # "ok" is the first column and MISSING the last, whether there are any or not
    outcomes = ["ok", *sorted({record.outcome for record in failures}), MISSING]
    stale = _find_stale(results)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("experiment")
    for header in (*outcomes, "stale", "seconds"):
        table.add_column(header, justify="right")
    for experiment in results.grid.experiments:
        table.add_row(*_count_cells(experiment, results, outcomes, stale))
    console.print(table)
    for record in failures:
        console.print(_describe_failure(record), soft_wrap=True)


def _count_cells(experiment: Experiment, results: Results, outcomes: Sequence[str], stale: set[str]) -> Iterable[str]:
    """One row: the experiment's cells by outcome, the stale ones, and the seconds that all of them took."""
    # an open cell has no record yet
    counts: Counter[str] = Counter({MISSING: len(experiment.choices)})
    count_stale = 0
    seconds = 0.0
    for cell in experiment.cells:
        cell_id = cell.id
        record = results.records.get(cell_id)
        if record is None:
            counts[MISSING] += 1
            continue
        counts[record.outcome] += 1
        count_stale += cell_id in stale
        seconds += record.duration
    return [experiment.name, *(str(counts[outcome]) for outcome in outcomes), str(count_stale), f"{seconds:.0f}"]


def _find_stale(results: Results) -> set[str]:
    """The ids of the cells whose records are of other code or other versions than are here now."""
    stale = set()
    for cell_id, cell in results.grid.cells.items():
        record = results.records.get(cell_id)
        if record is not None and record.fingerprint != fingerprint(cell):
            stale.add(cell_id)
    return stale


def _describe_failure(record: Record) -> str:
    """One line on a failed cell."""
    components = [record.cell[key]["name"] for key in ("task", "model", "layer")]
    name = " ".join([*map(label_component, components), f"seed={record.cell['seed']}"])
    # a message may hold brackets, which rich would take for markup
    return f"{record.outcome}: {escape(name)} ({record.id}): {escape(record.reason)}"

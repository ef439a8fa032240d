"""Closes the open cells of a grid: which tuned settings each takes, from the records of its trials alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from bench.cell import Cell
from bench.errors import UserError
from bench.run.grid import Choice, Grid

if TYPE_CHECKING:
    from bench.run.store import Record

Read = Callable[[str], "Record | None"]


def resolve(grid: Grid, read: Read) -> Grid:
    """The grid with every choice whose trials have all ended made a cell. `read`: the record of a cell id, or None."""
    experiments = []
    for experiment in grid.experiments:
        decided = [decide(choice, experiment.metric, read) for choice in experiment.choices]
        cells = {cell.id: cell for cell in (*experiment.cells, *filter(None, decided))}
        left = tuple(choice for choice, cell in zip(experiment.choices, decided, strict=True) if cell is None)
        experiments.append(replace(experiment, cells=tuple(cells.values()), choices=left))
    return replace(grid, experiments=tuple(experiments))


def decide(choice: Choice, metric: str, read: Read) -> Cell | None:
    """The candidate with the best mean metric over its trials, the first of equals; None while a trial has not ended.

    A candidate that lost a trial, by divergence for one, is worse than any that lost fewer.
    Raises UserError if a trial ended well without the metric.
    """
    scores = []
    for cell, ids in zip(choice.candidates, choice.trials, strict=True):
        values = []
        for record in map(read, ids):
            if record is None:
                return None
            if record.outcome == "ok":
                found = [measured for measured in record.measurements if measured.metric == metric]
                if not found:
                    raise UserError(
                        f"{cell} cannot be tuned: its trial {record.id} has no {metric!r}, see the data's val"
                    )
                values += [measured.value if measured.better == "higher" else -measured.value for measured in found]
        scores.append((len(values), fmean(values) if values else 0.0))
    return choice.candidates[max(range(len(scores)), key=scores.__getitem__)]

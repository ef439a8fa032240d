"""Closes the open cells of a grid: which tuned settings each takes, from the records of its trials alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

from upbench.cell import Cell
from upbench.errors import UserError
from upbench.grid.types import Choice, Experiment, Grid
from upbench.store.record import Record

Read = Callable[[str], Record | None]


def close_choices(grid: Grid, read: Read) -> Grid:
    """The grid in which every choice whose trials have all ended has become a cell.

    Args:
        grid: the grid with its open cells.
        read: gives the record of a cell id, or None where there is none yet.
    """
    experiments = tuple(_close_experiment(experiment, read) for experiment in grid.experiments)
    return replace(grid, experiments=experiments)


def _close_experiment(experiment: Experiment, read: Read) -> Experiment:
    cells = {cell.id: cell for cell in experiment.cells}
    still_open = []
    for choice in experiment.choices:
        chosen = choose(choice, experiment.metric, read)
        if chosen is None:
            still_open.append(choice)
        else:
            cells[chosen.id] = chosen
    return replace(experiment, cells=tuple(cells.values()), choices=tuple(still_open))


def choose(choice: Choice, metric: str, read: Read) -> Cell | None:
    """The candidate with the best mean metric over its trials, the first of equals; None while a trial has not ended.

    A candidate that lost a trial, by divergence for one, is worse than any that lost fewer.
    Raises UserError if a trial ended well without the metric.
    """
    best: Cell | None = None
    best_score = (-1, 0.0)  # below that of a candidate without a single figure
    for candidate, trial_ids in zip(choice.candidates, choice.trials, strict=True):
        scores = _trial_scores(candidate, trial_ids, metric, read)
        if scores is None:
            return None
        score = (len(scores), fmean(scores) if scores else 0.0)
        # strictly above, so that the first of equals is taken
        if score > best_score:
            best, best_score = candidate, score
    return best


def _trial_scores(candidate: Cell, trial_ids: tuple[str, ...], metric: str, read: Read) -> list[float] | None:
    """The metric of each trial that ended well, higher being better; None while a trial has not ended."""
    scores = []
    for trial_id in trial_ids:
        record = read(trial_id)
        if record is None:
            return None
        # a trial that diverged has ended too, and counts by being missing here
        if record.ended_well:
            scores.append(_score(record, candidate, metric))
    return scores


def _score(record: Record, candidate: Cell, metric: str) -> float:
    for measurement in record.measurements:
        if measurement.metric == metric:
            return measurement.value if measurement.better == "higher" else -measurement.value
    raise UserError(f"{candidate} cannot be tuned: its trial {record.id} has no {metric!r}, see the data's val")

"""Runs what a grid still lacks, and keeps what it gets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from upbench.cell import Cell
from upbench.data import DATA, decoded
from upbench.errors import UserError
from upbench.grid.types import Experiment, Grid
from upbench.measurement import VALIDATION
from upbench.metrics import METRICS
from upbench.run.executor import Batch, Ended, Executor, Terms
from upbench.run.progress import Progress, like_cells
from upbench.store.provenance import environment, evaluated_metrics, fingerprint
from upbench.store.record import Record
from upbench.store.results import Records
from upbench.store.tune import close_choices
from upbench.tasks import TASKS


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    Attributes:
        todo: cells to run now.
        kept: cells whose stored record stands.
        held: of those, the cells that had failed.
        waiting: the part of the grid that can be planned only after these, when trials have chosen its settings.
    """

    todo: tuple[Cell, ...]
    kept: tuple[Cell, ...]
    held: tuple[Cell, ...]
    waiting: Grid


def plan(grid: Grid, records: Records, *, retry: bool) -> Plan:
    """What is missing, stale or damaged is to do; what failed stays as it is unless `retry`."""
    standing: dict[str, Record | None] = {}

    def find_standing(cell_id: str, cell: Cell) -> Record | None:
        if cell_id not in standing:
            record = records.get_readable(cell_id)
            standing[cell_id] = record if _stands(record, cell, retry) else None
        return standing[cell_id]

    # of the cells that are known first: among them are the trials that choose the others
    for cell_id, cell in grid.cells.items():
        find_standing(cell_id, cell)
    closed = close_choices(grid, standing.get)
    todo, kept, held = [], [], []
    for cell_id, cell in closed.cells.items():
        record = find_standing(cell_id, cell)
        if record is None:
            todo.append(cell)
            continue
        kept.append(cell)
        if not record.ended_well:
            held.append(cell)
    return Plan(tuple(todo), tuple(kept), tuple(held), _open_part(closed))


def _stands(record: Record | None, cell: Cell, retry: bool) -> bool:
    """Whether a stored record makes running the cell again superfluous."""
    if record is None or record.fingerprint != fingerprint(cell):
        return False
    return record.ended_well or not retry


def _open_part(grid: Grid) -> Grid:
    """The choices of a grid and the trials they wait for, without the rest."""
    trials: set[str] = set()
    for choice in grid.choices:
        trials |= choice.trial_ids
    experiments = []
    for experiment in grid.experiments:
        cells = tuple(cell for cell in experiment.cells if cell.id in trials)
        experiments.append(replace(experiment, cells=cells))
    return replace(grid, experiments=tuple(experiments))


def check_ready(cells: Iterable[Cell], data: Path | None) -> None:
    """Raises UserError if data, a metric's file or a device that the cells need is not there, or if data are damaged.

    Data are decoded here, unless that was done before, so that no cell's time goes into it.
    """
    cells = tuple(cells)
    # a data set that many cells share is looked at once
    specs = {repr(cell.data): cell.data for cell in cells if cell.data is not None}
    for spec in specs.values():
        DATA.build(spec.name, **spec.options).check(data)
    metrics = dict.fromkeys(name for cell in cells for name in evaluated_metrics(cell))
    for name in metrics:
        METRICS.get(name.removeprefix(VALIDATION)).check()
    if any(cell.device == "cuda" for cell in cells):
        _check_cuda()
    # last, as it can take minutes: by now everything else is known to be there
    for spec in specs.values():
        decoded.prepare(spec, data)


def _check_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise UserError("device 'cuda' is not available on this machine; run with --device cpu")


def execute(
    plan: Plan, records: Records, executor: Executor, terms: Terms, *, workers: int | None, progress: Progress
) -> list[Record]:
    """Run the plan's cells and store each as it ends; then those whose settings these have chosen.

    Args:
        plan: what is to do.
        records: what is known of the results folder, which must be open; each new record is added.
        executor: what runs the cells.
        terms: what holds for every cell.
        workers: cells at once, by default as many as their threads fit the processor. Cells of an exclusive task run
            alone.
        progress: told what happens.

    Returns:
        The records of this run, and those of cells chosen in it that had failed before.

    Raises UserError when the results folder cannot be written.
    """
    first = schedule(plan.todo, workers)
    expected = schedule([choice.candidates[0] for choice in plan.waiting.choices], workers)
    with progress:
        progress.start([*first, *expected], len(plan.kept))
        ended = list(_run_batches(first, records, executor, terms, progress))
        # the trials have ended, so what waited for them can be planned
        if plan.waiting.choices:
            later = _plan_chosen(plan.waiting, records)
            batches = schedule(later.todo, workers)
            progress.batches = [*first, *batches]
            ended += _run_batches(batches, records, executor, terms, progress)
            for cell in later.held:
                record = records.get(cell.id)
                if record is not None:
                    ended.append(record)
    return ended


def _plan_chosen(waiting: Grid, records: Records) -> Plan:
    """The plan of the cells that were open. Their trials have just been run, and are not run again."""
    closed = close_choices(waiting, records.get)
    experiments: list[Experiment] = []
    for before, after in zip(waiting.experiments, closed.experiments, strict=True):
        # an experiment without choices is here for its trials alone
        experiments.append(after if before.choices else replace(after, cells=()))
    return plan(replace(closed, experiments=tuple(experiments)), records, retry=False)


def _run_batches(
    batches: Sequence[Batch], records: Records, executor: Executor, terms: Terms, progress: Progress
) -> Iterator[Record]:
    with closing(executor.run(batches, terms)) as events:
        for event in events:
            if not isinstance(event, Ended):
                progress.show_running(event.cells)
                continue
            record = _make_record(event)
            records.store.write(record, event.arrays, event.kept)
            records.add(record)
            progress.show_ended(event.cell, record)
            yield record


def schedule(cells: Iterable[Cell], workers: int | None) -> list[Batch]:
    """The batches in which cells run: those of exclusive tasks alone, the others beside each other.

    One exclusive cell of each sort comes first, so that the estimate of the time left is soon about the whole run.
    """
    shared: list[Cell] = []
    exclusive: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if TASKS.get(cell.task.name).exclusive:
            exclusive.setdefault(like_cells(cell), []).append(cell)
        else:
            shared.append(cell)
    # threads of one cell must not wait for those of another
    threads = max((cell.threads for cell in shared), default=1)
    at_once = workers or max(1, available_cores() // threads)
    first = tuple(group[0] for group in exclusive.values())
    rest = tuple(cell for group in exclusive.values() for cell in group[1:])
    return [Batch(first, 1), Batch(tuple(shared), at_once), Batch(rest, 1)]


def available_cores() -> int:
    """Processors this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _make_record(ended: Ended) -> Record:
    return Record(
        id=ended.cell.id,
        cell=ended.cell.to_json(),
        duration=round(ended.duration, 3),
        fingerprint=fingerprint(ended.cell),
        environment=environment(),
        **ended.result,
    )

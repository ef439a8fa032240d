"""What a grid asks for is held against what its components can do, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from upbench.cell import Cell
from upbench.data import DATA
from upbench.errors import UserError, unknown_name_error
from upbench.grid.expand import SETTINGS
from upbench.grid.spec import NEEDS, FigureSpec, TuneSpec
from upbench.grid.types import Experiment, Grid
from upbench.metrics.base import OPEN
from upbench.models import MODELS
from upbench.tasks import TASKS


def check_cells(cells: Iterable[Cell], data: Path | None, where: str) -> None:
    """Check every cell; cells that differ in the seed alone are checked once.

    Args:
        cells: what is to run.
        data: the folder of data sets, or None where it is not known yet. A data set whose shape only its files tell is
            then not held against the network.
        where: the place in the file, for messages.

    Raises UserError for a cell that cannot be run.
    """
    distinct: dict[str, Cell] = {}
    for cell in cells:
        # a check builds the network, which is the same for every seed
        of_seed_0 = replace(cell, seed=0)
        distinct[of_seed_0.id] = of_seed_0
    for cell in distinct.values():
        _check_cell(cell, data, where)


def _check_cell(cell: Cell, data: Path | None, where: str) -> None:
    task = TASKS.build(cell.task.name, **cell.task.options)
    _check_role(cell, task.roles, where)
    if task.needs_data and cell.data is None:
        raise UserError(f"{where}: task {cell.task.name!r} needs the setting 'data'")
    if not task.needs_data and cell.data is not None:
        raise UserError(f"{where}: task {cell.task.name!r} takes no 'data'")
    try:
        shape = None
        if cell.data is not None:
            # what the files themselves say, where they are at hand
            shape = DATA.build(cell.data.name, **cell.data.options).shape(data)
        task.check(cell, shape)
    except ValueError as error:
        raise UserError(f"{where}: {cell}: {error}") from None


def _check_role(cell: Cell, roles: frozenset[str], where: str) -> None:
    """Raises UserError for a network that the task cannot use."""
    model = MODELS.get(cell.model.name)
    if model.role in roles:
        return
    fitting = [name for name in MODELS if MODELS.get(name).role in roles]
    raise UserError(f"{where}: task {cell.task.name!r} cannot use model {cell.model.name!r}; it can use {fitting}")


def check_tune(tune: TuneSpec, experiment: Experiment, where: str) -> None:
    """Raises UserError for trials that could not choose: no axis, a seed that is reported, an unknown metric."""
    if not tune.axes:
        raise UserError(f"{where}: axes names no setting to try out")
    reported = set()
    for choice in experiment.choices:
        reported |= {cell.seed for cell in choice.candidates}
    usable = tune.seeds and min(tune.seeds) >= 0
    # a seed that also reports would let its own luck choose its settings
    if not usable or reported & set(tune.seeds):
        raise UserError(f"{where}: seeds = {tune.seeds} must be some, none of them reported: {sorted(reported)}")
    known = measured_by(experiment)
    if tune.metric not in known:
        raise unknown_name_error("metric", tune.metric, known, where)


def check_names(what: str, names: list[str], path: Path) -> None:
    """Raises UserError if two experiments, tables or figures have one name."""
    for name in names:
        if names.count(name) > 1:
            hint = "; NAME-tune is that of the trials of NAME" if what == "experiments" else ""
            raise UserError(f"{path}: two {what} are named {name!r}{hint}")


def check_kept_seeds(grid: Grid, path: Path) -> None:
    """Raises UserError for a seed to keep that no cell has."""
    seeds = {cell.seed for cell in grid.cells.values()}
    for choice in grid.choices:
        seeds |= {cell.seed for cell in choice.candidates}
    for seed in grid.keep_seeds:
        if seed not in seeds:
            raise unknown_name_error("seed", seed, map(str, seeds), f"{path}: keep_seeds")


def check_reports(grid: Grid, path: Path) -> None:
    """Raises UserError for a column, a row or an experiment of a table or a figure that no cell has."""
    names = [experiment.name for experiment in grid.experiments]
    columns = set()
    for experiment in grid.experiments:
        columns |= {f"{experiment.name}.{metric}" for metric in measured_by(experiment)}
    for table in grid.tables:
        where = f"{path}: table {table.name!r}"
        for column in table.columns:
            _check_column(column, columns, where)
        for row in table.rows:
            if row.partition(".")[0] not in SETTINGS:
                raise unknown_name_error("row", row, SETTINGS, where)
    for figure in grid.figures:
        _check_figure(figure, columns, names, f"{path}: figure {figure.name!r}")


def measured_by(experiment: Experiment) -> tuple[str, ...]:
    """The metrics that the cells of an experiment can have; all of them have one task."""
    task = experiment.any_cell.task
    metrics: tuple[str, ...] = TASKS.build(task.name, **task.options).measures()
    return metrics


def _check_figure(figure: FigureSpec, columns: set[str], experiments: Iterable[str], where: str) -> None:
    needed = NEEDS[figure.kind]
    for key in needed:
        if not getattr(figure, key):
            raise UserError(f"{where}: kind {figure.kind!r} needs {' and '.join(needed)}; {key} is missing")
    across = figure.x
    if figure.kind == "sweep":
        if across.partition(".")[0] not in SETTINGS:
            raise unknown_name_error("setting", across, SETTINGS, where)
        across = ""  # a setting is no column
    for axis in (figure.y, across):
        if axis:
            _check_column(axis, columns, where)
    if figure.experiment and figure.experiment not in experiments:
        raise unknown_name_error("experiment", figure.experiment, experiments, where)


def _check_column(name: str, columns: set[str], where: str) -> None:
    """Raises UserError for a column that no cell can have.

    `e.iou[*]` among the columns stands for members that only the data know, such as classes, and is no column itself.
    """
    opened = re.sub(r"\[.+\]$", f"[{OPEN}]", name)
    if f"[{OPEN}]" in name or columns.isdisjoint({name, opened}):
        raise unknown_name_error("column", name, columns, where)

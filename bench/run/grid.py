"""A grid: the cells that a TOML file describes, and the tables and figures that they feed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.cell import CHOICES, COMPONENTS, Cell, Spec, flatten
from bench.data import DATA
from bench.errors import UserError, unknown
from bench.layers import LAYERS
from bench.metrics.base import OPEN
from bench.models import MODELS
from bench.registry import Registry
from bench.run.spec import NEEDS, ExperimentSpec, FigureSpec, GridSpec, Settings, TableSpec, TuneSpec, read_spec
from bench.tasks import TASKS

REGISTRIES: dict[str, Registry] = {"task": TASKS, "model": MODELS, "layer": LAYERS, "data": DATA}
SETTINGS = tuple(field.name for field in fields(Cell))


@dataclass(frozen=True)
class Choice:
    """A cell whose tuned settings are open until its trials have ended.

    trials[i], cell ids, speak for candidates[i].
    """

    candidates: tuple[Cell, ...]
    trials: tuple[tuple[str, ...], ...]

    @property
    def id(self) -> str:
        """Of the open cell; no cell has it."""
        return f"open-{self.candidates[0].id}"

    def to_json(self) -> dict[str, Any]:
        return {"candidates": [cell.to_json() for cell in self.candidates], "trials": self.trials}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        return cls(tuple(map(Cell.from_json, value["candidates"])), tuple(map(tuple, value["trials"])))


@dataclass(frozen=True)
class Experiment:
    """The cells of one experiment, in the order of its axes.

    choices: its cells that are still open. tuned: the settings that the trials, the experiment NAME-tune, choose by
    `metric`.
    """

    name: str
    cells: tuple[Cell, ...]
    choices: tuple[Choice, ...] = ()
    tuned: tuple[str, ...] = ()
    metric: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "cells": [cell.to_json() for cell in self.cells],
            "choices": [choice.to_json() for choice in self.choices],
            "tuned": self.tuned,
            "metric": self.metric,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Experiment:
        cells, choices = map(Cell.from_json, value["cells"]), map(Choice.from_json, value.get("choices", ()))
        return cls(value["name"], tuple(cells), tuple(choices), tuple(value.get("tuned", ())), value.get("metric", ""))


@dataclass(frozen=True)
class Grid:
    """title, seconds allowed for one cell, and what the file says of seeds to keep, experiments, tables and figures."""

    title: str
    timeout: float
    keep_seeds: tuple[int, ...]
    experiments: tuple[Experiment, ...]
    tables: tuple[TableSpec, ...]
    figures: tuple[FigureSpec, ...]

    @property
    def cells(self) -> dict[str, Cell]:
        """Every distinct cell by id, in order; one that two experiments share is there once. None is open."""
        return {cell.id: cell for experiment in self.experiments for cell in experiment.cells}

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What is still open, see `bench.run.tune`."""
        return tuple(choice for experiment in self.experiments for choice in experiment.choices)

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "timeout": self.timeout,
            "keep_seeds": list(self.keep_seeds),
            "experiments": [experiment.to_json() for experiment in self.experiments],
            "tables": [table.model_dump() for table in self.tables],
            "figures": [figure.model_dump() for figure in self.figures],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grid:
        return cls(
            value["title"],
            value["timeout"],
            tuple(value.get("keep_seeds", ())),
            tuple(map(Experiment.from_json, value["experiments"])),
            tuple(TableSpec(**table) for table in value["tables"]),
            tuple(FigureSpec(**figure) for figure in value["figures"]),
        )


def load_grid(path: Path, *, device: str | None = None) -> Grid:
    """Read, check and expand a grid. `device` overrides that of every cell.

    Raises UserError for a file that cannot be read, is not TOML, has a key, name, option or value that does not exist,
    or describes a cell that cannot be built.
    """
    spec = read_spec(path)
    overrides = {} if device is None else {"device": device}
    experiments = [each for experiment in spec.experiments for each in _expand(spec, experiment, overrides, path)]
    _check_names("experiments", [experiment.name for experiment in experiments], path)
    _check_names("tables", [table.name for table in spec.tables], path)
    _check_names("figures", [figure.name for figure in spec.figures], path)
    grid = Grid(
        spec.title,
        spec.timeout,
        tuple(spec.keep_seeds),
        tuple(experiments),
        tuple(spec.tables),
        tuple(spec.figures),
    )
    seeds = {cell.seed for cell in (*grid.cells.values(), *(c for choice in grid.choices for c in choice.candidates))}
    for seed in grid.keep_seeds:
        if seed not in seeds:
            raise unknown("seed", seed, map(str, seeds), f"{path}: keep_seeds")
    _check_reports(grid, path)
    return grid


def _expand(grid: GridSpec, experiment: ExperimentSpec, overrides: Settings, path: Path) -> list[Experiment]:
    """The experiment, after that of its trials if it has any."""
    where = f"{path}: experiment {experiment.name!r}"
    axes = grid.axes | experiment.axes
    tried = experiment.tune.axes if experiment.tune else {}
    base = grid.settings | experiment.settings
    for key, values in (axes | tried).items():
        if not values:
            raise UserError(f"{where}: axis {key!r} has no values")
    for key in tried:
        if key in axes or key == "seed" or key.partition(".")[0] == "layer":
            raise UserError(f"{where}: {key!r} cannot be tuned: it is the seed, of the layer, or an axis already")
    left_out = [_cell_pattern(pattern, where) for pattern in experiment.exclude]
    idle = list(left_out)
    open_cells = []
    for chosen, asked in [(c, False) for c in _product(axes)] + [(extra, True) for extra in experiment.include]:
        cells = [_cell(base | chosen | values | overrides, where) for values in _product(tried)]
        idle = [pattern for pattern in idle if not any(_matches(cell, pattern) for cell in cells)]
        cells = [cell for cell in cells if asked or not any(_matches(cell, pattern) for pattern in left_out)]
        open_cells += [tuple(cells)] if cells else []
    if idle:
        raise UserError(f"{where}: exclude {idle[0]} matches no cell; it compares whole values as the axes have them")
    if not open_cells:
        raise UserError(f"{where} has no cells")
    # the check builds the network, seeds share it
    for cell in {replace(cell, seed=0).id: cell for cells in open_cells for cell in cells}.values():
        _check_cell(cell, where)
    if experiment.tune is None:
        return [Experiment(experiment.name, tuple({cell.id: cell for (cell,) in open_cells}.values()))]
    _check_tune(experiment.tune, open_cells, f"{where}: tune")
    return _with_trials(experiment.name, experiment.tune, open_cells)


def _product(axes: Mapping[str, list[Any]]) -> list[Settings]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _with_trials(name: str, tune: TuneSpec, open_cells: list[tuple[Cell, ...]]) -> list[Experiment]:
    choices, trials = {}, dict[str, Cell]()
    for candidates in open_cells:
        runs = [[replace(cell, seed=seed) for seed in tune.seeds] for cell in candidates]
        trials |= {cell.id: cell for cells in runs for cell in cells}
        choice = Choice(candidates, tuple(tuple(cell.id for cell in cells) for cells in runs))
        choices[choice.id] = choice
    return [
        Experiment(f"{name}-tune", tuple(trials.values())),
        Experiment(name, (), tuple(choices.values()), tuple(tune.axes), tune.metric),
    ]


def _check_tune(tune: TuneSpec, open_cells: list[tuple[Cell, ...]], where: str) -> None:
    if not tune.axes:
        raise UserError(f"{where}: axes names no setting to try out")
    reported = {cell.seed for cells in open_cells for cell in cells}
    if not tune.seeds or min(tune.seeds) < 0 or reported & set(tune.seeds):
        raise UserError(f"{where}: seeds = {tune.seeds} must be some, none of them reported: {sorted(reported)}")
    task = open_cells[0][0].task
    measures = TASKS.build(task.name, **task.options).measures()
    if tune.metric not in measures:
        raise unknown("metric", tune.metric, measures, where)


def _check_names(kind: str, names: list[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            hint = "; NAME-tune is that of the trials of NAME" if kind == "experiments" else ""
            raise UserError(f"{path}: two {kind} are named {name!r}{hint}")


def _cell(settings: Settings, where: str) -> Cell:
    """Whole settings first, then dotted ones, which change single options: `"layer.kernel" = 5`."""
    known = [*SETTINGS, *(f"{component}.OPTION" for component in COMPONENTS)]
    whole = {key: value for key, value in settings.items() if "." not in key}
    for key in settings:
        if key.partition(".")[0] not in (COMPONENTS if "." in key else SETTINGS):
            raise unknown("setting", key, known, where)
    values: dict[str, Any] = {key: value for key, value in whole.items() if key not in COMPONENTS}
    for component in COMPONENTS:
        given = whole.get(component)
        if given is None:
            if component != "data":
                raise UserError(f"{where}: setting {component!r} is missing")
            values[component] = None
            continue
        if not isinstance(given, str | dict):
            raise UserError(f"{where}: {component} = {given!r} must be a name, or a table with a name and options")
        table = {"name": given} if isinstance(given, str) else dict(given)
        options = {key: value for key, value in table.items() if key != "name"}
        prefix = f"{component}."
        options |= {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
        registry, name = REGISTRIES[component], table.get("name", "")
        values[component] = Spec(name, registry.complete(name, options, where))
    return _check_values(values, where)


def _check_values(values: Settings, where: str) -> Cell:
    for key, allowed in CHOICES.items():
        if key in values and values[key] not in allowed:
            raise unknown(key, values[key], allowed, where)
    for key, kind, least in (("seed", int, 0), ("threads", int, 1), ("compile", bool, False)):
        value = values.get(key, least)
        if type(value) is not kind or value < least:
            raise UserError(f"{where}: {key} = {value!r} must be {kind.__name__}, at least {least}")
    return Cell(**values)


def _check_cell(cell: Cell, where: str) -> None:
    """Raises UserError for a cell that cannot be run."""
    task, role = TASKS.build(cell.task.name, **cell.task.options), MODELS.get(cell.model.name).role
    if role not in task.roles:
        fitting = [name for name in MODELS if MODELS.get(name).role in task.roles]
        raise UserError(f"{where}: task {cell.task.name!r} cannot use model {cell.model.name!r}; it can use {fitting}")
    if task.needs_data and cell.data is None:
        raise UserError(f"{where}: task {cell.task.name!r} needs the setting 'data'")
    if not task.needs_data and cell.data is not None:
        raise UserError(f"{where}: task {cell.task.name!r} takes no 'data'")
    try:
        if cell.data is not None:
            DATA.build(cell.data.name, **cell.data.options)
        task.check(cell)
    except ValueError as error:
        raise UserError(f"{where}: {cell}: {error}") from None


def _cell_pattern(pattern: Settings, where: str) -> Settings:
    for key in pattern:
        if key.partition(".")[0] not in SETTINGS:
            raise unknown("setting", key, SETTINGS, f"{where}, exclude")
    return pattern


def _matches(cell: Cell, pattern: Settings) -> bool:
    flat = flatten(cell.to_json())
    return all(flat.get(key) == value for key, value in pattern.items())


def _check_reports(grid: Grid, path: Path) -> None:
    measures = {}
    for experiment in grid.experiments:
        first = experiment.cells[0] if experiment.cells else experiment.choices[0].candidates[0]
        measures[experiment.name] = TASKS.build(first.task.name, **first.task.options).measures()
    columns = {f"{name}.{metric}" for name, metrics in measures.items() for metric in metrics}
    for table in grid.tables:
        for column in table.columns:
            if not _is_column(column, columns):
                raise unknown("column", column, columns, f"{path}: table {table.name!r}")
        for row in table.rows:
            if row.partition(".")[0] not in SETTINGS:
                raise unknown("row", row, SETTINGS, f"{path}: table {table.name!r}")
    for figure in grid.figures:
        where = f"{path}: figure {figure.name!r}"
        for key in NEEDS[figure.kind]:
            if not getattr(figure, key):
                raise UserError(
                    f"{where}: kind {figure.kind!r} needs {' and '.join(NEEDS[figure.kind])}; {key} is missing"
                )
        if figure.kind == "sweep" and figure.x.partition(".")[0] not in SETTINGS:
            raise unknown("setting", figure.x, SETTINGS, where)
        for axis in filter(None, (figure.y, "" if figure.kind == "sweep" else figure.x)):
            if not _is_column(axis, columns):
                raise unknown("column", axis, columns, where)
        if figure.experiment and figure.experiment not in measures:
            raise unknown("experiment", figure.experiment, measures, where)


def _is_column(name: str, columns: set[str]) -> bool:
    """Whether a cell can have this column; `e.iou[*]` among the columns stands for classes that only the data know."""
    opened = re.sub(r"\[.+\]$", f"[{OPEN}]", name)
    return f"[{OPEN}]" not in name and not columns.isdisjoint({name, opened})

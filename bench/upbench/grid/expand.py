"""From the experiments of a grid's file to their cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from upbench.cell import CHOICES, COMPONENTS, Cell, Spec, flatten
from upbench.data import DATA
from upbench.errors import UserError, unknown_name_error
from upbench.grid.spec import ExperimentSpec, GridSpec, Settings, TuneSpec
from upbench.grid.types import Choice, Experiment
from upbench.layers import LAYERS
from upbench.models import MODELS
from upbench.registry import Registry
from upbench.tasks import TASKS

REGISTRIES: dict[str, Registry] = {"task": TASKS, "model": MODELS, "layer": LAYERS, "data": DATA}
SETTINGS = tuple(field.name for field in fields(Cell))

# (setting, type, least value) of the settings that are neither components nor one of a list
PLAIN_SETTINGS = (("seed", int, 0), ("threads", int, 1), ("compile", bool, False))


@dataclass(frozen=True)
class OpenCell:
    """One place of an experiment: one cell, or one for each value that is tried out where settings are tuned."""

    candidates: tuple[Cell, ...]


def expand(grid: GridSpec, experiment: ExperimentSpec, overrides: Settings, where: str) -> list[Experiment]:
    """The experiment with its cells, after the experiment of its trials if it has any.

    Args:
        grid: the file, whose settings and axes the experiment adds to.
        experiment: one of its experiments.
        overrides: settings that replace those of every cell.
        where: the place in the file, for messages.

    Raises UserError for settings that no cell can have.
    """
    axes = grid.axes | experiment.axes
    tried = experiment.tune.axes if experiment.tune else {}
    _check_axes(axes, tried, where)
    open_cells = _expand_product(grid, experiment, overrides, where)
    if not open_cells:
        raise UserError(f"{where} has no cells")
    if experiment.tune is not None:
        return _with_trials(experiment.name, experiment.tune, open_cells)
    cells = {}
    for open_cell in open_cells:
        (cell,) = open_cell.candidates
        # two combinations can be one cell, as a default and the same value spelt out are
        cells[cell.id] = cell
    return [Experiment(experiment.name, tuple(cells.values()))]


def _check_axes(axes: Mapping[str, list[Any]], tried: Mapping[str, list[Any]], where: str) -> None:
    for key, values in [*axes.items(), *tried.items()]:
        if not values:
            raise UserError(f"{where}: axis {key!r} has no values")
    for key in tried:
        component = key.partition(".")[0]
        # rows of a table differ in the layer, which must not be another one for each of them
        if component in ("layer", "seed") or key in axes:
            raise UserError(f"{where}: {key!r} cannot be tuned: it is the seed, of the layer, or an axis already")


def _expand_product(grid: GridSpec, experiment: ExperimentSpec, overrides: Settings, where: str) -> list[OpenCell]:
    """The product of the axes without what is excluded, then what is included beside it."""
    base = grid.settings | experiment.settings
    tried = _product(experiment.tune.axes if experiment.tune else {})
    exclusion = Exclusion(experiment.exclude, where)
    open_cells = []
    for chosen in _product(grid.axes | experiment.axes):
        candidates = []
        for values in tried:
            cell = make_cell(base | chosen | values | overrides, where)
            if not exclusion.matches(cell):
                candidates.append(cell)
        if candidates:
            open_cells.append(OpenCell(tuple(candidates)))
    for extra in experiment.include:
        candidates = []
        for values in tried:
            cell = make_cell(base | extra | values | overrides, where)
            # a cell that is asked for by itself stays, whatever the patterns say
            exclusion.matches(cell)
            candidates.append(cell)
        open_cells.append(OpenCell(tuple(candidates)))
    exclusion.check_use()
    return open_cells


def _product(axes: Mapping[str, list[Any]]) -> list[Settings]:
    """Every combination of the axes' values; one empty combination of no axes."""
    combinations = itertools.product(*axes.values())
    return [dict(zip(axes, values, strict=True)) for values in combinations]


def _with_trials(name: str, tune: TuneSpec, open_cells: list[OpenCell]) -> list[Experiment]:
    """The experiment of the trials, and the experiment whose cells wait for them."""
    choices: dict[str, Choice] = {}
    trials: dict[str, Cell] = {}
    for open_cell in open_cells:
        ids_by_candidate = []
        for candidate in open_cell.candidates:
            ids = []
            for seed in tune.seeds:
                trial = replace(candidate, seed=seed)
                # cells that differ in their reported seed alone wait for the same trials
                trials[trial.id] = trial
                ids.append(trial.id)
            ids_by_candidate.append(tuple(ids))
        choice = Choice(open_cell.candidates, tuple(ids_by_candidate))
        choices[choice.id] = choice
    return [
        Experiment(f"{name}-tune", tuple(trials.values())),
        Experiment(name, (), tuple(choices.values()), tuple(tune.axes), tune.metric),
    ]


def make_cell(settings: Settings, where: str) -> Cell:
    """The cell of these settings.

    Whole settings come first, then dotted ones, which change single options: `"layer.kernel_size" = 5`.
    Raises UserError for a setting, a component, an option or a value that does not exist.
    """
    _check_keys(settings, where)
    values: dict[str, Any] = {}
    for key, value in settings.items():
        if "." not in key and key not in COMPONENTS:
            values[key] = value
    for component in COMPONENTS:
        given = settings.get(component)
        if given is not None:
            values[component] = _make_component(component, given, settings, where)
        elif component == "data":
            values[component] = None
        else:
            raise UserError(f"{where}: setting {component!r} is missing")
    _check_values(values, where)
    return Cell(**values)


def _check_keys(settings: Settings, where: str) -> None:
    for key in settings:
        component, dot, _ = key.partition(".")
        # only components have options, so only their names can have a dot behind them
        if component not in (COMPONENTS if dot else SETTINGS):
            dotted = [f"{each}.OPTION" for each in COMPONENTS]
            raise unknown_name_error("setting", key, [*SETTINGS, *dotted], where)


def _make_component(component: str, given: object, settings: Settings, where: str) -> Spec:
    """A component from its name, or its table, and from the dotted settings that change its options."""
    if not isinstance(given, str | dict):
        raise UserError(f"{where}: {component} = {given!r} must be a name, or a table with a name and options")
    # a copy: the table of the file is shared by all cells
    options = {"name": given} if isinstance(given, str) else dict(given)
    name = options.pop("name", "")
    prefix = f"{component}."
    for key, value in settings.items():
        if key.startswith(prefix):
            options[key.removeprefix(prefix)] = value
    return Spec(name, REGISTRIES[component].complete(name, options, where))


def _check_values(values: Settings, where: str) -> None:
    for key, allowed in CHOICES.items():
        if key in values and values[key] not in allowed:
            raise unknown_name_error(key, values[key], allowed, where)
    for key, wanted, least in PLAIN_SETTINGS:
        value = values.get(key, least)
        # not isinstance: True is an int to Python, and no seed
        if type(value) is not wanted or value < least:
            raise UserError(f"{where}: {key} = {value!r} must be {wanted.__name__}, at least {least}")


class Exclusion:
    """The patterns of cells that an experiment leaves out, and which of them have left out any."""

    def __init__(self, patterns: list[Settings], where: str) -> None:
        self.patterns = patterns
        self.where = where
        self.used: list[Settings] = []
        for pattern in patterns:
            for key in pattern:
                if key.partition(".")[0] not in SETTINGS:
                    raise unknown_name_error("setting", key, SETTINGS, f"{where}, exclude")

    def matches(self, cell: Cell) -> bool:
        """Whether the cell has all settings of one of the patterns."""
        settings = flatten(cell.to_json())
        found = False
        for pattern in self.patterns:
            # the cell may have any other settings besides
            if settings | pattern == settings:
                self.used.append(pattern)
                found = True
        return found

    def check_use(self) -> None:
        """Raises UserError for a pattern that has matched no cell: it is misspelt, or superfluous."""
        for pattern in self.patterns:
            if pattern not in self.used:
                raise UserError(
                    f"{self.where}: exclude {pattern} matches no cell; it compares whole values as the axes have them"
                )

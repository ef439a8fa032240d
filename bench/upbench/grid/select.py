"""The part of a grid that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from upbench.cell import flatten
from upbench.errors import UserError, unknown_name_error
from upbench.grid.types import Experiment, Grid

Place = tuple[str, str]  # the name of an experiment, and the id of one of its cells or choices


def select(grid: Grid, only: Iterable[str]) -> Grid:
    """What meets every condition; an open cell brings its trials with it.

    Args:
        grid: the whole.
        only: conditions `key=value`; keys are settings, dotted options, or `experiment`.

    Raises UserError for a condition that is malformed, names no setting, or leaves no cell.
    """
    only = list(only)
    settings = _settings_by_place(grid)
    kept = set(settings)
    for condition in only:
        kept &= _places_that_meet(condition, settings)
    if not kept:
        raise UserError(f"no cell meets all of: {', '.join(only)}")
    trials: set[str] = set()
    for experiment in grid.experiments:
        for choice in experiment.choices:
            if (experiment.name, choice.id) in kept:
                trials |= choice.trial_ids
    experiments = tuple(_select_cells(experiment, kept, trials) for experiment in grid.experiments)
    return replace(grid, experiments=experiments)


def _select_cells(experiment: Experiment, kept: set[Place], trials: set[str]) -> Experiment:
    cells = []
    for cell in experiment.cells:
        # a trial is kept for the cells that wait for it, whatever the conditions say of the trial itself
        if (experiment.name, cell.id) in kept or cell.id in trials:
            cells.append(cell)
    choices = [choice for choice in experiment.choices if (experiment.name, choice.id) in kept]
    return replace(experiment, cells=tuple(cells), choices=tuple(choices))


def _places_that_meet(condition: str, settings: dict[Place, dict[str, Any]]) -> set[Place]:
    key, equals, value = condition.partition("=")
    if not equals:
        raise UserError(f"--only {condition!r} must be KEY=VALUE, for example layer=pixel_dcl")
    known_keys: set[str] = set()
    known_values: set[str] = set()
    places = set()
    for place, its_settings in settings.items():
        known_keys |= its_settings.keys()
        if key in its_settings:
            # the command line has text alone: 0.001 is compared as it is printed
            its_value = str(its_settings[key])
            known_values.add(its_value)
            if its_value == value:
                places.add(place)
    if key not in known_keys:
        raise unknown_name_error("setting", key, known_keys, f"--only {condition!r}")
    if not places:
        raise unknown_name_error(key, value, known_values, f"--only {condition!r}")
    return places


def _settings_by_place(grid: Grid) -> dict[Place, dict[str, Any]]:
    """The settings of each cell of each experiment; what is still open is not a setting."""
    settings: dict[Place, dict[str, Any]] = {}
    for experiment in grid.experiments:
        named = {"experiment": experiment.name}
        for cell in experiment.cells:
            settings[experiment.name, cell.id] = named | flatten(cell.to_json())
        for choice in experiment.choices:
            known = named | flatten(choice.candidates[0].to_json())
            for key in experiment.tuned:
                known.pop(key, None)
            settings[experiment.name, choice.id] = known
    return settings

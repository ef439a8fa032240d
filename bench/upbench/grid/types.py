"""A grid in memory: its experiments with their cells, and the tables and figures that they feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from upbench.cell import Cell
from upbench.grid.spec import FigureSpec, TableSpec


@dataclass(frozen=True)
class Choice:
    """A cell whose tuned settings are open until its trials have ended.

    Attributes:
        candidates: the cells of which one is chosen; they differ in the tuned settings alone.
        trials: for each candidate, the ids of the cells that speak for it.
    """

    candidates: tuple[Cell, ...]
    trials: tuple[tuple[str, ...], ...]

    @property
    def id(self) -> str:
        """The id of the cell before its tuned settings are chosen. No stored cell has this id."""
        return f"open-{self.candidates[0].id}"

    @property
    def trial_ids(self) -> set[str]:
        """The ids of all trials of all candidates."""
        ids: set[str] = set()
        return ids.union(*self.trials)

    def to_json(self) -> dict[str, Any]:
        """The choice as plain JSON values."""
        return {"candidates": [cell.to_json() for cell in self.candidates], "trials": self.trials}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        """The choice of these JSON values. Raises LookupError, TypeError or ValueError for anything else."""
        candidates = tuple(map(Cell.from_json, value["candidates"]))
        trials = tuple(map(tuple, value["trials"]))
        return cls(candidates, trials)


@dataclass(frozen=True)
class Experiment:
    """The cells of one experiment.

    Attributes:
        name: as the grid's file gives it; NAME-tune for the trials of the experiment NAME.
        cells: in the order of the experiment's axes.
        choices: the cells of the experiment that are still open.
        tuned: the settings that the trials choose.
        metric: the metric by which the trials choose.
    """

    name: str
    cells: tuple[Cell, ...]
    choices: tuple[Choice, ...] = ()
    tuned: tuple[str, ...] = ()
    metric: str = ""

    @property
    def any_cell(self) -> Cell:
        """The first cell, or the first candidate of an experiment whose cells are all open."""
        if self.cells:
            return self.cells[0]
        return self.choices[0].candidates[0]

    def to_json(self) -> dict[str, Any]:
        """The experiment as plain JSON values."""
        return {
            "name": self.name,
            "cells": [cell.to_json() for cell in self.cells],
            "choices": [choice.to_json() for choice in self.choices],
            "tuned": self.tuned,
            "metric": self.metric,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Experiment:
        """The experiment of these JSON values. Raises LookupError, TypeError or ValueError for anything else."""
        return cls(
            name=value["name"],
            cells=tuple(map(Cell.from_json, value["cells"])),
            choices=tuple(map(Choice.from_json, value.get("choices", ()))),
            tuned=tuple(value.get("tuned", ())),
            metric=value.get("metric", ""),
        )


@dataclass(frozen=True)
class Grid:
    """All that a grid's file says, expanded.

    Attributes:
        title: the headline of its page.
        timeout: seconds of wall clock that one cell may take.
        keep_seeds: the seeds whose predictions and samples are kept whole, see `upbench.store.kept`.
        experiments: in the order of the file; two of them may share cells.
        tables: what the tables show.
        figures: what the figures show.
    """

    title: str
    timeout: float
    keep_seeds: tuple[int, ...]
    experiments: tuple[Experiment, ...]
    tables: tuple[TableSpec, ...]
    figures: tuple[FigureSpec, ...]

    @property
    def cells(self) -> dict[str, Cell]:
        """Every distinct cell by id, in order. A cell that two experiments share is there once; none is open."""
        cells = {}
        for experiment in self.experiments:
            for cell in experiment.cells:
                cells[cell.id] = cell
        return cells

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The cells that are still open, see `upbench.store.tune`."""
        choices: list[Choice] = []
        for experiment in self.experiments:
            choices += experiment.choices
        return tuple(choices)

    def to_json(self) -> dict[str, Any]:
        """The grid as plain JSON values."""
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
        """The grid of these JSON values. Raises LookupError, TypeError or ValueError for anything else."""
        return cls(
            title=value["title"],
            timeout=value["timeout"],
            keep_seeds=tuple(value.get("keep_seeds", ())),
            experiments=tuple(map(Experiment.from_json, value["experiments"])),
            tables=tuple(TableSpec(**table) for table in value["tables"]),
            figures=tuple(FigureSpec(**figure) for figure in value["figures"]),
        )

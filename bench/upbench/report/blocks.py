"""The blocks of a table: the figures of one column over rows that differ in nothing but the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from upbench.errors import UserError
from upbench.grid.spec import TableSpec
from upbench.grid.types import Grid
from upbench.labels import label_columns, split_column
from upbench.layers import REFERENCE
from upbench.report.frame import to_frame

if TYPE_CHECKING:
    from upbench.report.statistics import Floats

# settings that make replicates, not rows
REPLICATES = {"seed"}
# columns of the tidy frame that are no settings of a cell
NOT_SETTINGS = {
    "experiment", "cell", "outcome", "reason", "duration", "metric", "value", "unit", "better", "varies",
    "tuned", "splits",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One metric of one experiment.

    Attributes:
        name: "experiment.metric".
        label: what readers see instead of the name.
        unit: the unit of the figures, as it was measured; "" before any was.
        better: "lower" or "higher".
        varies: "never", "seed" or "machine".
        log: whether rows are compared by the logarithm, so that differences are ratios. Times are, as their noise is
            a factor.
    """

    name: str
    label: str
    unit: str
    better: str
    varies: str
    log: bool

    @property
    def compared(self) -> bool:
        """Whether rows are compared at all. Seconds are not: they hold within one process only; their ratios are."""
        return self.varies != "machine" or self.unit != "s"

    @property
    def noisy(self) -> bool:
        """Whether rows are compared by tests. A figure that never varies needs none: any difference is real."""
        return self.compared and self.varies != "never"


@dataclass(frozen=True)
class Block:
    """One column over rows that differ in nothing but the layer.

    Attributes:
        column: the column.
        rows: the label of each row.
        layers: the label of each row's layer.
        lost: for each row the number of replicates that gave no figure.
        figures: (seeds, rows), NaN where a replicate was lost.
        reference: the index of the first row of the reference layer, None where there is none to compare with.
        cells: the ids of the cells that the figures are from.
    """

    column: Column
    rows: tuple[str, ...]
    layers: tuple[str, ...]
    lost: tuple[int, ...]
    figures: Floats
    reference: int | None
    cells: frozenset[str] = field(repr=False)

    @property
    def scaled(self) -> Floats:
        """The figures on the scale on which rows are compared, (seeds, rows)."""
        if self.column.log:
            return np.log(self.figures)
        return self.figures

    @property
    def key(self) -> tuple[str, frozenset[str]]:
        """What the block is known by. The same column of the same cells in two tables is one comparison."""
        return self.column.name, self.cells


def check_tables(grid: Grid) -> None:
    """Raise the UserError that the tables of a grid would meet once its cells have run."""
    frame = to_frame(grid, {})
    for spec in grid.tables:
        first_columns: dict[str, str] = {}
        for name in spec.columns:
            experiment, _ = split_column(name)
            first_columns.setdefault(experiment, name)
        # the rows are those of the experiment, whichever of its columns is looked at
        for name in first_columns.values():
            read_blocks(frame, spec, name)


def read_blocks(frame: pd.DataFrame, spec: TableSpec, name: str) -> list[Block]:
    """The blocks of one column of a table.

    Raises UserError if rows that are compared differ in more than the layer, or were measured on different data.
    """
    experiment, metric = split_column(name)
    part = frame[frame["experiment"] == experiment]
    # all cells of the experiment: those without a figure count as lost
    part = part.assign(row=label_rows(part, spec.rows))
    measured = part[part["metric"] == metric]
    labels = label_columns(spec.columns)
    column = _describe_column(measured, name, labels[name])
    blocks = []
    for group in _group_alike(part, spec):
        _refuse_mixtures(group, spec, name)
        blocks.append(_make_block(column, group, metric))
    return blocks


def label_rows(part: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """The label of each row: the value of the first key, such as `pixel_dcl`, then `key=value` for each other key."""
    labels = _name_values(part, keys[0])
    for key in keys[1:]:
        # "depth" for "model.depth": a table with two options of one name would be rare
        option = key.rpartition(".")[2]
        values = _name_values(part, key)
        labels = labels + f" {option}=" + values
    return labels


def tuned_keys(part: pd.DataFrame) -> list[str]:
    """The settings of an experiment that its trials have chosen."""
    keys: list[str] = []
    for text in part["tuned"].unique():
        keys += text.split(",")
    # no duplicates, and no "" from experiments without trials
    distinct = dict.fromkeys(keys)
    distinct.pop("", None)
    return list(distinct)


def _name_values(part: pd.DataFrame, key: str) -> pd.Series:
    """The values of a setting as text, "-" where no row of the experiment has it."""
    if key not in part:
        return pd.Series("-", index=part.index, dtype=str)
    return part[key].astype(str)


def _describe_column(measured: pd.DataFrame, name: str, label: str) -> Column:
    """The column of these rows of the frame; an arbitrary one where nothing was measured yet."""
    if measured.empty:
        return Column(name, label, unit="", better="lower", varies="seed", log=False)
    first = measured.iloc[0]
    positive = bool((measured["value"] > 0).all())
    return Column(
        name=name,
        label=label,
        unit=first["unit"],
        better=first["better"],
        varies=first["varies"],
        log=first["varies"] == "machine" and positive,
    )


def _group_alike(part: pd.DataFrame, spec: TableSpec) -> list[pd.DataFrame]:
    """The rows of an experiment in groups that share all settings that name rows, but for the layer."""
    others = [key for key in spec.rows if key != "layer" and key in part]
    alike = pd.Series("", index=part.index)
    if others:
        # as text, since some settings are lists, which cannot be grouped by
        alike = part[others].astype(str).agg(" ".join, axis=1)
    return [group for _, group in part.groupby(alike, sort=False)]


def _make_block(column: Column, group: pd.DataFrame, metric: str) -> Block:
    """The block of a group of rows of the frame."""
    measured = group[group["metric"] == metric]
    rows = list(dict.fromkeys(group["row"]))
    figures = measured.pivot_table(values="value", index="seed", columns="row")
    # a row whose replicates were all lost is no column of the pivot table
    figures = figures.reindex(columns=rows)
    replicates = group.groupby("row")["seed"].nunique()[rows]
    lost = replicates - figures.count()
    layers = tuple(group.drop_duplicates("row")["layer"])
    reference = _find_reference(layers) if column.compared else None
    return Block(
        column=column,
        rows=tuple(rows),
        layers=layers,
        lost=tuple(map(int, lost)),
        figures=figures.to_numpy(dtype=float),
        reference=reference,
        cells=frozenset(group["cell"]),
    )


def _find_reference(layers: Sequence[str]) -> int | None:
    """The index of the first layer of the reference's name, whatever its options."""
    for index, layer in enumerate(layers):
        name = layer.split()[0]  # without its options
        if name == REFERENCE:
            return index
    return None


def _refuse_mixtures(group: pd.DataFrame, spec: TableSpec, column: str) -> None:
    """Raise UserError if these rows, which are compared with each other, differ in more than the layer."""
    may_differ = {*NOT_SETTINGS, *REPLICATES, "row", *tuned_keys(group)}
    for key in group.columns.difference(list(may_differ)):
        of_layer = key.partition(".")[0] == "layer"
        if of_layer and "layer" in spec.rows:
            continue
        if group[key].astype(str).nunique() > 1:
            raise UserError(
                f"table {spec.name!r}: column {column!r} would compare and average cells that differ in {key!r}; "
                "add it to the table's rows"
            )
    seen = set(group["splits"]) - {""}  # cells that have not ended saw none yet
    if len(seen) > 1:
        raise UserError(
            f"table {spec.name!r}: the cells of column {column!r} saw different data; run them anew in another folder"
        )

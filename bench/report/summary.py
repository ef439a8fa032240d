"""A grid's tables before they are text: rows of one block compared with each other, from the tidy frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from bench.errors import UserError
from bench.layers import REFERENCE
from bench.report.frame import to_frame
from bench.report.statistics import LEVEL, Estimate, Floats, compare, detectable, estimate, estimate_difference
from bench.run.grid import Grid
from bench.run.spec import TableSpec

# settings that make replicates, not rows
REPLICATES = {"seed"}
NOT_SETTINGS = {
    "experiment", "cell", "outcome", "reason", "duration", "metric", "value", "unit", "better", "varies",
    "tuned", "splits",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One cell of a table. lost: replicates that gave no figure.

    difference: to the reference layer, paired, on the scale of `Column.log`; None where there is none to compare with.
    p: adjusted p-value of that difference. detectable: see `bench.report.statistics.detectable`, on the same scale.
    """

    estimate: Estimate
    lost: int
    best: bool
    tied: bool
    difference: Estimate | None = None
    p: float = math.nan
    detectable: float = math.nan


@dataclass(frozen=True)
class Column:
    """name: "experiment.metric"; better: "lower" or "higher"; varies: "never", "seed" or "machine".

    log: rows are compared by the logarithm, so that differences are ratios: the noise of times is a factor. compared:
    whether at all: seconds are not, as they hold within one process only; their ratios are.
    """

    name: str
    unit: str
    better: str
    varies: str
    log: bool

    @property
    def compared(self) -> bool:
        return self.varies != "machine" or self.unit != "s"


@dataclass(frozen=True)
class Summary:
    """A table before it is text: entries by row label, then column name.

    chosen: by experiment, the settings that trials have chosen for its rows, in words. reference: the layer to which
    `Entry.difference` is, with the options that tell it from others of its name.
    """

    spec: TableSpec
    columns: tuple[Column, ...]
    entries: dict[str, dict[str, Entry]]
    chosen: dict[str, str]
    reference: str = REFERENCE


@dataclass(frozen=True)
class _Block:
    """One column over rows that differ in nothing but the layer. figures: (seeds, rows), NaN where one was lost.

    layers: with the options that tell them apart. reference: the row of the first transposed convolution. cells: what
    the figures are from; the same column of the same cells in two tables is one comparison.
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
        return np.log(self.figures) if self.column.log else self.figures


def summarise(frame: pd.DataFrame, specs: Sequence[TableSpec]) -> list[Summary]:
    """The tables of a grid; their comparisons are corrected together, see `bench.report.statistics.compare`.

    Raises UserError if rows that are compared differ in more than the layer, or were measured on different data.
    """
    read = [[_blocks(frame, spec, name) for name in spec.columns] for spec in specs]
    noisy = {
        (block.column.name, block.cells): block
        for table in read for blocks in table for block in blocks
        if block.column.varies != "never" and block.column.compared
    }  # fmt: skip
    adjusted = dict(zip(noisy, compare([block.scaled for block in noisy.values()]), strict=True))
    summaries = []
    for spec, table in zip(specs, read, strict=True):
        entries: dict[str, dict[str, Entry]] = {label: {} for label in _labels(frame, spec)}
        for block in (block for blocks in table for block in blocks):
            known = adjusted.get((block.column.name, block.cells))
            p_values = _exact_p(block.figures) if known is None else known
            for row, entry in _entries(block, p_values, len(noisy)).items():
                entries[row][block.column.name] = entry
        columns = tuple(blocks[0].column for blocks in table)
        summaries.append(Summary(spec, columns, entries, _choices(frame, spec), _reference(table)))
    return summaries


def check_tables(grid: Grid) -> None:
    """Raises what `summarise` would raise of a grid's tables once its cells have run."""
    summarise(to_frame(grid, {}), grid.tables)


def _reference(table: Sequence[Sequence[_Block]]) -> str:
    found = [block.layers[block.reference] for blocks in table for block in blocks if block.reference is not None]
    return " or ".join(dict.fromkeys(found)) or REFERENCE


def _choices(frame: pd.DataFrame, spec: TableSpec) -> dict[str, str]:
    names = dict.fromkeys(name.split(".", 1)[0] for name in spec.columns)
    parts = {name: frame[frame["experiment"] == name] for name in names}
    texts = {name: _chosen(part.assign(row=_row_labels(part, spec.rows))) for name, part in parts.items()}
    return {name: text for name, text in texts.items() if text}


def _blocks(frame: pd.DataFrame, spec: TableSpec, name: str) -> list[_Block]:
    experiment, metric = name.split(".", 1)
    part = frame[frame["experiment"] == experiment]
    part = part.assign(row=_row_labels(part, spec.rows))
    measured = part[part["metric"] == metric]
    unit, better, varies = (
        tuple(measured[["unit", "better", "varies"]].iloc[0]) if len(measured) else ("", "lower", "seed")
    )
    column = Column(name, unit, better, varies, log=varies == "machine" and bool((measured["value"] > 0).all()))
    others = [key for key in spec.rows if key != "layer" and key in part]
    alike = part[others].astype(str).agg(" ".join, axis=1) if others else lambda _: ""
    groups = [group for _, group in part.groupby(alike, sort=False)]
    for group in groups:
        _refuse_mixtures(group, spec, name)
    return [_block(column, group, group[group["metric"] == metric]) for group in groups]


def _block(column: Column, group: pd.DataFrame, measured: pd.DataFrame) -> _Block:
    """group: the frame's rows of the block's cells; measured: those with its figures."""
    rows = list(dict.fromkeys(group["row"]))
    figures = measured.pivot_table(values="value", index="seed", columns="row").reindex(columns=rows)
    lost = group.groupby("row")["seed"].nunique()[rows] - figures.count()
    layers = tuple(group.drop_duplicates("row")["layer"])
    references = [index for index, layer in enumerate(layers) if layer.split()[0] == REFERENCE]
    return _Block(
        column,
        tuple(rows),
        layers,
        tuple(map(int, lost)),
        figures.to_numpy(dtype=float),
        references[0] if references and column.compared else None,
        frozenset(group["cell"]),
    )


def _exact_p(values: Floats) -> Floats:
    """For a figure that never varies any difference is real, and one replicate decides."""
    means = _means(values)
    return np.where(means[:, None] == means, 1.0, 0.0)


def _means(values: Floats) -> Floats:
    return np.array([estimate(column[np.isfinite(column)]).mean for column in values.T])


def _entries(block: _Block, p_values: Floats, columns: int) -> dict[str, Entry]:
    """p_values: adjusted, (rows, rows). columns: those that were corrected together."""
    means, scaled = _means(block.figures), block.scaled
    ended = np.isfinite(means)
    best = None
    if ended.any() and block.column.compared:
        best = int((np.nanargmin if block.column.better == "lower" else np.nanargmax)(means))
    compared = block.column.varies != "never" and block.column.compared
    least = detectable(scaled, columns) if compared else math.nan
    entries = {}
    for index, row in enumerate(block.rows):
        found = estimate(block.figures[np.isfinite(block.figures[:, index]), index])
        tied = best is not None and index != best and bool(ended[index] and p_values[best, index] >= 1 - LEVEL)
        entry = Entry(found, block.lost[index], best=index == best, tied=tied, detectable=least)
        if block.reference not in (None, index):
            difference = estimate_difference(scaled[:, index], scaled[:, block.reference])
            entry = replace(entry, difference=difference, p=float(p_values[index, block.reference]))
        entries[row] = entry
    return entries


def tuned_keys(part: pd.DataFrame) -> list[str]:
    """The settings of an experiment that its trials have chosen."""
    return list(dict.fromkeys(key for text in part["tuned"].unique() for key in text.split(",") if key))


def _chosen(part: pd.DataFrame) -> str:
    """What trials have chosen for the rows of an experiment: "learning rate 0.002 for carafe, dysample; ..."."""
    texts = []
    for key in tuned_keys(part):
        known = part[part[key].notna()].drop_duplicates("row")
        if len(known):
            groups = known.sort_values(key, kind="stable").groupby(known[key].map(str), sort=False)
            taken = [f"{value} for {', '.join(group['row'])}" for value, group in groups]
            texts.append(f"{key.rpartition('.')[2].replace('_', ' ')} {'; '.join(taken)}")
    return ", ".join(texts)


def _labels(frame: pd.DataFrame, spec: TableSpec) -> list[str]:
    wanted = {name.split(".", 1)[0] for name in spec.columns}
    part = frame[frame["experiment"].isin(wanted)]
    return list(dict.fromkeys(_row_labels(part, spec.rows)))


def _row_labels(part: pd.DataFrame, rows: list[str]) -> pd.Series:
    """The value of the first row key, such as `pixel_dcl`; the others are added as `key=value`."""
    first, *others = (
        part[key].astype(str) if key in part else pd.Series("-", index=part.index, dtype=str) for key in rows
    )
    for key, values in zip(rows[1:], others, strict=True):
        first = first + " " + key.rpartition(".")[2] + "=" + values
    return first


def _refuse_mixtures(group: pd.DataFrame, spec: TableSpec, column: str) -> None:
    """group: rows that are compared with each other."""
    free = {*NOT_SETTINGS, *REPLICATES, "row", *tuned_keys(group)}
    for key in group.columns.difference([*free]):
        if key.partition(".")[0] == "layer" and "layer" in spec.rows:
            continue
        if group[key].astype(str).nunique() > 1:
            raise UserError(
                f"table {spec.name!r}: column {column!r} would compare and average cells that differ in {key!r}; "
                "add it to the table's rows"
            )
    if len(set(group["splits"]) - {""}) > 1:
        raise UserError(
            f"table {spec.name!r}: the cells of column {column!r} saw different data; run them anew in another folder"
        )

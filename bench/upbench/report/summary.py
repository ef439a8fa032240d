"""A grid's tables before they are text: rows of one block compared with each other, from the tidy frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from upbench.grid.spec import TableSpec
from upbench.labels import split_column
from upbench.layers import REFERENCE
from upbench.report.blocks import Block, Column, label_rows, read_blocks, tuned_keys
from upbench.report.statistics import LEVEL, Estimate, Floats, compare_rows, detectable, estimate, estimate_difference

Adjusted = Mapping[tuple[str, frozenset[str]], Floats]  # the p-values of each noisy block by its key


@dataclass(frozen=True)
class Entry:
    """One entry of a table.

    Attributes:
        estimate: the mean over replicates and its interval.
        lost: the number of replicates that gave no figure.
        best: whether no other row of the block has a better mean.
        tied: whether the row is not told apart from the best one.
        difference: the paired difference to the reference layer on the scale of `Column.log`; None where there is none
            to compare with.
        p: the adjusted p-value of that difference.
        detectable: the difference that the run could have found, see `upbench.report.statistics.detectable`, on the
            same scale.
    """

    estimate: Estimate
    lost: int
    best: bool
    tied: bool
    difference: Estimate | None = None
    p: float = math.nan
    detectable: float = math.nan


@dataclass(frozen=True)
class Summary:
    """A table before it is text.

    Attributes:
        spec: what the grid says of the table.
        columns: the columns in order.
        entries: the entries by row label, then column name. A row without a figure in a column may lack the entry.
        chosen: by experiment, the settings that trials have chosen for its rows, in words.
        reference: the label of the layer to which `Entry.difference` is.
    """

    spec: TableSpec
    columns: tuple[Column, ...]
    entries: dict[str, dict[str, Entry]]
    chosen: dict[str, str]
    reference: str = REFERENCE

    def column_entries(self, column: Column) -> list[Entry]:
        """The entries of a column, by row, without the rows that have none."""
        return [row[column.name] for row in self.entries.values() if column.name in row]


def summarise(frame: pd.DataFrame, specs: Sequence[TableSpec]) -> list[Summary]:
    """Summarise the tables of a grid; their comparisons are corrected together, see `compare_rows`.

    Args:
        frame: the tidy frame.
        specs: the tables.

    Returns:
        A summary for each table.

    Raises:
        UserError: rows that are compared differ in more than the layer, or were measured on different data.
    """
    blocks_by_table: list[list[list[Block]]] = []
    for spec in specs:
        columns = [read_blocks(frame, spec, name) for name in spec.columns]
        blocks_by_table.append(columns)
    # all tables before any entry, as the correction counts all of them
    adjusted = _compare_noisy(blocks_by_table)
    summaries = []
    for spec, columns in zip(specs, blocks_by_table, strict=True):
        summaries.append(_summarise_table(frame, spec, columns, adjusted))
    return summaries


def _compare_noisy(blocks_by_table: Sequence[Sequence[Sequence[Block]]]) -> Adjusted:
    """The adjusted p-values of all noisy blocks of all tables; a block that two tables share counts once."""
    noisy: dict[tuple[str, frozenset[str]], Block] = {}
    for columns in blocks_by_table:
        for blocks in columns:
            for block in blocks:
                if block.column.noisy:
                    noisy[block.key] = block
    # together, as each comparison is one more chance to err
    p_values = compare_rows([block.scaled for block in noisy.values()])
    return dict(zip(noisy, p_values, strict=True))


def _summarise_table(
    frame: pd.DataFrame, spec: TableSpec, columns: Sequence[Sequence[Block]], adjusted: Adjusted
) -> Summary:
    """The summary of one table, from the blocks of each of its columns."""
    # all rows of all experiments of the table, also those that have no figure in some column
    names = [split_column(name)[0] for name in spec.columns]
    experiments = list(dict.fromkeys(names))
    part = frame[frame["experiment"].isin(experiments)]
    entries: dict[str, dict[str, Entry]] = {label: {} for label in label_rows(part, spec.rows)}
    references: dict[str, None] = {}
    for blocks in columns:
        for block in blocks:
            p_values = adjusted[block.key] if block.column.noisy else _exact_p(block.figures)
            made = _make_entries(block, p_values, len(adjusted))
            for row, entry in made.items():
                entries[row][block.column.name] = entry
            if block.reference is not None:
                references[block.layers[block.reference]] = None
    return Summary(
        spec=spec,
        columns=tuple(blocks[0].column for blocks in columns),
        entries=entries,
        chosen=_describe_choices(frame, spec, experiments),
        reference=" or ".join(references) or REFERENCE,
    )


def _exact_p(figures: Floats) -> Floats:
    """p-values (rows, rows) of a figure that never varies: any difference is real, and one replicate decides."""
    means = _mean_rows(figures)
    same = means[:, None] == means
    return np.where(same, 1.0, 0.0)


def _mean_rows(figures: Floats) -> Floats:
    """The mean of each row's replicates, (rows,)."""
    means = []
    for row in figures.T:
        ended = row[np.isfinite(row)]
        means.append(estimate(ended).mean)
    return np.array(means)


def _make_entries(block: Block, p_values: Floats, comparisons: int) -> dict[str, Entry]:
    """The entries of a block by row label.

    Args:
        block: the block.
        p_values: (rows, rows), adjusted.
        comparisons: the number of blocks that were corrected together.
    """
    best = _find_best(block)
    reference = block.reference
    scaled = block.scaled
    least = math.nan
    if block.column.noisy:
        least = detectable(scaled, comparisons)
    entries = {}
    for index, row in enumerate(block.rows):
        figures = block.figures[:, index]
        found = estimate(figures[np.isfinite(figures)])
        tied = False
        # a row that never ended has no mean to be tied by
        if best is not None and index != best and found.n:
            tied = bool(p_values[best, index] >= 1 - LEVEL)
        difference = None
        p = math.nan
        if reference is not None and index != reference:
            difference = estimate_difference(scaled[:, index], scaled[:, reference])
            p = float(p_values[index, reference])
        entries[row] = Entry(
            estimate=found,
            lost=block.lost[index],
            best=index == best,
            tied=tied,
            difference=difference,
            p=p,
            detectable=least,
        )
    return entries


def _find_best(block: Block) -> int | None:
    """The index of the row with the best mean; None where no row has ended, or rows are not compared."""
    means = _mean_rows(block.figures)
    ended = np.isfinite(means)
    if not block.column.compared or not ended.any():
        return None
    if block.column.better == "lower":
        return int(np.nanargmin(means))
    return int(np.nanargmax(means))


def _describe_choices(frame: pd.DataFrame, spec: TableSpec, experiments: Sequence[str]) -> dict[str, str]:
    """By experiment of a table, the settings that trials have chosen, in words; without those that tuned none."""
    chosen = {}
    for name in experiments:
        part = frame[frame["experiment"] == name]
        part = part.assign(row=label_rows(part, spec.rows))
        text = _describe_chosen(part)
        if text:
            chosen[name] = text
    return chosen


def _describe_chosen(part: pd.DataFrame) -> str:
    """What trials have chosen for the rows of an experiment: "learning rate 0.002 for carafe, dysample; ..."."""
    texts = []
    for key in tuned_keys(part):
        known = part[part[key].notna()]  # of rows whose trials have ended
        known = known.drop_duplicates("row")
        if known.empty:
            continue
        # sorted as numbers, grouped as text
        values = known[key].map(str)
        groups = known.sort_values(key, kind="stable").groupby(values, sort=False)
        taken = []
        for value, group in groups:
            rows = ", ".join(group["row"])
            taken.append(f"{value} for {rows}")
        setting = key.rpartition(".")[2].replace("_", " ")
        texts.append(f"{setting} {'; '.join(taken)}")
    return ", ".join(texts)

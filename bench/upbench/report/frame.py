"""The tidy frame: one row for each (experiment, cell, metric), and one row for each cell that has no measurements."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from upbench.cell import Cell, flatten
from upbench.grid.types import Grid
from upbench.labels import label_components
from upbench.layers import LAYERS
from upbench.store.record import MISSING, Record

MEASURED = ("value", "unit", "better", "varies")

Row = dict[str, Any]


def to_frame(grid: Grid, records: Mapping[str, Record]) -> pd.DataFrame:
    """Make the tidy frame of a grid and what is stored of its cells.

    A cell that failed or has no record is one row whose metric is None and whose value is NaN: never a gap. So is a
    cell whose trials have not ended; its tuned settings are None.

    Args:
        grid: the grid, with its choices closed where their trials ended.
        records: the record of each cell that has one, by cell id.

    Returns:
        The frame. Its columns are experiment, cell, outcome, reason, duration, the flattened settings, metric, value,
        unit, better, varies; `tuned`, the settings that trials have chosen, with commas; `splits`, which stands for
        the data that a cell saw and is "" where none are known; and `layer`, the layer's label, see `tidy`.
    """
    rows: list[Row] = []
    for experiment in grid.experiments:
        shared: Row = {
            "experiment": experiment.name,
            "tuned": ",".join(experiment.tuned),
        }
        for cell in experiment.cells:
            record = records.get(cell.id)
            settings = shared | {"cell": cell.id}
            settings |= _describe_cell(cell, record)
            rows += _add_measurements(settings, record)
        for choice in experiment.choices:
            open_cell = shared | {"cell": choice.id}
            open_cell |= _describe_cell(choice.candidates[0], None)
            open_cell["metric"] = None
            open_cell["reason"] = "its trials have not ended"
            # the settings in which the candidates differ are not known yet
            open_cell |= dict.fromkeys(experiment.tuned)
            rows.append(open_cell)
    return tidy(rows)


def tidy(rows: list[Row]) -> pd.DataFrame:
    """Make a frame of such rows, whose layers are labelled with what tells them apart.

    A label is the layer's name and those of its options that differ among the rows: "transposed_conv kernel_size=3".
    A layer, network, task or data set of the user's own goes by the last part of its name, see `upbench.labels`.
    """
    # any other type would turn whole numbers beside gaps into fractions
    frame = pd.DataFrame(rows, dtype=object)
    for column in MEASURED:
        if column not in frame:
            frame[column] = None
    for part in ("task", "model", "data"):
        names = frame[part].dropna().unique()
        frame[part] = frame[part].map(label_components(names), na_action="ignore")
    return frame.assign(
        value=frame["value"].astype(float),
        duration=frame["duration"].astype(float),
        layer=_label_layers(frame),
    )


def write_frame(frame: pd.DataFrame, root: Path) -> None:
    """Write frame.parquet and frame.csv, which are derived from the records and may be deleted at will."""
    plain = frame.copy()
    # Parquet has one type a column, and settings may be lists
    nested = plain.map(lambda value: isinstance(value, (list, dict)))
    for column in plain.columns[nested.any()]:
        plain[column] = plain[column].map(str)
    plain = plain.convert_dtypes()
    plain.to_parquet(root / "frame.parquet", index=False)
    plain.to_csv(root / "frame.csv", index=False)


def _describe_cell(cell: Cell, record: Record | None) -> Row:
    """The entries of a cell's rows that are not of one measurement."""
    known: Row = {
        "outcome": MISSING,
        "reason": "",
        "duration": None,
        "splits": "",
    }
    if record is not None:
        known = {
            "outcome": record.outcome,
            "reason": record.reason,
            "duration": record.duration,
            "splits": _hash_splits(record),
        }
    settings = flatten(cell.to_json())
    return known | settings


def _add_measurements(settings: Row, record: Record | None) -> list[Row]:
    """One row for each measurement of a cell, or one row without any."""
    if record is None or not record.measurements:
        return [settings | {"metric": None}]
    rows = []
    for measurement in record.measurements:
        measured = dataclasses.asdict(measurement)
        rows.append(settings | measured)
    return rows


def _hash_splits(record: Record) -> str:
    """A short hash of what the record says of the data that its cell saw, or "" if it says nothing."""
    seen = record.raw.get("data")
    if not seen:
        return ""
    text = json.dumps(seen, sort_keys=True)
    digest = hashlib.sha256(text.encode())
    return digest.hexdigest()[:12]


def _label_layers(frame: pd.DataFrame) -> pd.Series:
    """The label of each row's layer, see `tidy`."""
    # the registered names are taken, whether the frame holds them or not
    short = label_components([*LAYERS, *frame["layer"].unique()])
    labels = frame["layer"].map(short)
    for _, part in frame.groupby("layer", sort=False):
        for column in map(str, part):
            if not column.startswith("layer."):
                continue
            values = part[column].map(str)
            if values.nunique() > 1:
                option = column.removeprefix("layer.")
                labels[part.index] += f" {option}=" + values
    return labels
